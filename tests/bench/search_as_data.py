"""One round of search as data: what the demo policy gains by training on what a search over it chose.

    python -m tests.bench.search_as_data OUT [--problems 1000] [--held-out 500]

Solves problems that neither the pair nor the test has seen, with DVTS and N = 16; exports the responses that were
chosen with a score of at least .9, whether they are right or not; trains the policy on them; and draws 16 responses to
each held-out problem from the policy before and after, judged by the same verifier. All by winnow's own commands, each
of which goes on from what lies in OUT.
"""

import argparse
import asyncio
import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from search.answers.pool import AnswerPool
from search.evaluation.bootstrap import Interval, bootstrap
from search.evaluation.grading import is_right
from search.evaluation.tasks import Task
from server.cli.demo_tasks import demo_tasks
from tests.bench.running import running
from tests.conftest import DEMO
from tests.server.processes import WINNOW

TRAINING_SEED, TEST_SEED = 71, 72
N = 16
AT_ONCE = 8
MIN_SCORE = "0.9"
TRAINING = ("--epochs", "3", "--batch-size", "64", "--learning-rate", "5e-4")


class Found(NamedTuple):
    """What 16 responses to a problem are worth: the share that is right, and the votes' answers."""

    pass_at_1: float
    majority: float
    weighted: float


def winnow(*arguments: str) -> float:
    """Run a command of winnow and return the seconds it took."""
    started = time.perf_counter()
    subprocess.run([str(WINNOW), *arguments], check=True)
    return time.perf_counter() - started


def write_problems(file: Path, tasks: Sequence[Task]) -> None:
    """Write problems for `winnow solve --file`."""
    rows = ({"problem": task.problem, "seed": seed} for seed, task in enumerate(tasks))
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def found_of(policy: Path, tasks: Sequence[Task], out: Path) -> list[Found]:
    """Draw and grade the responses of a policy, or read what an earlier run found."""
    if out.exists():
        return [Found(*row) for row in json.loads(out.read_text())]
    found = asyncio.run(draw(policy, tasks, out.stem))
    out.write_text(json.dumps(found))
    return found


async def draw(policy: Path, tasks: Sequence[Task], name: str) -> list[Found]:
    """Draw and grade the responses of a policy."""
    async with (
        AnswerPool() as answers,
        running("--policy-model", str(policy), "--verifier-model", str(DEMO / "prm")) as service,
        service.client() as client,
    ):
        places = asyncio.Semaphore(AT_ONCE)
        with Progress(console=Console(stderr=True)) as progress:
            bar = progress.add_task(name, total=len(tasks))

            async def ask(task: Task) -> Found:
                async with places:
                    found = await grade(client, answers, task)
                progress.advance(bar)
                return found

            return list(await asyncio.gather(*map(ask, tasks)))


async def grade(client: httpx.AsyncClient, answers: AnswerPool, task: Task) -> Found:
    """Draw and grade the responses to one problem."""
    body = {"problem": task.problem, "n": N, "strategy": "weighted_best_of_n", "early_stop": False, "seed": 1}
    reply = (await client.post("/solve", json=body)).raise_for_status().json()
    right = [await _is_right(answers, task, candidate["answer"]) for candidate in reply["candidates"]]
    voted = [vote for vote in reply["votes"] if vote["answer"] is not None]
    majority = max(voted, key=lambda vote: vote["count"], default=None)
    return Found(
        sum(right) / N,
        await _is_right(answers, task, majority["answer"] if majority else None),
        await _is_right(answers, task, reply["answer"]),
    )


async def _is_right(answers: AnswerPool, task: Task, answer: Any) -> float:
    return float(answer is not None and await is_right(answers, task, answer))


def percent(interval: Interval) -> str:
    """Write an interval in percent."""
    return (
        " ".join(f"{100 * value:.1f}" for value in interval[:1])
        + f" ({100 * interval[1]:.1f} to {100 * interval[2]:.1f})"
    )


def show(before: Sequence[Found], after: Sequence[Found], seconds: dict[str, float]) -> None:
    """Print the table, and what it cost."""
    table = Table("%", "before", "after", "difference", title=f"{len(before)} held-out problems, {N} responses each")
    for name in Found._fields:
        pairs = [(getattr(one, name), getattr(other, name)) for one, other in zip(before, after, strict=True)]
        columns = [bootstrap([one for one, _ in pairs]), bootstrap([other for _, other in pairs])]
        table.add_row(name, *map(percent, columns), percent(bootstrap([other - one for one, other in pairs])))
    console = Console(width=110)
    console.print(table)
    console.print("seconds: " + ", ".join(f"{name} {value:.0f}" for name, value in seconds.items()))


def main(out: Path, num_problems: int, num_held_out: int) -> None:
    """Run one round and print what it gained."""
    out.mkdir(parents=True, exist_ok=True)
    test = demo_tasks(TEST_SEED, num_held_out)
    seen = {task.problem for task in test}
    training = [task for task in demo_tasks(TRAINING_SEED, num_problems + num_held_out) if task.problem not in seen]
    problems, searches, chosen, policy = (
        out / name for name in ("problems.jsonl", "searches.jsonl", "chosen.jsonl", "policy")
    )
    write_problems(problems, training[:num_problems])
    asked = ("--file", str(problems), "--out", str(searches), "--strategy", "dvts", "--n", str(N))
    seconds = {"search": winnow("solve", *asked)}
    rows = ("--format", "prompt-completion", "--min-score", MIN_SCORE, "--dedup", "--out", str(chosen))
    seconds["export"] = winnow("export", str(searches), *rows)
    if not (policy / "report.json").exists():
        data = ("--policy", str(DEMO / "policy"), "--data", str(chosen), "--out", str(policy))
        seconds["training"] = winnow("train-policy", *data, *TRAINING)
    before = found_of(DEMO / "policy", test, out / "before.json")
    after = found_of(policy, test, out / "after.json")
    show(before, after, seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--problems", type=int, default=1000)
    parser.add_argument("--held-out", type=int, default=500)
    arguments = parser.parse_args()
    main(arguments.out, arguments.problems, arguments.held_out)
