"""Measures the answers on `../shared/data`: `python -m tests.bench.answers`.

Labelled pairs against exact strings and, where it is installed, Math-Verify; with each, majority and weighted votes
over real samples; the time that a pool takes over the answers of MATH-500; hostile answers. Use an idle machine for the
times.

The golds of every file of problems in `--data`, and `--drawn` values beside them, are written in equal spellings and as
near misses (`mutations.py`): splits and merges are counted by kind, every merge is printed, and the first splits. Over
20,000 of these spellings the laws are checked: equivalence is symmetric, and transitive where units do not count; the
key of a number is its own key.
"""

import argparse
import asyncio
import logging
import random
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from importlib.util import find_spec
from itertools import chain, islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from models.files import UnreadableFileError
from search.answers.canonical import Form, answer_form, answer_key, equivalent
from search.answers.extract import Boxes, extract_answer
from search.answers.pool import AnswerPool
from search.evaluation.tasks import read_tasks
from tests.bench.mutations import Mutations, generate
from tests.search.answers.shared_data import FOLDER, hostile_answers, read_rows

SAMPLES = ("gsm8k_model_samples.jsonl", "math_model_samples.jsonl")
NUM_ANSWERS = 256

NUM_JUDGES = 20
NUM_LAWFUL = 20_000
SHOWN_SPLITS = 40

Equivalence = Callable[[str, str], bool]
Weight = Callable[[dict[str, Any]], float]


def by_string(one: str, other: str) -> bool:
    """Answers are the same string."""
    return one == other


def by_key(one: str, other: str) -> bool:
    """Answers have the same canonical key."""
    return answer_key(one) == answer_key(other)


def by_equivalence(one: str, other: str) -> bool:
    """Answers have the same key, and no two different units."""
    return equivalent(one, other)


def by_math_verify(one: str, other: str) -> bool:
    """Math-Verify says so with either of the two as the gold answer: voting knows no gold."""
    import math_verify  # type: ignore[import-untyped,import-not-found,unused-ignore]  # where it is installed, untyped

    parsed = [math_verify.parse(f"${text}$") for text in (one, other)]
    return bool(math_verify.verify(*parsed) or math_verify.verify(*reversed(parsed)))


def measure_pairs(name: str, is_equivalent: Equivalence, folder: Path, table: Table) -> None:
    """Judge the labelled pairs."""
    rows = read_rows("answer_pairs.jsonl", folder)
    started = time.perf_counter()
    verdicts = [is_equivalent(row["gold"], row["pred"]) for row in rows]
    elapsed = time.perf_counter() - started
    right = sum(verdict is row["equal"] for verdict, row in zip(verdicts, rows, strict=True))
    merges = sum(verdict and not row["equal"] for verdict, row in zip(verdicts, rows, strict=True))
    table.add_row(name, f"{right / len(rows):.1%} of {len(rows)}", str(merges), f"{elapsed / len(rows) * 1e3:.2f} ms")


def measure_votes(name: str, is_equivalent: Equivalence, folder: Path, table: Table) -> None:
    """Let the samples of each problem vote; right is what the data say of half of the elected class or more.

    The samples come without scores. For the weighted vote they get those of a seeded judge with noise, who prefers the
    right one of two samples four times in five; the mean over 20 such judges.
    """
    votes: dict[str, list[Weight]] = {"majority": [lambda _: 1.0], "weighted": [*map(noisy_judge, range(NUM_JUDGES))]}
    for vote, weights in votes.items():
        cells = []
        for file in SAMPLES:
            classes = [_classes(row["samples"], is_equivalent) for row in read_rows(file, folder)]
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


def public_golds(folder: Path) -> Iterator[str]:
    """Yield the right answers of every file of problems in a folder."""
    for path in sorted(folder.glob("*.json*")):
        try:
            yield from dict.fromkeys(task.answer for task in read_tasks(path).tasks)
        except UnreadableFileError:
            continue  # a file of something else


def measure_mutations(mutations: Sequence[Mutations], table: Table) -> list[str]:
    """Count equal spellings that split and near misses that merge; return every merge, and the first splits."""
    counts: Counter[tuple[str, str]] = Counter()
    merges, splits = [], []
    for each in mutations:
        first = each.equal[0]
        split = [text for text in each.equal[1:] if not equivalent(first, text)]
        merged = [text for text in each.near if equivalent(first, text)]
        numbers = {"equal": len(each.equal) - 1, "split": len(split), "near": len(each.near), "merged": len(merged)}
        counts.update({(kind, name): number for kind in (each.kind, "all") for name, number in numbers.items()})
        merges += [f"merged, {each.kind}: {first!r} and {text!r}" for text in merged]
        splits += [f"split, {each.kind}: {first!r} and {text!r}" for text in split]
    for kind in dict.fromkeys(kind for kind, _ in counts):
        equals, apart, nears, together = (counts[kind, name] for name in ("equal", "split", "near", "merged"))
        share = f"{1 - apart / max(equals, 1):.2%}"
        table.add_row(kind, f"{equals:,}", f"{apart:,}", share, f"{nears:,}", f"{together:,}")
    return [*merges, *splits[:SHOWN_SPLITS]]


