"""How far the laws of `winnow plan` can be trusted: they learn from one half of the problems, without one N.

    python -m tests.bench.plan runs/eval/outcomes.jsonl [--halves 200]

For every strategy and every measured N but the smallest, the law is fitted to the other N on one half of the problems;
the accuracy that it foresees at the N left out is compared with what was measured there on the other half. "stated" is
the interval that the plan shows: of the law's own error and of the noise of as many problems. Needs no model and five
budgets at least; exits with 1 where less than 90 % of what was measured lies within the stated intervals.
"""

import argparse
import statistics
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from search.evaluation.grid import Point
from search.evaluation.outcomes import Evaluation, Outcome, read_evaluation
from search.scaling.options import Survey

BAR = 0.9


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outcomes", type=Path, help="A file of winnow eval --out.")
    parser.add_argument("--halves", type=int, default=200, help="How often the problems are halved.")
    parser.add_argument("--seed", type=int, default=0, help="Of the halves.")
    arguments = parser.parse_args()
    evaluation = read_evaluation(arguments.outcomes)
    found: dict[Point, list[tuple[bool, float, float]]] = defaultdict(list)
    random = np.random.default_rng(arguments.seed)
    for _ in tqdm(range(arguments.halves), "halves"):
        for point, hit, width, error in halved(evaluation, random):
            found[point].append((hit, width, error))
    table = Table("left out", "within the stated, %", "half-width, points", "error, points", title=evaluation.name)
    for point, rows in found.items():
        table.add_row(str(point), *(f"{100 * statistics.fmean(column):.1f}" for column in zip(*rows, strict=True)))
    Console(width=110).print(table)
    hits = [hit for rows in found.values() for hit, _, _ in rows]
    return 0 if hits and statistics.fmean(hits) >= BAR else 1


def halved(evaluation: Evaluation, random: np.random.Generator) -> list[tuple[Point, bool, float, float]]:
    """Return, for every point that can be left out, whether it lay within the interval, its half-width and error."""
    problems = random.permutation(sorted({outcome.problem for outcome in evaluation.outcomes}))
    learnt, asked = set(problems[::2]), set(problems[1::2])
    truth = survey(evaluation, tuple(o for o in evaluation.outcomes if o.problem in asked))
    rows = []
    for point in [option.point for option in truth.options if option.is_measured and option.point.n > 1]:
        kept = (o for o in evaluation.outcomes if o.problem in learnt and o.cell.point != point)
        options = {option.point: option for option in survey(evaluation, tuple(kept)).options}
        if guess := options.get(point):
            low, high, middle = guess.accuracy.low, guess.accuracy.high, guess.accuracy.mean
            measured = next(option.accuracy.mean for option in truth.options if option.point == point)
            rows.append((point, low <= measured <= high, (high - low) / 2, middle - measured))
    return rows


def survey(evaluation: Evaluation, outcomes: tuple[Outcome, ...]) -> Survey:
    """Return the options of some of the outcomes."""
    return Survey(Evaluation(evaluation.name, evaluation.made, outcomes), by_tokens=False, max_n=None, seed=0)


if __name__ == "__main__":
    sys.exit(main())
