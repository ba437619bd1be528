"""Costs of points, measured or guessed, against sums by hand."""

import pytest

from search.evaluation.grid import Point
from search.evaluation.outcomes import Outcome
from search.scaling.costs import Costs


def outcome(strategy: str, n: int, generated: int, *judged: int, seconds: float | None = None) -> Outcome:
    tokens, cached = judged or (None, None)
    return Outcome("p", None, strategy, n, 0, None, True, generated, tokens, cached, seconds)


COSTS = Costs(
    [
        outcome("greedy", 1, 90, 0, 0, seconds=1.0),
        outcome("weighted_best_of_n", 64, 6400, 1600, 4800, seconds=8.0),
        outcome("weighted_best_of_n", 64, 6400, 1600, 4800, seconds=24.0),
        outcome("weighted_best_of_n", 1, 100),
        outcome("best_of_n", 64, 6400),
        outcome("majority", 64, 6400),
        outcome("dvts", 4, 420, 60, 200, seconds=2.0),
    ]
)


def test_what_was_measured_is_said_as_it_was() -> None:
    cost = COSTS.at(Point("weighted_best_of_n", 64))
    assert (cost.generated, cost.judged, cost.cached, cost.seconds, cost.seconds_tail) == (6400, 1600, 4800, 16.0, 24.0)
    assert (cost.tokens, cost.is_measured) == (8000, True)


def test_best_of_n_judges_what_weighted_best_of_n_judges_and_a_majority_nothing() -> None:
    best, majority = COSTS.at(Point("best_of_n", 64)), COSTS.at(Point("majority", 64))
    assert (best.judged, best.seconds, best.is_measured) == (1600, 16.0, False)
    assert (majority.judged, majority.cached, majority.tokens) == (0, 0, 6400)


def test_one_response_is_judged_as_a_whole() -> None:
    cost = COSTS.at(Point("best_of_n", 1))
    assert (cost.generated, cost.judged, cost.cached) == (100, 100, 0)


def test_between_two_budgets_costs_lie_on_a_line_in_logarithms() -> None:
    cost = COSTS.at(Point("weighted_best_of_n", 8))
    assert cost.generated == pytest.approx(800)
    assert cost.judged == pytest.approx(400)  # from 100 at 1 to 1,600 at 64: half the way is a factor of 4
    assert not cost.is_measured


def test_beyond_the_last_budget_costs_go_on_but_never_faster_than_n() -> None:
    assert COSTS.at(Point("weighted_best_of_n", 256)).judged == pytest.approx(1600 * 4 ** (2 / 3))
    assert COSTS.at(Point("dvts", 8)).generated == pytest.approx(840)


def test_a_strategy_without_seconds_has_none() -> None:
    assert Costs([outcome("dvts", 4, 420)]).at(Point("dvts", 8)).seconds is None
