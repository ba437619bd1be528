"""What searches cost: spreads, and lines between budgets."""

import random

import pytest

from search.calibration.costs import Cost, Spread, between, cost_at

ONE = Cost(Spread(1, 2, 3), Spread(10, 20, 30), Spread(0.1, 0.2, 0.3))
FOUR = Cost(Spread(4, 8, 12), Spread(10, 20, 30), Spread(0.2, 0.4, 0.6))


@pytest.mark.parametrize(("n", "value"), [(4, 40), (16, 100), (10, 70), (2, 20), (32, 200)])
def test_a_value_lies_on_a_line_between_budgets_and_grows_with_n_beyond(n: int, value: float) -> None:
    assert between(n, {4: 40, 16: 100}) == pytest.approx(value)
    assert between(n, {16: 100}) is None


def test_a_cost_is_known_at_its_budget_and_near_two() -> None:
    assert cost_at(4, {4: FOUR}) == FOUR
    assert cost_at(5, {4: FOUR}) is None
    assert cost_at(17, {1: ONE, 4: FOUR}) is None
    half = cost_at(2, {1: ONE, 4: FOUR})
    assert half is not None
    assert half.completion == pytest.approx((2, 4, 6))
    assert half.verifier == pytest.approx((10, 20, 30))


@pytest.mark.parametrize("size", [10, 24, 64])
def test_eight_of_ten_of_what_comes_lie_within_a_spread(size: int) -> None:
    dice, hits = random.Random(0), 0
    for _ in range(4000):
        spread = Spread.of([dice.gauss(0, 1) for _ in range(size)])
        hits += spread.low <= dice.gauss(0, 1) <= spread.high
    assert hits / 4000 == pytest.approx(0.8, abs=0.02)
