import pytest

from search.aggregation import Aggregation


@pytest.mark.parametrize(
    ("aggregation", "expected"), [(Aggregation.LAST, 0.75), (Aggregation.MIN, 0.5), (Aggregation.PROD, 0.375)]
)
def test_step_scores_become_the_score_of_the_response(aggregation: Aggregation, expected: float) -> None:
    assert aggregation.score([1.0, 0.5, 0.75]) == expected


@pytest.mark.parametrize("aggregation", list(Aggregation))
def test_a_single_step_is_the_response(aggregation: Aggregation) -> None:
    assert aggregation.score([0.3]) == 0.3


def test_only_the_last_score_may_rise_again() -> None:
    assert [aggregation for aggregation in Aggregation if not aggregation.is_monotone] == [Aggregation.LAST]
