"""The face of the library, in this process."""

from search.answers import equivalent


def test_answers_are_equivalent_when_their_keys_are_equal() -> None:
    assert equivalent("0.5", r"\frac{1}{2}")
    assert not equivalent("(1, 2)", "(2, 1)")
