"""Measures the answers on `../shared/data`: `python -m tests.bench.answers`.

Labelled pairs against exact strings and, where it is installed, Math-Verify; with each, majority and weighted votes
over real samples; the time that a pool takes over the answers of MATH-500; hostile answers. Use an idle machine for the
times.
"""

import asyncio
import logging
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from importlib.util import find_spec
from typing import Any

from rich.console import Console
from rich.table import Table

from search.answers.canonical import answer_key
from search.answers.pool import AnswerPool
from tests.search.answers.shared_data import hostile_answers, read_rows

SAMPLES = ("gsm8k_model_samples.jsonl", "math_model_samples.jsonl")
NUM_ANSWERS = 256

NUM_JUDGES = 20

Equivalence = Callable[[str, str], bool]
Weight = Callable[[dict[str, Any]], float]


def by_string(one: str, other: str) -> bool:
    """Answers are the same string."""
    return one == other


def by_key(one: str, other: str) -> bool:
    """Answers have the same canonical key."""
    return answer_key(one) == answer_key(other)


def by_math_verify(one: str, other: str) -> bool:
    """Math-Verify says so with either of the two as the gold answer: voting knows no gold."""
    import math_verify  # type: ignore[import-untyped,import-not-found,unused-ignore]  # where it is installed, untyped

    parsed = [math_verify.parse(f"${text}$") for text in (one, other)]
    return bool(math_verify.verify(*parsed) or math_verify.verify(*reversed(parsed)))


def measure_pairs(name: str, is_equivalent: Equivalence, table: Table) -> None:
    """Judge the labelled pairs."""
    rows = read_rows("answer_pairs.jsonl")
    started = time.perf_counter()
    verdicts = [is_equivalent(row["gold"], row["pred"]) for row in rows]
    elapsed = time.perf_counter() - started
    right = sum(verdict is row["equal"] for verdict, row in zip(verdicts, rows, strict=True))
    merges = sum(verdict and not row["equal"] for verdict, row in zip(verdicts, rows, strict=True))
    table.add_row(name, f"{right / len(rows):.1%} of {len(rows)}", str(merges), f"{elapsed / len(rows) * 1e3:.2f} ms")


def measure_votes(name: str, is_equivalent: Equivalence, table: Table) -> None:
    """Let the samples of each problem vote; right is what the data say of half of the elected class or more.

    The samples come without scores. For the weighted vote they get those of a seeded judge with noise, who prefers the
    right one of two samples four times in five; the mean over 20 such judges.
    """
    votes: dict[str, list[Weight]] = {"majority": [lambda _: 1.0], "weighted": [*map(noisy_judge, range(NUM_JUDGES))]}
    for vote, weights in votes.items():
        cells = []
        for file in SAMPLES:
            classes = [_classes(row["samples"], is_equivalent) for row in read_rows(file)]
            shares = [statistics.fmean(_is_elected_right(each, weight) for each in classes) for weight in weights]
            cells.append(f"{statistics.fmean(shares):.1%} of {len(classes)}")
        table.add_row(name, vote, *cells)


def noisy_judge(seed: int) -> Weight:
    """Score samples in [0, 1]: the right ones 1.2 standard deviations higher on the average."""

    def score(sample: dict[str, Any]) -> float:
        mean = 0.62 if _is_right(sample) else 0.38
        return min(max(random.Random(f"{seed} {sample['text']}").gauss(mean, 0.2), 0.0), 1.0)

    return score


def _classes(samples: Sequence[dict[str, Any]], is_equivalent: Equivalence) -> list[list[dict[str, Any]]]:
    classes: list[list[dict[str, Any]]] = []
    for sample in (sample for sample in samples if sample["answer"] is not None):
        found = (members for members in classes if is_equivalent(members[0]["answer"], sample["answer"]))
        members = next(found, None)
        if members is None:
            classes.append([sample])
        else:
            members.append(sample)
    return classes


def _is_elected_right(classes: Sequence[list[dict[str, Any]]], weight: Weight) -> bool:
    winner = max(classes, key=lambda members: sum(map(weight, members)), default=[])
    return bool(winner) and 2 * sum(map(_is_right, winner)) >= len(winner)


def _is_right(sample: dict[str, Any]) -> bool:
    return bool(sample.get("is_correct", sample.get("is_correct_upstream")))


async def measure_times(table: Table) -> None:
    """Read different answers through a pool that is started for them, again through the same pool, and hostile ones."""
    answers = sorted({row["answer"] for row in read_rows("math500.jsonl")})
    first, second = answers[:NUM_ANSWERS], [f"{answer} + 1" for answer in answers[:NUM_ANSWERS]]
    started = time.perf_counter()
    async with AnswerPool() as pool:
        table.add_row("start of two workers", _ms(time.perf_counter() - started))
        for name, texts in (("just started", first), ("warm", second), ("known", second)):
            took = await _time(asyncio.gather(*map(pool.canonicalise, texts)))
            table.add_row(f"{len(texts)} different answers, {name}", _ms(took))
        hostile = [await _time(pool.canonicalise(text)) for _, text in hostile_answers()]
        table.add_row(f"slowest of {len(hostile)} hostile answers", _ms(max(hostile)))
        table.add_row("answers over their limit", str(pool.counters.num_timeouts + pool.counters.num_failures))


async def _time(work: Awaitable[Any]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms"


def main() -> int:
    """Print the three tables."""
    logging.disable(logging.WARNING)  # Math-Verify reports every answer that it cannot parse
    equivalences = {"exact string": by_string, "canonical key": by_key}
    if find_spec("math_verify"):
        equivalences["Math-Verify, either order"] = by_math_verify
    pairs = Table("labelled pairs", "right", "false merges", "time a pair")
    votes = Table("answers are", "vote", *SAMPLES)
    for name, is_equivalent in equivalences.items():
        measure_pairs(name, is_equivalent, pairs)
        measure_votes(name, is_equivalent, votes)
    times = Table("pool", "time or number")
    asyncio.run(measure_times(times))
    Console().print(pairs, votes, times)
    return 0


if __name__ == "__main__":
    sys.exit(main())
