"""From traces to a calibration table.

For every budget several probes are tried, each with every way to go on that the traces tell of; the cheapest is taken
that is as good as the best strategy alone, in cross-validation. A budget may also be spent by one strategy as a whole,
which is all that the smallest allow. Where the policy's template turns thoughts on and off, everything is tried with
thoughts and without.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search.calibration.choosing import (
    STOP,
    Allocation,
    Allocations,
    Choice,
    choose,
    confidences,
    cross_validate,
    fit_confidence,
    is_as_good,
    most_accurate,
    names_of,
    spend,
)
from search.calibration.table import Budget, Difficulty, Knots, Spending
from search.calibration.traces import Trace, TracedCandidate, elect
from search.confidence import Confidence
from search.strategies import Parts, Row, calibrated, flat, strategies, trees
from search.voting import Selection

PROBES = (4, 8, 16)
"""Budgets that a probe may have."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Traces of the same problems, in the same order.

    Attributes:
        by_strategy: By name, then by budget. Of strategies whose searches hold smaller ones, the largest budget alone,
            without early stopping; independent responses are those of the first strategy that draws them.
        beam_width: M of the tree searches.
        thinks: Whether the policy was asked to think; None: as its template has it.
    """

    by_strategy: Mapping[str, Mapping[int, Sequence[Trace]]]
    beam_width: int
    thinks: bool | None = None

    @property
    def responses(self) -> Sequence[Trace]:
        """Independent responses."""
        return self.traces(_drawing().name, 1)

    def traces(self, strategy: str, n: int) -> Sequence[Trace]:
        """Return traces that hold a search of `strategy` with the budget `n`; empty where none does."""
        row = strategies()[strategy]
        if row.has_beams and n % self.beam_width:
            return ()
        if row.parts is Parts.NONE:
            return self.by_strategy.get(strategy, {}).get(n, ())
        source = _drawing().name if row.parts is Parts.RESPONSES else strategy
        return next(iter(self.by_strategy.get(source, {}).values()), ())

    def alone(self, strategy: str, n: int) -> Allocation | None:
        """Return a strategy that spends all of `n`; None where that was not measured."""
        traces = self.traces(strategy, n)
        voters = [trace.first(n) for trace in traces]
        selection = strategies()[strategy].selection
        return _way(voters, [_cost(trace, n, strategy) for trace in traces], selection) if voters else None

    def after(self, probe: str, probe_n: int, rest: str, rest_n: int, grid: "Grid | None" = None) -> Allocation | None:
        """Return a probe that is followed by another search, of `grid` if given; None where that was not measured."""
        grid = grid or self
        first, second = self.traces(probe, probe_n), grid.traces(rest, rest_n)
        if (probe, self.thinks) == (rest, grid.thinks):
            return self.alone(probe, probe_n + rest_n)
        voters = [(*one.first(probe_n), *two.first(rest_n)) for one, two in zip(first, second, strict=bool(second))]
        tokens = [one.tokens(probe_n) + two.tokens(rest_n) for one, two in zip(first, second, strict=bool(second))]
        return _way(voters, tokens) if second else None

    def spending(self, strategy: str) -> Spending:
        """Return the strategy as the table names it."""
        beam_width = self.beam_width if strategies()[strategy].has_beams else None
        return Spending(strategy=strategy, beam_width=beam_width, thinks=self.thinks)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a budget may be spent, and what that is worth.

    Attributes:
        probe: Its strategy.
        probe_n: Its budget.
        choices: What follows, by bin.
        rests: What may follow, by the names of the allocations.
        confidence: Of the probe's answer.
        expected: Cross-validated.
        found: With the choices made, on the problems they were made from.
        allocations: To go on after the probe.
        final_confidence: Of the answers of those that went on; they are not like the others.
    """

    probe: Spending
    probe_n: int
    choices: Sequence[Choice]
    rests: Mapping[str, Spending]
    confidence: Confidence
    expected: Allocation
    found: Allocation
    allocations: Allocations
    final_confidence: Confidence


def _drawing() -> Row:
    """The strategy whose responses stand for those of all that draw independent ones."""
    return next(row for row in calibrated() if row.parts is Parts.RESPONSES)


