"""Which alternative a wish gets, among few that can be told apart by eye."""

import numpy as np
import pytest

from search.evaluation.bootstrap import Interval
from search.evaluation.grid import Point
from search.scaling.advice import Wish, advise
from search.scaling.alternatives import Alternative, Basis
from search.scaling.costs import Cost


def alternative(
    strategy: str, n: int, draws: list[float], tokens: float, tail: float | None = 1.0, models: str = "small"
) -> Alternative:
    cost = Cost(tokens, 0.0, 0.0, tail and tail / 2, tail, is_measured=True)
    middle = Interval(float(np.median(draws)), min(draws), max(draws))
    return Alternative(models, Point(strategy, n), {}, Basis.MEASURED, middle, np.array(draws), cost)


CHEAP = alternative("majority", 4, [0.5, 0.5, 0.5, 0.5], 100)
GOOD = alternative("dvts", 16, [0.78, 0.80, 0.80, 0.82], 1000, tail=5.0)
DEAR = alternative("dvts", 64, [0.80, 0.802, 0.802, 0.86], 4000, tail=20.0)
OTHER = alternative("best_of_n", 64, [0.60, 0.70, 0.70, 0.90], 2000, tail=4.0)
ALL = [DEAR, CHEAP, OTHER, GOOD]


def test_an_accuracy_gets_the_cheapest_that_reaches_it_surely_enough() -> None:
    advice = advise(ALL, Wish(accuracy=0.79, chance=0.7))
    assert (advice.chosen, advice.is_possible, advice.chance) == (GOOD, True, 0.75)
    assert advise(ALL, Wish(accuracy=0.79, chance=0.9)).chosen is DEAR


def test_an_accuracy_that_nothing_reaches_gets_the_likeliest_and_what_is_possible() -> None:
    advice = advise(ALL, Wish(accuracy=0.85, chance=0.75))
    assert (advice.chosen, advice.is_possible, advice.chance) == (DEAR, False, 0.25)
    assert "Nothing reaches 85%" in advice.reason
    assert "with a chance of 75% dvts with N = 64 reaches 80.2%" in advice.reason


def test_tokens_get_the_cheapest_that_is_within_a_point_of_the_best() -> None:
    advice = advise(ALL, Wish(budget_tokens=5000))
    assert (advice.chosen, advice.is_possible) == (GOOD, True)
    assert advice.chance == 0.5  # .80 against .802 twice; .78 against .80 and .82 against .90 are a point and more


def test_tokens_and_time_are_kept_within_together() -> None:
    assert advise(ALL, Wish(budget_tokens=3000, deadline_s=4.5)).chosen is OTHER
    assert advise(ALL, Wish(budget_tokens=1500, deadline_s=4.5)).chosen is CHEAP
    assert not advise(ALL, Wish(accuracy=0.79, budget_tokens=500)).is_possible


@pytest.mark.parametrize("wish", [Wish(budget_tokens=50), Wish(deadline_s=0.5), Wish(accuracy=0.1, budget_tokens=50)])
def test_what_nothing_keeps_within_gets_the_nearest(wish: Wish) -> None:
    advice = advise(ALL, wish)
    assert (advice.chosen, advice.is_possible, advice.chance) == (CHEAP, False, 0.0)
    assert "Nothing keeps within" in advice.reason
    assert "100 tokens and 1.00 s" in advice.reason


def test_what_nobody_timed_keeps_no_deadline() -> None:
    untimed = alternative("best_of_n", 4, [0.9] * 4, 10, tail=None)
    assert advise([untimed, CHEAP], Wish(deadline_s=100)).chosen is CHEAP


def test_the_others_are_the_best_of_every_other_strategy() -> None:
    assert advise(ALL, Wish(budget_tokens=5000)).others == (OTHER, CHEAP)
    assert advise(ALL, Wish(accuracy=0.65, chance=0.6)).others == (OTHER, CHEAP)


@pytest.mark.parametrize(("tokens", "models"), [(1200, "small"), (800, "large")])
def test_a_small_model_with_many_candidates_competes_with_a_larger_one_that_answers_once(
    tokens: float, models: str
) -> None:
    large = alternative("majority", 1, [0.8] * 4, tokens, models="large")
    advice = advise([GOOD, large], Wish(accuracy=0.75))
    assert advice.chosen.models == models
    assert f" of {models} " in advice.reason
