"""Chooses how a compute-optimal search spends a budget, from what was measured on problems whose answers are known.

Problems are put into bins by how sure a probe is of its answer. In each bin the way to go on is the one that is most
accurate over all problems, unless another is better in this bin by more than two standard errors. Then the easiest bins
stop after the probe: as many of them as leave the accuracy over all problems as good, problem by problem, within a
margin of one point and two standard errors. What is said of the accuracy is cross-validated: chosen on one half of the
problems, measured on the other.

Source: Snell et al. 2024 (2408.03314), section 3.2, for bins and two-fold cross-validation; isotonic regression for the
probability. Beyond the source: the choice to stop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression  # type: ignore[import-untyped]  # it has no types

from search.calibration.table import MAX_KNOTS, MIN_PER_KNOT
from search.confidence import Confidence

NUM_BINS = 5
MARGIN = 0.01
"""A point of accuracy: what is not worse by more is as good."""

Flags = NDArray[np.bool_]
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Allocation:
    """A way to spend a budget after a probe, measured on P problems.

    Attributes:
        right: Whether probe and rest together answer right, (P,).
        support: Of their answer, (P,).
        tokens: Generated and judged by both, (P,).
    """

    right: Flags
    support: Numbers
    tokens: Numbers

    def at(self, problems: NDArray[np.intp]) -> "Allocation":
        """Return it on some of the problems."""
        return Allocation(self.right[problems], self.support[problems], self.tokens[problems])


Allocations = Mapping[str, Allocation]
"""By name; the one called STOP is the probe itself."""
STOP = "stop"


@dataclass(frozen=True, slots=True)
class Choice:
    """What is chosen for the problems of a bin.

    Attributes:
        floor: Least confidence after the probe.
        allocation: Name of the way.
        num_problems: In the bin.
        accuracy: Of the way on them.
    """

    floor: float
    allocation: str
    num_problems: int
    accuracy: float


def fit_confidence(support: Numbers, right: Flags) -> Confidence:
    """Return the map from support to the probability of being right: isotonic over groups of equally many problems."""
    order = np.argsort(support, kind="stable")
    groups = np.array_split(order, min(MAX_KNOTS, max(len(order) // MIN_PER_KNOT, 1)))
    means = [float(support[group].mean()) for group in groups]
    weights = [float(len(group)) for group in groups]
    fitted = isotonic_regression([float(right[group].mean()) for group in groups], weights=weights).x
    knots: dict[float, float] = {}  # groups of one support are one knot
    for mean, probability in zip(means, fitted, strict=True):
        knots[round(mean, 4)] = round(float(probability), 4)
    return Confidence(tuple(knots), tuple(knots.values()))


def confidences(allocation: Allocation, confidence: Confidence) -> Numbers:
    """Return how probable it is that each problem is answered right, (P,)."""
    return np.array([confidence.at(value) for value in allocation.support])


def choose(allocations: Allocations, sure: Numbers, num_bins: int = NUM_BINS) -> list[Choice]:
    """Return what to do in each bin, the easiest first; the last has a floor of 0.

    Args:
        allocations: Of which one is the probe itself.
        sure: How easy each problem is, (P,), in [0, 1].
        num_bins: Into how many quantiles the problems are split.
    """
    bins = _split(sure, num_bins)
    going_on = {name: allocation for name, allocation in allocations.items() if name != STOP} or allocations
    usual = most_accurate(going_on)
    names = [
        _best_in({name: allocation.at(members) for name, allocation in going_on.items()}, usual) for _, members in bins
    ]
    never = np.concatenate([going_on[name].right[members] for name, (_, members) in zip(names, bins, strict=True)])
    stopping = np.concatenate([allocations[STOP].right[members] for _, members in bins])
    ends = np.cumsum([len(members) for _, members in bins])
    for place, end in enumerate(ends):
        if is_as_good(np.concatenate([stopping[:end], never[end:]]), never):
            names[: place + 1] = [STOP] * (place + 1)
    return [
        Choice(floor, name, len(members), float(allocations[name].right[members].mean()))
        for name, (floor, members) in zip(names, bins, strict=True)
    ]


def _split(sure: Numbers, num_bins: int) -> list[tuple[float, NDArray[np.intp]]]:
    """Return the floor and the members of each bin, the easiest first: quantiles, of which equal ones are one."""
    floors = {float(np.quantile(sure, place / num_bins)) for place in range(1, num_bins)}
    bins, ceiling = [], np.inf
    for floor in [*sorted(floors - {float(sure.min())}, reverse=True), 0.0]:
        members = np.flatnonzero((sure >= floor) & (sure < ceiling))
        if len(members):
            bins.append((floor, members))
            ceiling = floor
    return [*bins[:-1], (0.0, bins[-1][1])]


def _best_in(allocations: Allocations, usual: str) -> str:
    """Return the most accurate allocation in a bin by name: the usual one unless one is better beyond two errors."""
    better = {
        name: allocation
        for name, allocation in allocations.items()
        if _low(allocation.right, allocations[usual].right) > 0
    }
    return most_accurate(better) if better else usual


def most_accurate(allocations: Allocations) -> str:
    """Return the name of the way that is right most often; of equals the one with fewer tokens."""
    return max(allocations, key=lambda name: (allocations[name].right.mean(), -allocations[name].tokens.mean()))


def is_as_good(right: Flags, best: Flags) -> bool:
    """Tell whether the accuracy is lower by less than the margin, two standard errors of the difference allowed for."""
    return _low(right, best) > -MARGIN


def _low(right: Flags, other: Flags) -> float:
    """Return the difference of two accuracies, problem by problem, less two standard errors."""
    difference = right.astype(float) - other.astype(float)
    return float(difference.mean() - 2 * difference.std() / len(difference) ** 0.5)


def spend(allocations: Allocations, sure: Numbers, choices: Sequence[Choice]) -> Allocation:
    """Return what the choices make of every problem, of which `sure` says how easy each is."""
    taken = names_of(sure, choices)
    return Allocation(
        np.array([allocations[name].right[place] for place, name in enumerate(taken)]),
        np.array([allocations[name].support[place] for place, name in enumerate(taken)]),
        np.array([allocations[name].tokens[place] for place, name in enumerate(taken)]),
    )


def names_of(sure: Numbers, choices: Sequence[Choice]) -> list[str]:
    """Return the name of the way that is chosen for each problem, of which `sure` says how easy it is."""
    return [next(choice.allocation for choice in choices if value >= choice.floor) for value in sure]


def cross_validate(allocations: Allocations, oracle: Numbers | None = None, seed: int = 0) -> Allocation:
    """Return what two-fold cross-validation makes of every problem: map, bins and choices come from the other half.

    Args:
        allocations: Of which one is the probe itself.
        oracle: How easy each problem is, (P,); None predicts it from the probe.
        seed: Of the halves.
    """
    num_problems = len(allocations[STOP].right)
    halves = np.array_split(np.random.default_rng(seed).permutation(num_problems), 2)
    right, support, tokens = (np.zeros(num_problems) for _ in range(3))
    for ours, theirs in (halves, halves[::-1]):
        known, new = (
            {name: allocation.at(half) for name, allocation in allocations.items()} for half in (ours, theirs)
        )
        if oracle is None:
            confidence = fit_confidence(known[STOP].support, known[STOP].right)
            easy, new_easy = confidences(known[STOP], confidence), confidences(new[STOP], confidence)
        else:
            easy, new_easy = oracle[ours], oracle[theirs]
        found = spend(new, new_easy, choose(known, easy))
        right[theirs], support[theirs], tokens[theirs] = found.right, found.support, found.tokens
    return Allocation(right.astype(bool), support, tokens)
