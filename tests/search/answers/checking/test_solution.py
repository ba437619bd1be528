import pytest

from search.answers.checking.solution import read_solutions
from search.answers.reading.syntax import Number, UnreadableError


def values(answer: str, *unknowns: str) -> list[dict[str, str]]:
    """Return the solutions, each value as its fraction or as its tree."""
    return [
        {name: str(node.value if isinstance(node, Number) else node) for name, node in solution.items()}
        for solution in read_solutions(answer, unknowns).each
    ]


@pytest.mark.parametrize("answer", ["7", "x = 7", "$x=7$", r"x = 21/3 = 7", r"\{7\}", "7 apples", r"x \in \{7\}"])
def test_one_value_is_that_of_the_unknown(answer: str) -> None:
    assert values(answer, "x") == [{"x": "7"}]


@pytest.mark.parametrize("answer", ["2, 3", "x = 2 or x = 3", r"\{2, 3\}", r"x = 2, 3", r"x = \{2, 3\}", "2 and 3"])
def test_a_list_gives_several_solutions(answer: str) -> None:
    assert values(answer, "x") == [{"x": "2"}, {"x": "3"}]


@pytest.mark.parametrize("answer", [r"\pm 2", r"x = \pm 2", r"x = \{\pm 2\}"])
def test_plus_minus_gives_two_solutions(answer: str) -> None:
    assert len(values(answer, "x")) == 2


@pytest.mark.parametrize("answer", ["(2, 3)", "(y, x) = (2, 3)", "y = 2, x = 3", "x = 3, y = 2", "(x, y) = (3, 2)"])
def test_several_unknowns_have_a_tuple_in_their_order_or_names(answer: str) -> None:
    assert values(answer, "y", "x") == [{"y": "2", "x": "3"}] or values(answer, "y", "x") == [{"x": "3", "y": "2"}]


def test_a_list_of_tuples_gives_several_solutions() -> None:
    assert values("(1, 2), (3, 4)", "x", "y") == [{"x": "1", "y": "2"}, {"x": "3", "y": "4"}]


@pytest.mark.parametrize(("answer", "decimals"), [("2", None), ("2.50", 2), ("0.125, 1.5", 1)])
def test_decimals_tell_how_far_an_answer_may_be_rounded(answer: str, decimals: int | None) -> None:
    assert read_solutions(answer, ["x"]).decimals == decimals


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "y = 2",
        "x > 2",
        "x = y",
        "2y",
        "B",
        "(1, 2)x",
        "50%",
        r"\emptyset",
        r"x \approx 2",
        "x=1, y=2",
    ],
)
def test_what_does_not_say_the_unknown_cannot_be_read(answer: str) -> None:
    with pytest.raises(UnreadableError):
        read_solutions(answer, ["x"])


@pytest.mark.parametrize("answer", ["2, 3", "2", "(1, 2, 3)", "x = 2", "x = 2, x = 3", "(x, x) = (2, 3)", "x = 2, 3"])
def test_what_does_not_say_both_unknowns_cannot_be_read(answer: str) -> None:
    with pytest.raises(UnreadableError):
        read_solutions(answer, ["x", "y"])