def measure_laws(texts: Sequence[str], table: Table) -> None:
    """Check that keys make an equivalence, which units only refine, and that numbers are their own keys."""
    forms = {text: answer_form(text) for text in texts}
    dice = random.Random(0)
    classes: dict[str, list[str]] = {}
    for text, form in forms.items():
        classes.setdefault(form.key, []).append(text)
    pairs = [tuple(dice.sample(members, 2)) for members in classes.values() if len(members) > 1]
    pairs += [tuple(dice.sample(texts, 2)) for _ in range(len(texts) // 4)]
    asymmetric = sum(equivalent(a, b) is not equivalent(b, a) for a, b in pairs)
    unlike = sum(
        (forms[a].key == forms[b].key) is not equivalent(a, b)
        for a, b in pairs
        if not _differ_in_unit(forms[a], forms[b])
    )
    numbers = [key for key in classes if re.fullmatch(r"-?\d+(/\d+)?", key)]
    moved = sum(answer_key(key) != key for key in numbers)
    changed = sum(answer_form(text) != form for text, form in forms.items())
    table.add_row("answers, classes", f"{len(forms):,}, {len(classes):,}")
    table.add_row("pairs that are equivalent one way only", f"{asymmetric} of {len(pairs):,}")
    table.add_row("pairs without two units where keys and equivalence differ", str(unlike))
    table.add_row("answers with another key the second time", str(changed))
    table.add_row("keys of numbers that are not their own key", f"{moved} of {len(numbers):,}")


def _differ_in_unit(one: Form, other: Form) -> bool:
    return None not in (one.unit, other.unit) and one.unit != other.unit


def measure_extraction(folder: Path, table: Table) -> None:
    """Extract the answers of real samples anew; the data hold what was extracted when they were made."""
    for file in SAMPLES:
        samples = [sample for row in read_rows(file, folder) for sample in row["samples"]]
        found = [(extract_answer(each["text"]), each["answer"]) for each in samples]
        stated = [(one, other) for one, other in found if one is not None and other is not None]
        rows = sum(
            extract_answer(each["text"], Boxes.LAST) != one for each, (one, _) in zip(samples, found, strict=True)
        )
        another = sum(not equivalent(one, other) for one, other in stated)
        table.add_row(file, f"{len(samples):,}", f"{len(stated):,}", f"{another:,}", f"{rows:,}")


async def measure_times(folder: Path, table: Table) -> None:
    """Read different answers through a pool that is started for them, again through the same pool, and hostile ones."""
    answers = sorted({row["answer"] for row in read_rows("math500.jsonl", folder)})
    first, second = answers[:NUM_ANSWERS], [f"{answer} + 1" for answer in answers[:NUM_ANSWERS]]
    started = time.perf_counter()
    async with AnswerPool() as pool:
        table.add_row("start of two workers", _ms(time.perf_counter() - started))
        for name, texts in (("just started", first), ("warm", second), ("known", second)):
            took = await _time(asyncio.gather(*map(pool.canonicalise, texts)))
            table.add_row(f"{len(texts)} different answers, {name}", _ms(took))
        hostile = [await _time(pool.canonicalise(text)) for _, text in hostile_answers(folder)]
        table.add_row(f"slowest of {len(hostile)} hostile answers", _ms(max(hostile)))
        table.add_row("answers over their limit", str(pool.counters.num_timeouts + pool.counters.num_failures))


async def _time(work: Awaitable[Any]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms"


def main(folder: Path, num_drawn: int, seed: int) -> int:
    """Print the tables."""
    logging.disable(logging.WARNING)  # Math-Verify reports every answer that it cannot parse
    equivalences = {"exact string": by_string, "canonical key": by_key, "key and unit": by_equivalence}
    if find_spec("math_verify"):
        equivalences["Math-Verify, either order"] = by_math_verify
    pairs = Table("labelled pairs", "right", "false merges", "time a pair")
    votes = Table("answers are", "vote", *SAMPLES)
    for name, is_equivalent in equivalences.items():
        measure_pairs(name, is_equivalent, folder, pairs)
        measure_votes(name, is_equivalent, folder, votes)
    times = Table("pool", "time or number")
    asyncio.run(measure_times(folder, times))
    extraction = Table("samples", "in all", "answer stated", "another than on file", "another with Boxes.LAST")
    measure_extraction(folder, extraction)
    mutations = list(generate([*dict.fromkeys(public_golds(folder))], num_drawn, seed))
    spellings = Table("kind", "equal spellings", "split", "merged, %", "near misses", "merged")
    found = measure_mutations(mutations, spellings)
    laws = Table("laws", "number")
    every = chain.from_iterable(
        (*each.equal, *each.near) for each in random.Random(seed).sample(mutations, len(mutations))
    )
    measure_laws(list(islice(dict.fromkeys(every), NUM_LAWFUL)), laws)
    Console().print(pairs, votes, extraction, spellings, laws, times)
    Console().print(*found, sep="\n", markup=False, highlight=False)
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=FOLDER, help="Folder with the labelled data and files of problems."
    )
    parser.add_argument("--drawn", type=int, default=3_000, help="Values that are drawn, beside the golds.")
    parser.add_argument("--seed", type=int, default=0, help="Of the values and of what is near them.")
    arguments = parser.parse_args()
    sys.exit(main(arguments.data, arguments.drawn, arguments.seed))
