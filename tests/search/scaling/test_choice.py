"""Which option meets a requirement, among few that can be told apart by eye."""

import numpy as np
import pytest

from search.evaluation.bootstrap import Interval
from search.evaluation.grid import Point
from search.scaling.choice import Requirement, best_of_each, choose
from search.scaling.options import Cost, Option


def option(
    strategy: str, n: int, draws: list[float], tokens: float, tail: float | None = 1.0, *, is_measured: bool = True
) -> Option:
    accuracy = Interval(float(np.median(draws)), min(draws), max(draws))
    cost = Cost(tokens, 0.0, 0.0, tail and tail / 2, tail)
    return Option("small", Point(strategy, n), {}, is_measured, accuracy, np.array(draws), cost)


CHEAP = option("majority", 4, [0.5, 0.5, 0.5, 0.5], 100)
GOOD = option("dvts", 16, [0.78, 0.80, 0.80, 0.82], 1000, tail=5.0)
DEAR = option("dvts", 64, [0.80, 0.802, 0.802, 0.86], 4000, tail=20.0)
OTHER = option("best_of_n", 64, [0.60, 0.70, 0.70, 0.90], 2000, tail=4.0)
GUESSED = option("dvts", 32, [0.9] * 4, 500, tail=9.0, is_measured=False)
ALL = [DEAR, CHEAP, OTHER, GOOD]


def test_an_accuracy_gets_the_cheapest_that_reaches_it_surely_enough() -> None:
    assert choose(ALL, Requirement(accuracy=0.79, chance=0.7)).option is GOOD
    assert choose(ALL, Requirement(accuracy=0.79, chance=0.9)).option is DEAR


def test_an_accuracy_that_nothing_reaches_gets_the_likeliest() -> None:
    choice = choose(ALL, Requirement(accuracy=0.85, chance=0.75))
    assert (choice.option, choice.is_met) == (DEAR, False)
    assert "Nothing reaches 85%" in choice.reason
    assert "with 25%" in choice.reason


def test_tokens_get_the_cheapest_that_is_within_a_point_of_the_best() -> None:
    assert choose(ALL, Requirement(budget_tokens=5000)).option is GOOD


def test_tokens_and_time_are_kept_within_together() -> None:
    assert choose(ALL, Requirement(budget_tokens=3000, deadline_s=4.5)).option is OTHER
    assert choose(ALL, Requirement(budget_tokens=1500, deadline_s=4.5)).option is CHEAP
    assert not choose(ALL, Requirement(accuracy=0.79, budget_tokens=500)).is_met


def test_what_was_not_measured_comes_behind_all_that_was() -> None:
    assert choose([*ALL, GUESSED], Requirement(accuracy=0.79, chance=0.7)).option is GOOD
    assert choose([*ALL, GUESSED], Requirement(budget_tokens=5000)).option is GOOD
    choice = choose([*ALL, GUESSED], Requirement(accuracy=0.87))
    assert (choice.option, choice.is_met) == (GUESSED, True)
    assert "not measured" in choice.reason


@pytest.mark.parametrize("requirement", [Requirement(budget_tokens=50), Requirement(0.1, deadline_s=0.5)])
def test_what_nothing_keeps_within_gets_the_nearest(requirement: Requirement) -> None:
    choice = choose(ALL, requirement)
    assert (choice.option, choice.is_met) == (CHEAP, False)
    assert "Nothing keeps within" in choice.reason


def test_what_nobody_timed_keeps_no_deadline_and_unknown_tokens_keep_no_budget() -> None:
    untimed = option("best_of_n", 4, [0.9] * 4, 10, tail=None)
    assert choose([untimed, CHEAP], Requirement(deadline_s=100)).option is CHEAP
    unknown = Option("small", Point("dvts", 4), {}, True, GOOD.accuracy, GOOD.draws, Cost(9.0, None, None, 1.0, 1.0))
    assert choose([unknown, CHEAP], Requirement(budget_tokens=1e9)).option is CHEAP


def test_the_best_of_every_configuration_comes_the_cheapest_first() -> None:
    assert best_of_each(ALL, Requirement(budget_tokens=5000)) == [CHEAP, GOOD, OTHER]
