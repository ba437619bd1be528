"""The compute-optimal curve: at every budget, for each difficulty level the strategy that suits it best.

Choosing and measuring on the same problems would flatter the choice. So the problems of a level are cut in two, and
each half is answered by the strategy that did best on the other.

Source: Snell et al. 2024 (2408.03314), section 3.2, which chooses by two-fold cross-validation in each difficulty bin.
"""

import statistics
from collections.abc import Mapping, Sequence
from hashlib import blake2b

from search.evaluation.bootstrap import Interval, bootstrap
from search.evaluation.grid import Point
from search.evaluation.report import Report
from search.strategies import flat, trees

Shares = Mapping[str, Mapping[str, float]]
"""Of right answers, %, by strategy and problem."""


def compute_optimal(report: Report, n: int) -> Interval | None:
    """Return the accuracy, %, of the strategy that suits each level; None without levels or a choice."""
    chosen: list[float] = []
    for level in report.levels:
        shares = _shares(report, n, level)
        if len(shares) < 2:
            return None
        halves = _halves(shares)
        for own, other in (halves, halves[::-1]):
            name = _best(shares, other or own) if own else ""
            chosen += [shares[name][problem] for problem in own]
    return bootstrap(chosen) if chosen else None


def choices(report: Report, n: int) -> dict[int, str]:
    """Return the strategy with the highest accuracy for each level, of those that all its problems were given."""
    all_shares = {level: _shares(report, n, level) for level in report.levels}
    return {level: _best(shares, _problems(shares)) for level, shares in all_shares.items() if _problems(shares)}


def _shares(report: Report, n: int, level: int) -> Shares:
    singles = [row.name for row in (*flat(), *trees())]
    measured = {name: report.shares(Point(name, n), level) for name in singles}
    return {name: shares for name, shares in measured.items() if shares}


def _problems(shares: Shares) -> list[str]:
    """The problems that all strategies were given."""
    return sorted(set.intersection(*map(set, shares.values()))) if shares else []


def _halves(shares: Shares) -> tuple[list[str], list[str]]:
    """Cut the problems in two, in an order that depends on their texts alone."""
    problems = sorted(_problems(shares), key=lambda problem: blake2b(problem.encode()).digest())
    return problems[::2], problems[1::2]


def _best(shares: Shares, problems: Sequence[str]) -> str:
    """The strategy with the highest accuracy on `problems`; of equal ones the simpler."""
    return max(shares, key=lambda name: statistics.fmean(shares[name][problem] for problem in problems))
