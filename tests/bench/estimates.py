"""How often real searches stay within what `POST /solve/estimate` said of them.

    python -m tests.bench.estimates [--problems 40] [--n 4,16] [--strategies auto,dvts,...] [--recipe FILE]

Asks for the estimate of every strategy and N first, so that nothing but the calibration table speaks; then solves
held-out problems, one at a time, and counts the searches whose tokens, seconds and confidence lie between `low` and
`high`, which should be eight in ten. Every strategy and N has problems of its own, or the verifier would read from its
cache what it judged for another. Seconds hold for the machine that the table was measured on, with nothing beside it.
Starts the models in this process.
"""

import argparse
import asyncio
from collections import defaultdict
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from search.strategies import strategies
from server.cli.client import open_client, post_solve
from server.cli.demo_tasks import demo_tasks
from server.settings import load_settings

SEED = 2
"""Of problems that neither `winnow eval` (0) nor `winnow calibrate` (1) asks."""
PARTS = ("completion_tokens", "verifier_tokens", "seconds", "accuracy")


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=40, help="How many for each strategy and N.")
    parser.add_argument("--n", default="4,16", help="Budgets.")
    parser.add_argument("--strategies", default=",".join(strategies()), help="Names, separated by commas.")
    parser.add_argument("--recipe", type=Path, help="YAML file of settings.")
    arguments = parser.parse_args()
    asked = [(name, int(n)) for name in arguments.strategies.split(",") for n in arguments.n.split(",")]
    async with open_client(None, load_settings(arguments.recipe)) as client:
        estimates = {point: await estimate(client, *point) for point in asked}
        known = {point: found for point, found in estimates.items() if found and found["completion_tokens"]}
        hits: dict[tuple[str, int], dict[str, list[bool]]] = {point: defaultdict(list) for point in known}
        problems = demo_tasks(SEED, arguments.problems * len(known))
        for task, (point, found) in zip(tqdm(problems, "searches"), cycle(known.items()), strict=False):
            await solve(client, task.problem, point, found, hits[point])
    show(estimates, hits)


async def estimate(client: httpx.AsyncClient, strategy: str, n: int) -> dict[str, Any] | None:
    """Return what the service says of a strategy and N; None where it does not run it."""
    response = await client.post("/solve/estimate", json={"problem": "?", "strategy": strategy, "n": n})
    return response.json() if response.is_success else None


async def solve(
    client: httpx.AsyncClient, problem: str, point: tuple[str, int], found: dict[str, Any], hits: dict[str, list[bool]]
) -> None:
    """Solve a problem, and note what lay within the estimate."""
    reply = await post_solve(client, {"problem": problem, "strategy": point[0], "n": point[1], "include": []})
    usage = reply["usage"]
    took = (usage["completion_tokens"], usage["verifier_tokens"], reply["timing"]["search_s"], reply["confidence"])
    for part, value in zip(PARTS, took, strict=True):
        if found[part] is not None and value is not None:
            hits[part].append(found[part]["low"] <= value <= found[part]["high"])


def show(estimates: dict[tuple[str, int], Any], hits: dict[tuple[str, int], dict[str, list[bool]]]) -> None:
    """Print the share of searches within the estimates."""
    table = Table("strategy", "N", *PARTS, title="searches between low and high (80 % is right)")
    for (name, n), found in estimates.items():
        within = [share([hits[name, n][part]]) if (name, n) in hits else "not measured" for part in PARTS]
        table.add_row(name, str(n), *(within if found else ["not served"] * len(PARTS)))
    table.add_section()
    table.add_row("all", "", *(share([own[part] for own in hits.values()]) for part in PARTS))
    Console(width=110).print(table)


def share(groups: list[list[bool]]) -> str:
    """Return the share of hits, in percent."""
    flags = [flag for group in groups for flag in group]
    return f"{100 * sum(flags) / len(flags):.0f} % of {len(flags)}" if flags else ""


if __name__ == "__main__":
    asyncio.run(main())
