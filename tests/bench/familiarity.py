"""Which measure tells problems that the demo was not made for from its own, and at what false alarms.

    python -m tests.bench.familiarity [--limit 500] [--data ../shared/data]
    python -m tests.bench.familiarity --searches 12
    python -m tests.bench.familiarity --pair ~/.cache/winnow/real/SmolLM2-135M-Instruct

Every measure is fitted on problems of the demo, its limit set on 1,000 others at 2 and 5 % false alarms, and then it is
shown the 500 held-out problems of `make eval` and the sets of tests/unfamiliar.py. Log probabilities are those of the
prompt's tokens under the policy, by a plain forward of transformers. `--searches` asks the service for some problems
of each set (the demo's engines, `auto`, N = 8), and prints what a search says of them. `--pair` takes GSM8K and
MATH-500 for the problems of another pair: 150 to fit, 150 for the limit, 100 held out, the others unfamiliar.
"""

import argparse
import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any
from zlib import crc32

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest  # type: ignore[import-untyped]  # it has no types

from search.calibration.familiarity import phrases_of, pieces_of, see
from server.cli.client import open_client, post_solve
from server.cli.demo_tasks import demo_tasks
from server.settings import DEMO, Settings
from tests.unfamiliar import DATA, LANGUAGES, benchmarks, sets

RATES = (0.02, 0.05)
HELD_OUT, TO_LIMIT = 500, 1_000
WINDOW = 8
"""Tokens."""
DIMENSIONS = 4_096
TRIVIA = [
    *("What is the capital of France?", "Who wrote Hamlet?", "Write a haiku about autumn.", "How do I boil an egg?"),
    *(
        "Name the largest planet in the solar system.",
        "What year did the second world war end?",
        "Why is the sky blue?",
    ),
    *("Explain photosynthesis to a child.", "Write a Python function that reverses a list.", "Who painted Mona Lisa?"),
    *("What is the chemical symbol for gold?", "Which river flows through London?", "What does HTTP stand for?"),
    *("Give me three tips for better sleep.", "What is the fastest land animal?", "Compose an email that says no."),
]
Measure = Callable[[str], float]
"""From a problem to how strange it is."""


def of_parts(cut: Callable[[str], Iterable[str]], problems: Sequence[str]) -> Measure:
    """The share of parts that were not seen."""
    seen = {part for problem in problems for part in cut(problem)}

    def share(problem: str) -> float:
        return fmean(part not in seen for part in cut(problem))

    return share


def with_digits(problem: str) -> Iterator[str]:
    """Yield each four characters in a row, numbers as they are."""
    return (f"\x02{problem}\x03"[start : start + 4] for start in range(max(len(problem) - 2, 0) + 1))


def of_bits(problems: Sequence[str]) -> Measure:
    """The measure of the calibration table."""
    found = see(problems)
    assert found is not None
    return found[0].novelty


def nearest(problems: Sequence[str]) -> Measure:
    """One less the cosine to the nearest problem, by counts of four characters."""
    vectors = np.stack([_vector(problem) for problem in problems])
    return lambda problem: 1.0 - float((vectors @ _vector(problem)).max())


def _vector(problem: str) -> Any:
    vector = np.zeros(DIMENSIONS, dtype=np.float32)
    for piece in pieces_of(problem):
        vector[crc32(piece.encode()) % DIMENSIONS] += 1
    return vector / max(float(np.linalg.norm(vector)), 1.0)


