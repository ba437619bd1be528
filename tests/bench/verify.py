"""What checking answers by substitution does to the vote, on linear equations: `python -m tests.bench.verify`.

    winnow serve &
    python -m tests.bench.verify [--url http://127.0.0.1:8000] [--problems 60]

Each strategy answers the same problems with and without `verify`, from the same seeds; the service itself grades the
answers. Seconds are of one problem after another, without and with in turn.
"""

import argparse
import asyncio
import time
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from models.training.demo.tasks.stream import held_out_problems
from search.evaluation.bootstrap import bootstrap

STRATEGIES = ("majority", "best_of_n", "weighted_best_of_n", "beam_search", "dvts")
VERIFY = (None, "sympy")


def linear_problems(count: int) -> list[tuple[str, str]]:
    """Return held-out linear equations with their answers; one problem in five is one."""
    records = (record.as_dict() for record in held_out_problems(0, 6 * count))
    return [(str(r["problem"]), str(r["answer"])) for r in records if r["family"] == "linear"][:count]


async def ask(client: httpx.AsyncClient, problem: str, **fields: Any) -> tuple[dict[str, Any], float]:
    """Return the reply and the seconds that it took."""
    start = time.perf_counter()
    response = await client.post("/solve", json={"problem": problem, "n": 16, "include": []} | fields)
    response.raise_for_status()
    return response.json(), time.perf_counter() - start


async def grade(client: httpx.AsyncClient, pairs: list[dict[str, str | None]]) -> list[float]:
    """Return 100 for every pair of equivalent answers, else 0."""
    response = await client.post("/v1/answers/equivalent", json={"pairs": pairs})
    return [100.0 * result["equivalent"] for result in response.raise_for_status().json()["results"]]


async def main(url: str, count: int) -> None:
    """Measure and print."""
    problems = linear_problems(count)
    title = f"{len(problems)} linear equations, N = 16; accuracy in %"
    table = Table("strategy", "without", "with verify", "difference", "refuted of cast", "s", "s with", title=title)
    async with httpx.AsyncClient(base_url=url, timeout=300) as client:
        await ask(client, problems[0][0], verify="sympy")  # starts the workers that check
        for strategy in STRATEGIES:
            pairs: dict[str | None, list[dict[str, str | None]]] = {None: [], "sympy": []}
            seconds = dict.fromkeys(VERIFY, 0.0)
            num_refuted = num_cast = 0
            for seed, (problem, answer) in enumerate(tqdm(problems, strategy)):
                for verify in VERIFY:
                    reply, took = await ask(client, problem, strategy=strategy, seed=seed, verify=verify)
                    pairs[verify].append({"a": answer, "b": reply["answer"]})
                    seconds[verify] += took
                num_refuted += reply["diagnostics"]["refuted"]
                num_cast += sum(vote["count"] for vote in reply["votes"])
            without, checked = [await grade(client, pairs[verify]) for verify in VERIFY]
            difference = [after - before for before, after in zip(without, checked, strict=True)]
            shown = ["{:.1f} ({:.1f} to {:.1f})".format(*bootstrap(each)) for each in (without, checked, difference)]
            times = [f"{seconds[verify]:.1f}" for verify in VERIFY]
            table.add_row(strategy, *shown, f"{num_refuted} of {num_cast}", *times)
    Console(width=140).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="Where the service runs.")
    parser.add_argument("--problems", type=int, default=60, help="Equations, at most 256.")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.url, arguments.problems))
