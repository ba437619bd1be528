import pytest

from search.answers.canonical import answer_key
from tests.search.answers.spellings import CLASSES


@pytest.mark.parametrize("spellings", CLASSES, ids=lambda spellings: spellings[0])
def test_spellings_of_one_answer_have_one_key(spellings: tuple[str, ...]) -> None:
    expected = answer_key(spellings[0])
    assert {spelling: answer_key(spelling) for spelling in spellings} == dict.fromkeys(spellings, expected)


def test_different_answers_have_different_keys() -> None:
    assert len({answer_key(first) for first, *_ in CLASSES}) == len(CLASSES)
