"""How far `winnow plan` can be trusted: it learns from one half of the problems and predicts the other half.

    python -m tests.bench.plan runs/eval/outcomes.jsonl [--halves 200]

A cell is a strategy at an N that was measured; N = 1 is one cell, since it is one sample for every strategy. The
prediction for a cell is the 95 % interval of the accuracy that will be measured on the other half: the draws of the
plan and the sampling noise of that half. "known": the half that is learnt from has this N too, and the curve goes by
it. "left out": it has not, so that the curve is read between the others or beyond them. Needs no model; exits with 1
where less than 90 % of the known cells lie within their intervals.
"""

import argparse
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from search.evaluation.grid import Point
from search.evaluation.outcomes import Outcome, read_evaluation
from search.scaling.costs import Costs
from search.scaling.evidence import Evidence, resample
from search.scaling.scaling import Array

NUM_RESAMPLES = 300
BAR = 0.9


@dataclass(slots=True)
class Score:
    """How the predictions for a cell went, over the halves."""

    hits: list[bool] = field(default_factory=list)
    half_widths: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)

    def add(self, draws: Array, noise: Array, measured: float) -> None:
        """Note a prediction and what was measured."""
        low, high = np.quantile(draws + noise, [0.025, 0.975])
        self.hits.append(bool(low <= measured <= high))
        self.half_widths.append(100 * float(high - low) / 2)
        self.errors.append(100 * float(np.median(draws) - measured))


class Halves:
    """Predictions over random halves.

    Args:
        outcomes: Of one pair of models.
        seed: Of the halves and the noise.
    """

    def __init__(self, outcomes: Sequence[Outcome], seed: int) -> None:
        self._outcomes = outcomes
        self._problems = sorted({outcome.problem for outcome in outcomes})
        self._random = np.random.default_rng(seed)
        self._costs = Costs(outcomes)
        self.known: dict[Point, Score] = defaultdict(Score)
        self.left_out: dict[Point, Score] = defaultdict(Score)

    def run(self, axis: str) -> None:
        """Halve the problems once more, and predict every cell."""
        shuffled = list(self._random.permutation(self._problems))
        learnt, asked = shuffled[::2], shuffled[1::2]
        evidence = Evidence(
            self._outcomes, learnt, resample(len(learnt), NUM_RESAMPLES, int(self._random.integers(2**32)))
        )
        truth = Evidence(self._outcomes, asked, np.ones((1, len(asked))))
        first = next((name for name in evidence.strategies if name != "greedy"), None)
        for strategy in evidence.strategies:
            budgets = evidence.budgets(strategy)
            for n in (n for n in budgets if n > 1 or strategy in ("greedy", first)):
                point = Point(strategy, n)
                known = self._predict(evidence, point, budgets, axis)
                draws = evidence.draws(point) if known is None else known
                self._score(self.known[point], draws, evidence.deviation(point), truth, point)
                others = [each for each in budgets if each != n]
                if n > budgets[0] and (unseen := self._predict(evidence, point, others, axis)) is not None:
                    middle = float(np.median(unseen))
                    self._score(self.left_out[point], unseen, (middle * (1 - middle)) ** 0.5, truth, point)

    def _predict(self, evidence: Evidence, point: Point, budgets: Sequence[int], axis: str) -> Array | None:
        compute = [self._compute(Point(point.strategy, n), axis) for n in budgets]
        forecast = evidence.forecast(point.strategy, budgets, compute)
        return None if forecast is None else forecast.at(self._compute(point, axis) / compute[0])

    def _compute(self, point: Point, axis: str) -> float:
        return point.n if axis == "n" else self._costs.at(point).tokens

    def _score(self, score: Score, draws: Array, deviation: float, truth: Evidence, point: Point) -> None:
        """The noise of the other half is that of as many problems, which spread by `deviation`."""
        spread = deviation / truth.num_problems(point) ** 0.5
        score.add(draws, self._random.normal(0, spread, len(draws)), truth.accuracy(point))


def show(halves: Halves, title: str) -> float:
    """Print the table and return the share of known cells within their intervals."""
    table = Table("cell", "known: within, %", "+-", "error", "left out: within, %", "+-", "error", title=title)
    for point in halves.known:
        table.add_row(str(point), *_row(halves.known[point]), *_row(halves.left_out.get(point)))
    table.add_section()
    table.add_row("all", *_row(_pool(halves.known)), *_row(_pool(halves.left_out)))
    Console(width=110).print(table)
    return statistics.fmean(_pool(halves.known).hits)


def _row(score: Score | None) -> list[str]:
    if score is None or not score.hits:
        return ["", "", ""]
    hits, width, error = (statistics.fmean(values) for values in (score.hits, score.half_widths, score.errors))
    return [f"{100 * hits:.1f}", f"{width:.1f}", f"{error:+.1f}"]


def _pool(scores: dict[Point, Score]) -> Score:
    pooled = Score()
    for score in scores.values():
        pooled.hits += score.hits
        pooled.half_widths += score.half_widths
        pooled.errors += score.errors
    return pooled


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outcomes", type=Path, help="A file of winnow eval --out.")
    parser.add_argument("--halves", type=int, default=200, help="How often the problems are halved.")
    parser.add_argument("--compute", choices=["n", "tokens"], default="n", help="What the curves are drawn against.")
    parser.add_argument("--seed", type=int, default=0, help="Of the halves.")
    arguments = parser.parse_args()
    evaluation = read_evaluation(arguments.outcomes)
    halves = Halves(evaluation.outcomes, arguments.seed)
    for _ in tqdm(range(arguments.halves), "halves"):
        halves.run(arguments.compute)
    share = show(halves, f"{evaluation.name}, {arguments.halves} halves; half-widths and errors in points")
    return 0 if share >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
