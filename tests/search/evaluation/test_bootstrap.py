"""Bootstrapped intervals against what is known of the mean of a sample."""

import math
import random

import pytest

from search.evaluation.bootstrap import bootstrap, bootstrap_ratio


def test_the_interval_is_the_normal_one_where_that_holds() -> None:
    mean, low, high = bootstrap([0.0, 1.0] * 200)
    half = 1.96 * math.sqrt(0.25 / 400)
    # 0.01: a percentile of 2,000 resamples lies within about three of its standard errors, 0.003 each
    assert (mean, low, high) == pytest.approx((0.5, 0.5 - half, 0.5 + half), abs=0.01)


def test_equal_values_leave_no_doubt() -> None:
    assert bootstrap([0.25] * 9) == (0.25, 0.25, 0.25)


def test_more_confidence_is_a_wider_interval() -> None:
    values = [float(number) for number in range(50)]
    sure, surer = bootstrap(values, confidence=0.8), bootstrap(values, confidence=0.99)
    assert surer.low < sure.low < sure.high < surer.high


def test_a_ratio_is_one_of_sums_and_its_interval_knows_the_pairs() -> None:
    assert bootstrap_ratio([1.0, 8.0], [2.0, 16.0]) == (0.5, 0.5, 0.5)
    mean, low, high = bootstrap_ratio([1.0, 3.0] * 50, [2.0, 2.0] * 50)
    assert mean == 1.0
    # the ratio to a constant is a mean: its standard error is 0.5 / sqrt(100)
    assert (low, high) == pytest.approx((1 - 1.96 * 0.05, 1 + 1.96 * 0.05), abs=0.01)


def test_the_order_in_which_problems_ended_moves_no_interval() -> None:
    values = [0.0] * 30 + [100.0] * 70
    mixed = random.Random(1).sample(values, len(values))
    assert bootstrap(mixed) == bootstrap(values)
    weights = [float(number) for number in range(1, 101)]
    places = random.Random(2).sample(range(100), 100)
    shuffled = bootstrap_ratio([values[place] for place in places], [weights[place] for place in places])
    assert shuffled == bootstrap_ratio(values, weights)
