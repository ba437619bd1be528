import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.candidate import Candidate
from search.confidence import Confidence, support
from search.errors import HyperparameterError
from search.voting import Ballot, Selection
from tests.search.helpers import voter

HALVES = Confidence((0.2, 0.6), (0.1, 0.9))


def votes_of(*voters: tuple[str | None, float | None], selection: Selection = Selection.WEIGHTED) -> float:
    ballot: Ballot[Candidate] = Ballot(selection)
    for place, (key, score) in enumerate(voters):
        ballot.cast(voter((place,), key, score))
    return support(ballot.votes())


def test_support_is_the_best_score_times_the_share_of_the_weight() -> None:
    assert votes_of(("1", 0.8), ("1", 0.4), ("2", 0.3)) == pytest.approx(0.8 * 1.2 / 1.5)


def test_without_scores_support_is_the_share_of_the_votes() -> None:
    assert votes_of(("1", None), ("1", None), ("2", None), selection=Selection.MAJORITY) == pytest.approx(2 / 3)


@pytest.mark.parametrize("voters", [(), ((None, 0.9),), (("1", 0.0),)], ids=["nobody", "no answer", "no belief"])
def test_where_nothing_is_elected_or_believed_support_is_zero(voters: tuple[tuple[str | None, float], ...]) -> None:
    assert votes_of(*voters) == 0.0


@pytest.mark.parametrize(
    ("at", "probability"), [(0.0, 0.1), (0.2, 0.1), (0.4, 0.5), (0.6, 0.9), (1.0, 0.9)], ids=lambda value: f"{value:g}"
)
def test_the_map_is_linear_between_knots_and_level_beyond(at: float, probability: float) -> None:
    assert HALVES.at(at) == pytest.approx(probability)


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_support_is_never_less_probable(one: float, other: float) -> None:
    assert HALVES.at(min(one, other)) <= HALVES.at(max(one, other))


@pytest.mark.parametrize(
    ("supports", "probabilities"),
    [((), ()), ((0.1,), ()), ((0.2, 0.2), (0.1, 0.2)), ((0.1, 0.2), (0.2, 0.1)), ((0.1, 1.2), (0.1, 0.2))],
    ids=["none", "one without the other", "one knot twice", "falling", "beyond 1"],
)
def test_what_is_no_map_is_refused(supports: tuple[float, ...], probabilities: tuple[float, ...]) -> None:
    with pytest.raises(HyperparameterError, match="knots of confidence must rise"):
        Confidence(supports, probabilities)