class LogProbs:
    """Log probabilities of a prompt's tokens under a policy, kept for the measures that are read from them."""

    def __init__(self, policy: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        torch.set_num_threads(1)
        self._torch: Any = torch
        self._tokenizer = AutoTokenizer.from_pretrained(policy)
        self._model: Any = AutoModelForCausalLM.from_pretrained(policy, dtype=torch.float32)  # which is in eval mode
        self._kept: dict[str, Any] = {}

    def of(self, problem: str) -> Any:
        if problem not in self._kept:
            from models.training.documents import encode_prompt

            ids = self._torch.tensor([encode_prompt(self._tokenizer, problem)[:1024]])
            with self._torch.inference_mode():
                log_probs = self._model(ids).logits[0, :-1].log_softmax(-1)
            self._kept[problem] = log_probs.gather(1, ids[0, 1:, None])[:, 0].numpy()
        return self._kept[problem]

    def measures(self) -> Mapping[str, Measure]:
        return {
            "policy: mean log probability": lambda problem: -float(self.of(problem).mean()),
            f"policy: lowest window of {WINDOW} tokens": lambda problem: -float(min(_windows(self.of(problem)))),
            "policy: lowest token": lambda problem: -float(self.of(problem).min()),
        }


def _windows(values: Any) -> Iterator[float]:
    for start in range(max(len(values) - WINDOW, 0) + 1):
        yield float(values[start : start + WINDOW].mean())


@dataclass(frozen=True, slots=True)
class Shown:
    """How a measure does.

    Attributes:
        alarms: Share of familiar problems above the limit.
        found: Share of each set above the limit.
    """

    alarms: str
    found: Mapping[str, str]


def show(
    measure: Measure, rate: float, others: Sequence[str], familiar: Sequence[str], unfamiliar: Mapping[str, Any]
) -> Shown:
    """Set the limit on other familiar problems, and say what is above it."""
    strange = sorted(map(measure, others))
    limit = strange[min(int(np.ceil((len(strange) + 1) * (1 - rate))), len(strange)) - 1]
    return Shown(
        _share([measure(problem) > limit for problem in familiar]),
        {name: _share([measure(problem) > limit for problem in problems]) for name, problems in unfamiliar.items()},
    )


def _share(flags: Sequence[bool]) -> str:
    interval = binomtest(sum(flags), len(flags)).proportion_ci(method="wilson")
    return f"{100 * sum(flags) / len(flags):.1f} ({100 * interval.low:.0f}-{100 * interval.high:.0f})"


def compare(
    console: Console,
    measures: Mapping[str, Measure],
    others: Sequence[str],
    familiar: Sequence[str],
    unfamiliar: Mapping[str, Sequence[str]],
) -> None:
    """Print a table for each rate of false alarms: a row for each set, a column for each measure."""
    for rate in RATES:
        started, shown = time.perf_counter(), {}
        for name, measure in measures.items():
            shown[name] = show(measure, rate, others, familiar, unfamiliar)
        table = Table("%", *shown, title=f"limit for {rate:.0%} false alarms ({time.perf_counter() - started:.0f} s)")
        table.add_row(f"false alarms ({len(familiar)})", *(each.alarms for each in shown.values()))
        for name, problems in unfamiliar.items():
            table.add_row(f"{name} ({len(problems)})", *(each.found[name] for each in shown.values()))
        console.print(table)


def of_texts(problems: Sequence[str]) -> dict[str, Measure]:
    """Return the measures that need no model."""
    few = problems[:300]
    return {
        f"of the table: pieces and phrases, {len(problems)} problems": of_bits(problems),
        f"the same, {len(few)}": of_bits(few),
        "pieces": of_parts(pieces_of, problems),
        "pieces, digits as they are": of_parts(with_digits, problems),
        "phrases": of_parts(phrases_of, problems),
        "nearest problem": nearest(problems),
    }


def demo(console: Console, options: argparse.Namespace) -> None:
    """Compare the measures on the demo's problems."""
    familiar = [task.problem for task in demo_tasks(0, HELD_OUT)]
    unfamiliar = sets(familiar, options.data, seed=options.seed)
    if options.searches:
        kinds = {"held out": familiar} | unfamiliar
        asyncio.run(search(console, {name: problems[: options.searches] for name, problems in kinds.items()}))
        return
    texts = [task.problem for task in demo_tasks(1, options.fitted + TO_LIMIT + HELD_OUT)]
    rest = [text for text in texts if text not in set(familiar)]
    fitted, others = rest[: options.fitted], rest[options.fitted : options.fitted + TO_LIMIT]
    some = {name: problems[: options.limit] for name, problems in unfamiliar.items()}
    compare(console, of_texts(fitted), others, familiar, some)
    few = {name: problems[: options.prompts] for name, problems in unfamiliar.items()}
    compare(console, LogProbs(DEMO / "policy").measures(), others, familiar, few)
    cost(console, fitted)


async def search(console: Console, kinds: Mapping[str, Sequence[str]]) -> None:
    """Print what searches say of problems of each kind: means."""
    table = Table("mean", "agreement", "score_mean", "probe_confidence", "called unfamiliar, %", title="auto, N = 8")
    async with open_client(None, Settings()) as client:
        for name, problems in kinds.items():
            replies = [await post_solve(client, {"problem": problem, "n": 8, "seed": 0}) for problem in problems]
            found = [reply["diagnostics"] for reply in replies]
            table.add_row(
                name,
                *(f"{fmean(each[field] or 0.0 for each in found):.2f}" for field in ("agreement", "score_mean")),
                f"{fmean(reply['strategy'].get('probe_confidence') or 0.0 for reply in replies):.2f}",
                _share([each["familiar"] is False for each in found]),
            )
    console.print(table)


def pair(console: Console, options: argparse.Namespace) -> None:
    """Compare the measures where the problems are those of a benchmark, and the policy a pretrained one."""
    found = benchmarks(options.data)
    log_probs = LogProbs(options.pair)
    for name, problems in found.items():
        problems = Random(options.seed).sample(problems, len(problems))
        fitted, others, familiar = problems[:150], problems[150:300], problems[300:400]
        unfamiliar = {
            **{other: texts[:100] for other, texts in found.items() if other != name},
            "the demo's": [task.problem for task in demo_tasks(0, 50)],
            "questions and wishes": TRIVIA,
            "other languages": list(LANGUAGES),
        }
        console.rule(name)
        compare(console, of_texts(fitted), others, familiar, unfamiliar)
        compare(console, log_probs.measures(), others, familiar, unfamiliar)


def cost(console: Console, problems: Sequence[str]) -> None:
    """Print how long it takes to compare a problem."""
    novelty = of_bits(problems)
    for size in (50, 500, 65_536):
        text = " ".join(problems)[:size]
        started = time.perf_counter()
        for _ in range(repeats := max(100_000 // size, 3)):
            novelty(text)
        console.print(f"{size:,} characters: {1e3 * (time.perf_counter() - started) / repeats:.3f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fitted", type=int, default=5_000, help="Problems of the demo to learn from.")
    parser.add_argument("--limit", type=int, default=500, help="Most problems of a set.")
    parser.add_argument("--prompts", type=int, default=200, help="The same, for log probabilities.")
    parser.add_argument("--searches", type=int, default=0, help="Search so many problems of each set instead.")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--pair", type=Path, help="A policy whose problems are those of benchmarks.")
    options = parser.parse_args()
    console = Console(width=200)
    if options.pair:
        pair(console, options)
    else:
        demo(console, options)


if __name__ == "__main__":
    main()
