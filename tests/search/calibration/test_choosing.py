"""What is chosen for a budget, on problems whose laws are known."""

import numpy as np
import pytest

from search.calibration.choosing import (
    STOP,
    Allocation,
    Flags,
    Numbers,
    choose,
    cross_validate,
    fit_confidence,
    is_as_good,
)
from search.confidence import Confidence

NUM_PROBLEMS = 500
EASE = np.linspace(1, 0, NUM_PROBLEMS)


def allocation(right: Flags | list[bool], tokens: float, support: Numbers | None = None) -> Allocation:
    flags = np.array(right)
    return Allocation(flags, np.zeros(len(flags)) if support is None else support, np.full(len(flags), tokens))


def world() -> dict[str, Allocation]:
    """Problems from easy to hard: a probe solves the easier half, each of two strategies half of the others."""
    trees, beams = (EASE > 0.25), (EASE > 0.5) | (EASE < 0.25)
    return {
        STOP: allocation(EASE > 0.5, 1, EASE),
        "dvts": allocation(trees, 4, EASE),
        "beam_search": allocation(beams, 4, EASE),
    }


def test_easy_bins_stop_and_each_harder_one_gets_what_does_best_there() -> None:
    choices = choose(world(), EASE, num_bins=4)
    assert [choice.allocation for choice in choices] == [STOP, STOP, "dvts", "beam_search"]
    assert [choice.num_problems for choice in choices] == [125] * 4
    assert [choice.accuracy for choice in choices] == [1.0] * 4
    assert choices[-1].floor == 0.0
    assert [choice.floor for choice in choices[:-1]] == pytest.approx([0.75, 0.5, 0.25], abs=0.01)


def test_nothing_stops_where_that_would_cost_answers() -> None:
    allocations = {STOP: allocation(EASE > 2, 1, EASE), "dvts": allocation(EASE > 0.5, 4, EASE)}
    assert {choice.allocation for choice in choose(allocations, allocations[STOP].support)} == {"dvts"}


def test_without_a_way_to_go_on_everything_stops() -> None:
    assert {choice.allocation for choice in choose({STOP: world()[STOP]}, EASE)} == {STOP}


def test_problems_that_are_all_equally_sure_are_one_bin() -> None:
    allocations = {STOP: allocation([True] * 50, 1, np.full(50, 0.7)), "dvts": allocation([True] * 50, 4)}
    assert [(choice.floor, choice.allocation) for choice in choose(allocations, allocations[STOP].support)] == [
        (0.0, STOP)
    ]


def test_the_choices_hold_on_the_other_half_of_the_problems() -> None:
    found = cross_validate(world())
    assert found.right.mean() == pytest.approx(
        0.75, abs=0.05
    )  # all hard problems are equally sure: one allocation for them
    assert found.tokens.mean() == pytest.approx(2.5, abs=0.3)  # half of the problems stop at 1, the others spend 4


def test_with_an_oracle_of_difficulty_each_bin_gets_its_own() -> None:
    assert cross_validate(world(), EASE).right.mean() > 0.95


@pytest.mark.parametrize(
    ("lost", "won", "expected"), [(0, 0, True), (1, 1, True), (10, 0, False), (0, 10, True), (10, 10, False)]
)
def test_as_good_means_that_no_more_than_a_point_can_be_lost(lost: int, won: int, expected: bool) -> None:
    best = np.array([True] * 250 + [False] * 250)
    right = best.copy()
    right[:lost] = False
    right[250 : 250 + won] = True
    assert is_as_good(right, best) is expected


def test_the_fitted_confidence_is_calibrated_on_other_problems() -> None:
    random = np.random.default_rng(0)
    support = random.uniform(size=4000)
    right = random.uniform(size=4000) < support**2
    fitted = fit_confidence(support[:2000], right[:2000])
    said = np.array([fitted.at(value) for value in support[2000:]])
    groups = np.array_split(np.argsort(said), 10)
    errors = [abs(said[group].mean() - right[2000:][group].mean()) for group in groups]
    assert np.mean(errors) < 0.05


def test_the_fitted_confidence_of_one_support_is_one_knot() -> None:
    fitted = fit_confidence(np.ones(40), np.array([True, False] * 20))
    assert fitted == Confidence((1.0,), (0.5,))
