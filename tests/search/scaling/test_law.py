"""Power laws against laws that are known, and what they say of their own error."""

import numpy as np
import pytest

from search.scaling.law import fit_law
from tests.search.scaling.growth import power_law

BUDGETS = (1, 4, 16, 64)


@pytest.mark.parametrize(("ceiling", "exponent"), [(0.9, 0.5), (0.6, 1.2), (0.95, 0.2)])
def test_a_law_without_noise_is_found_and_errs_by_nothing(ceiling: float, exponent: float) -> None:
    truth = power_law(0.3, ceiling, exponent)
    law = fit_law(BUDGETS, [truth(n) for n in BUDGETS])
    assert law
    assert (law.floor, law.ceiling, law.exponent) == pytest.approx((0.3, ceiling, exponent), abs=1e-3)
    assert law.at(256) == pytest.approx(truth(256), abs=1e-3)
    assert law.error < 1e-2


def test_compute_is_counted_in_units_of_the_smallest() -> None:
    truth = power_law(0.3, 0.9, 0.5)
    by_n, by_tokens = (fit_law([unit * n for n in BUDGETS], [truth(n) for n in BUDGETS]) for unit in (1, 150))
    assert by_n
    assert by_tokens
    assert by_tokens.at(150 * 32) == pytest.approx(by_n.at(32))


def test_the_error_is_the_largest_on_a_budget_that_was_left_out() -> None:
    """Accuracy that jumps to its ceiling at once and stays: every law through the other budgets misses 16 or 64."""
    stepped = [0.3, 0.35, 0.8, 0.8]
    law = fit_law(BUDGETS, stepped)
    assert law
    errors = []
    for place in (1, 2, 3):
        kept = [each for each in range(4) if each != place]
        found = best_by_hand([BUDGETS[each] for each in kept], [stepped[each] for each in kept])
        errors.append(abs(found(BUDGETS[place]) - stepped[place]))
    assert law.error == pytest.approx(max(errors), abs=0.02)  # the grid is coarse
    assert law.error > 0.1


def best_by_hand(budgets: list[int], accuracies: list[float]):  # type: ignore[no-untyped-def]  # a law
    """The best of a grid of laws."""
    laws = [
        power_law(accuracies[0], ceiling, exponent)
        for ceiling in np.linspace(accuracies[0], 1, 300)
        for exponent in np.geomspace(0.02, 3, 300)
    ]
    return min(laws, key=lambda law: sum((law(n) - seen) ** 2 for n, seen in zip(budgets, accuracies, strict=True)))


@pytest.mark.parametrize("accuracies", [[0.5, 0.4, 0.3, 0.2], [0.0] * 4, [1.0] * 4, [0.0, 1.0, 1.0, 1.0]])
def test_the_ceiling_lies_between_the_floor_and_one(accuracies: list[float]) -> None:
    law = fit_law(BUDGETS, accuracies)
    assert law
    assert accuracies[0] == law.floor <= law.ceiling <= 1
    assert 0 <= law.at(1024) <= 1


def test_too_few_budgets_and_budgets_that_cost_the_same_are_no_curve() -> None:
    assert fit_law((1, 4, 16), (0.1, 0.2, 0.3)) is None
    assert fit_law((1, 4, 4, 16), (0.1, 0.2, 0.2, 0.3)) is None
