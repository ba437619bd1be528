"""Accuracies and their resamples, against counts by hand."""

from dataclasses import replace

import numpy as np
import pytest

from search.evaluation.grid import Point
from search.evaluation.outcomes import Outcome
from search.scaling.evidence import Evidence, resample
from tests.search.scaling.growth import grow, power_law


def outcomes(strategy: str, n: int, *rights: str) -> list[Outcome]:
    """One string a seed, one letter a problem: y for a right answer, a blank where it was not asked."""
    return [
        Outcome(f"p{place}", None, strategy, n, seed, None, letter == "y", 10)
        for seed, right in enumerate(rights)
        for place, letter in enumerate(right)
        if letter != " "
    ]


COUNTS = np.array([[1.0, 1.0, 1.0, 1.0], [4.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 4.0]])
PROBLEMS = ("p0", "p1", "p2", "p3")
EVIDENCE = Evidence(
    [
        *outcomes("majority", 1, "ynnn"),
        *outcomes("dvts", 1, "yynn"),
        *outcomes("greedy", 1, "yyyy"),
        *outcomes("majority", 4, "yyn ", "nyn "),
        *outcomes("dvts", 16, "yyyn"),
    ],
    PROBLEMS,
    COUNTS,
)


def test_one_sample_is_the_floor_of_every_strategy_but_greedy() -> None:
    assert EVIDENCE.accuracy(Point("majority", 1)) == EVIDENCE.accuracy(Point("dvts", 1)) == 0.375
    assert EVIDENCE.accuracy(Point("greedy", 1)) == 1.0
    assert (EVIDENCE.budgets("dvts"), EVIDENCE.budgets("greedy")) == ([1, 16], [1])


def test_an_accuracy_is_the_mean_over_problems_of_the_mean_over_seeds() -> None:
    assert EVIDENCE.accuracy(Point("majority", 4)) == 0.5
    assert EVIDENCE.num_problems(Point("majority", 4)) == 3


def test_a_resample_counts_a_problem_as_often_as_it_has_it() -> None:
    assert EVIDENCE.draws(Point("dvts", 16)) == pytest.approx([0.75, 1.0, 0.0])


def test_a_resample_without_a_problem_of_the_point_says_nothing_new() -> None:
    assert EVIDENCE.draws(Point("majority", 4)) == pytest.approx([0.5, 0.5, 0.5])


def test_two_budgets_are_no_curve() -> None:
    assert EVIDENCE.forecast("dvts", (1, 16), (1.0, 16.0)) is None


def test_more_budget_for_no_more_compute_is_no_curve() -> None:
    evidence = Evidence(grow("dvts", power_law(0.2, 0.9, 0.5), (1, 4, 16), 4), PROBLEMS, COUNTS)
    assert evidence.forecast("dvts", (1, 4, 16), (100.0, 400.0, 400.0)) is None


def test_other_problems_are_left_out() -> None:
    one = Evidence(outcomes("dvts", 16, "nyyy"), ["p0"], np.ones((1, 1)))
    assert one.accuracy(Point("dvts", 16)) == 0.0


def test_a_forecast_depends_on_the_seed_alone() -> None:
    kept = grow("dvts", power_law(0.2, 0.9, 0.5), (1, 4, 16), 50)
    shuffled = [replace(outcome) for outcome in reversed(kept)]
    problems = [f"p{place}" for place in range(50)]
    draws = []
    for outcomes_, seed in ((kept, 1), (shuffled, 1), (kept, 2)):
        forecast = Evidence(outcomes_, problems, resample(50, 20, seed), seed).forecast("dvts", (1, 4, 16), (1, 4, 16))
        assert forecast
        draws.append(forecast.at(64.0).tolist())
    assert draws[0] == draws[1] != draws[2]
