"""Scaling laws against laws that are known."""

import numpy as np
import pytest

from search.evaluation.grid import Point
from search.scaling.evidence import Evidence, resample
from search.scaling.scaling import CEILING, Array, Law, Path, Scale, fit_forecast, fit_law
from tests.search.scaling.growth import grow, power_law

COMPUTE = np.array([1.0, 4.0, 16.0, 64.0])
DEVIATIONS = np.full(4, 0.02)
NUM_PROBLEMS = 100_000
"""Of laws without noise: half a problem is nothing."""

LEEWAY = 1.05
"""By how much the squares of a fit may exceed the least: log-odds are weighed by a linear approximation."""


def logistic(value: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-value)))


@pytest.mark.parametrize(("ceiling", "exponent"), [(0.9, 0.5), (0.6, 1.2), (0.95, 0.2)])
def test_a_law_without_noise_is_found(ceiling: float, exponent: float) -> None:
    accuracies = ceiling - (ceiling - 0.3) * COMPUTE**-exponent
    law = fit_law(Scale.ACCURACY, accuracies[None], COMPUTE, DEVIATIONS, NUM_PROBLEMS)
    # the grid of exponents has steps of 6.5 %, and what it is off by the ceiling makes up for
    assert law.exponent[0] == pytest.approx(exponent, rel=0.04)
    assert law.ceiling[0] == pytest.approx(ceiling, abs=0.03)
    assert law.at(256.0)[0] == pytest.approx(ceiling - (ceiling - 0.3) * 256**-exponent, abs=0.01)


def test_a_law_in_log_odds_is_found() -> None:
    accuracies = logistic(2.0 - 3.0 * COMPUTE**-0.5)
    law = fit_law(Scale.LOG_ODDS, accuracies[None], COMPUTE, DEVIATIONS, NUM_PROBLEMS)
    assert law.ceiling[0] == pytest.approx(logistic(np.array(2.0)), abs=0.01)
    assert law.exponent[0] == pytest.approx(0.5, rel=0.07)


@pytest.mark.parametrize("scale", Scale)
def test_no_other_law_fits_much_better(scale: Scale) -> None:
    accuracies = np.array([0.1, 0.5, 0.75, 0.8])
    law = fit_law(scale, accuracies[None], COMPUTE, DEVIATIONS, NUM_PROBLEMS)
    floor, top = (0.1, 1.0) if scale is Scale.ACCURACY else (np.log(1 / 9), np.log(CEILING / (1 - CEILING)))
    gains, exponents = np.meshgrid(np.linspace(0, top - floor, 400), np.geomspace(0.02, 3, 400))
    values = floor + gains * (1 - COMPUTE[:, None, None] ** -exponents)
    fitted = values if scale is Scale.ACCURACY else logistic(values)
    best = ((fitted - accuracies[:, None, None]) ** 2).sum(axis=0).min()
    own = np.array([law.at(compute)[0] for compute in COMPUTE])
    assert ((own - accuracies) ** 2).sum() < LEEWAY * best


@pytest.mark.parametrize("scale", Scale)
@pytest.mark.parametrize("accuracies", [[0.5, 0.4, 0.3, 0.2], [0.0, 0.0, 0.0, 0.0], [1.0] * 4, [0.0, 1.0, 1.0, 1.0]])
def test_the_floor_is_measured_and_the_ceiling_lies_between_it_and_one(scale: Scale, accuracies: list[float]) -> None:
    law = fit_law(scale, np.array([accuracies]), COMPUTE, DEVIATIONS, 100)
    half = 0.0 if scale is Scale.ACCURACY else 0.005
    assert law.at(1.0)[0] == pytest.approx(accuracies[0], abs=half)
    assert law.at(1.0)[0] <= law.ceiling[0] <= max(1.0 if scale is Scale.ACCURACY else CEILING, law.at(1.0)[0])


def test_a_doubling_is_worth_it_as_long_as_it_gains_a_point() -> None:
    half, flat = np.array([1.0]), np.array([0.0])
    assert Law(Scale.ACCURACY, flat, half, np.array([1.0])).worth_until(0.01) == [64]  # 1/32 - 1/64 is above 1 %
    assert Law(Scale.ACCURACY, half, flat, np.array([1.0])).worth_until(0.01) == [1]


def path(bend: float, pace: float) -> Path:
    return Path(np.array([[0.2, 0.4, 0.8, 0.9]]), COMPUTE, np.array([bend]), np.array([pace]))


def test_a_path_goes_through_what_was_measured_and_is_straight_without_a_bend() -> None:
    assert [path(3.0, 0.5).at(compute)[0] for compute in COMPUTE] == pytest.approx([0.2, 0.4, 0.8, 0.9])
    assert path(1.0, 0.0).at(8.0)[0] == pytest.approx(0.6)
    assert path(4.0, 0.0).at(8.0)[0] == pytest.approx(0.4 + 0.4 / 16)


def test_beyond_the_largest_budget_a_path_goes_on_at_its_pace() -> None:
    assert [path(1.0, pace).at(256.0)[0] for pace in (-0.5, 0.0, 1.0)] == pytest.approx([0.85, 0.9, 1.0])
    assert path(1.0, 1.0).at(4096.0)[0] == 1.0


def test_a_forecast_is_as_sure_as_its_shapes_agree() -> None:
    forecast = fit_forecast(np.tile([0.2, 0.5, 0.7, 0.8], (50, 1)), COMPUTE, DEVIATIONS, 500, np.random.default_rng(0))
    near, far = (np.ptp(forecast.at(compute)) for compute in (64.0, 1024.0))
    assert forecast.at(8.0).tolist() == [v for shape in (*forecast.laws, forecast.path) for v in shape.at(8.0)]
    assert near < 0.02 < far


def test_the_law_of_a_world_lies_within_its_intervals() -> None:
    """95 % of the time each: 60 intervals, of which 8 or more miss with a chance of 0.7 %."""
    law, misses = power_law(0.3, 0.9, 0.6), 0
    for seed in range(20):
        outcomes = grow("best_of_n", law, (1, 4, 16, 64), 400, seed)
        problems = [f"p{place}" for place in range(400)]
        evidence = Evidence(outcomes, problems, resample(400, 300, seed))
        forecast = evidence.forecast("best_of_n", (1, 4, 16, 64), COMPUTE.tolist())
        assert forecast
        drawn = forecast.laws[0]
        for truth, draws in ((0.9, drawn.ceiling), (0.6, drawn.exponent), (law(256), forecast.at(256.0))):
            low, high = np.quantile(draws, [0.025, 0.975])
            misses += not low <= truth <= high
    assert misses < 8


def test_what_was_not_measured_is_predicted_from_the_rest() -> None:
    law = power_law(0.3, 0.9, 0.6)
    outcomes = grow("best_of_n", law, (1, 4, 16, 64), 400)
    evidence = Evidence(outcomes, [f"p{place}" for place in range(400)], resample(400, 300, 0))
    for n in (4, 16, 64):
        others = [each for each in (1, 4, 16, 64) if each != n]
        forecast = evidence.forecast("best_of_n", others, others)
        assert forecast
        low, high = np.quantile(forecast.at(n), [0.025, 0.975])
        assert low <= evidence.accuracy(Point("best_of_n", n)) <= high