def plan_budget(grids: Sequence[Grid], n: int) -> Plan:
    """Return how to spend the budget `n`.

    Args:
        grids: Of the same problems, one for each way to ask the policy for thoughts.
        n: N, the budget.
    """
    wholes = [
        _whole(grid.spending(row.name), n, allocation)
        for grid in grids
        for row in calibrated()
        if (allocation := grid.alone(row.name, n))
    ]
    alone = {plan.probe.name: plan.expected for plan in wholes}
    best = alone[most_accurate(alone)]
    plans = [*wholes, *(plan for grid in grids for plan in _plans(grid, grids, n))]
    good = [plan for plan in plans if is_as_good(plan.expected.right, best.right)]
    return min(good, key=lambda plan: float(plan.expected.tokens.mean()))


def _plans(grid: Grid, grids: Sequence[Grid], n: int) -> Iterator[Plan]:
    """Yield the plans whose probe is of `grid`, and whose rest is of any."""
    names = [row.name for row in calibrated()]
    rests = {spending.name: spending for each in grids for spending in map(each.spending, names)}
    for probe in (name for name in names if strategies()[name].parts is not Parts.NONE):
        for probe_n in (size for size in PROBES if size < n):
            if stop := grid.alone(probe, probe_n):
                allocations = {STOP: stop} | {
                    each.spending(rest).name: allocation
                    for each in grids
                    for rest in names
                    if (allocation := grid.after(probe, probe_n, rest, n - probe_n, each))
                }
                confidence = fit_confidence(stop.support, stop.right)
                sure = confidences(stop, confidence)
                choices = choose(allocations, sure)
                expected, found = cross_validate(allocations), spend(allocations, sure, choices)
                went_on = np.array([name != STOP for name in names_of(sure, choices)])
                final = fit_confidence(found.support[went_on], found.right[went_on]) if went_on.any() else confidence
                yield Plan(
                    grid.spending(probe), probe_n, choices, rests, confidence, expected, found, allocations, final
                )


def _whole(spending: Spending, n: int, allocation: Allocation) -> Plan:
    choice = Choice(0.0, STOP, len(allocation.right), float(allocation.right.mean()))
    confidence = fit_confidence(allocation.support, allocation.right)
    return Plan(spending, n, [choice], {}, confidence, allocation, allocation, {STOP: allocation}, confidence)


def row_of(n: int, plan: Plan, seconds: Sequence[float], tokens: Sequence[float]) -> Budget:
    """Return the row of the table for a plan.

    Args:
        n: N, the budget.
        plan: How it is spent.
        seconds: That the plan took for problems on their own.
        tokens: That it generated and judged for them.
    """
    bins = [
        Difficulty(
            floor=round(choice.floor, 4),
            rest=plan.rests.get(choice.allocation),  # None where nothing follows
            problems=choice.num_problems,
            accuracy=round(choice.accuracy, 3),
        )
        for choice in plan.choices
    ]
    return Budget(
        n=n,
        probe=plan.probe,
        probe_n=plan.probe_n,
        bins=bins,
        confidence=knots_of(plan.confidence),
        final_confidence=knots_of(plan.final_confidence),
        accuracy=round(float(plan.expected.right.mean()), 3),
        tokens=_mean_and_most(tokens, 0),
        seconds=_mean_and_most(seconds, 3),
    )


def confidence_of(grid: Grid, budgets: Sequence[int]) -> dict[str, dict[int, Knots]]:
    """Return the maps of every strategy and budget that the traces tell of."""
    table: dict[str, dict[int, Knots]] = {}
    for strategy in (row.name for row in (*flat(), *trees())):
        alone = grid.by_strategy.get(strategy, {}) if strategies()[strategy].parts is Parts.NONE else {}
        for n in sorted({*budgets, *alone}):
            if allocation := grid.alone(strategy, n):
                table.setdefault(strategy, {})[n] = knots_of(fit_confidence(allocation.support, allocation.right))
    return table


def knots_of(confidence: Confidence) -> Knots:
    """Return a map as the table writes it."""
    return list(zip(confidence.supports, confidence.probabilities, strict=True))


def _cost(trace: Trace, n: int, strategy: str) -> float:
    return (
        float(sum(grown.tokens for grown in trace.first(n))) if not strategies()[strategy].judges else trace.tokens(n)
    )


def _way(
    voters: Sequence[Sequence[TracedCandidate]], tokens: Sequence[float], selection: Selection = Selection.WEIGHTED
) -> Allocation:
    verdicts = [elect(candidates, selection) for candidates in voters]
    right = np.array([verdict.is_right for verdict in verdicts])
    return Allocation(right, np.array([verdict.support for verdict in verdicts]), np.array(tokens, dtype=float))


def _mean_and_most(values: Sequence[float], digits: int) -> tuple[float, float]:
    return round(statistics.fmean(values), digits), round(statistics.quantiles(values, n=20)[-1], digits)
