"""Whether a real Prometheus gets an answer to every question of the dashboard and of the alerts.

    winnow serve &
    python -m tests.bench.monitoring [--url http://127.0.0.1:8000] [--prometheus prometheus] [--seconds 40]

Prometheus, which must be installed, scrapes the service every second by the rules in deploy/monitoring/ while a few
clients keep it busy with all strategies and some mistakes. Exit code 1 when a query has no data. An alert is asked
without its threshold.
"""

import argparse
import asyncio
import json
import math
import random
import re
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import yaml
from rich.console import Console
from rich.table import Table

from models.training.demo.tasks.stream import held_out_problems

MONITORING = Path(__file__).parents[2] / "deploy" / "monitoring"
STRATEGIES = ("majority", "best_of_n", "weighted_best_of_n", "beam_search", "dvts")
THRESHOLD = re.compile(r"\s*[<>=]=?\s*[\d.]+$")
RATE_INTERVAL = "30s"
"""What Grafana would put in the place of $__rate_interval."""
ELSEWHERE = re.compile("winnow_(replica|worker|store)_")
"""Metrics of servers elsewhere, of several processes and of their Redis, which a service without them does not have."""
START_WITHIN_S = 30.0
NUM_CLIENTS = 4


def dashboard_queries() -> Iterator[tuple[str, str]]:
    """Yield title and query of every line that the dashboard draws."""
    dashboard = json.loads((MONITORING / "grafana" / "dashboards" / "winnow.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def rule_queries() -> Iterator[tuple[str, str]]:
    """Yield the name and the query of every rule, of alerts without the threshold."""
    for group in yaml.safe_load((MONITORING / "rules.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule.get("alert") or rule["record"], THRESHOLD.sub("", rule["expr"].strip())


def configuration(target: str, folder: Path, key: str) -> Path:
    """Write the configuration with `target` in the place of the service, and return its path."""
    settings = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    settings["rule_files"] = [str(MONITORING / "rules.yml")]
    (folder / "key").write_text(key)
    service = next(job for job in settings["scrape_configs"] if job["job_name"] == "winnow")
    service |= {"authorization": {"credentials_file": "key"}, "static_configs": [{"targets": [target]}]}
    settings["scrape_configs"] = [service]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(settings))
    return path


@asynccontextmanager
async def running(program: str, config: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A Prometheus and a client of it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = await asyncio.create_subprocess_exec(
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={config.parent / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://{address}", timeout=30) as client:
            async with asyncio.timeout(START_WITHIN_S):
                while not await is_ready(client):  # noqa: ASYNC110 - another process has no event
                    await asyncio.sleep(0.2)
            yield client
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def is_ready(client: httpx.AsyncClient) -> bool:
    """Whether Prometheus answers."""
    try:
        return (await client.get("/-/ready")).is_success
    except httpx.TransportError:
        return False


async def keep_busy(client: httpx.AsyncClient, number: int, until: float) -> None:
    """Ask again and again, now and then with a deadline that passes or with a mistake."""
    rng = random.Random(number)
    problems = [record.problem for record in held_out_problems(number, 50)]
    while time.perf_counter() < until:
        request: dict[str, Any] = {"problem": rng.choice(problems), "n": 8, "include": []}
        request["strategy"] = rng.choice(STRATEGIES)
        match rng.randrange(8):
            case 0:
                request["deadline_s"] = 0.3
            case 1:
                request["n"] = 0
        await client.post("/solve", json=request)
        await client.get("/readyz")


async def ask(client: httpx.AsyncClient, query: str) -> list[float]:
    """Return what Prometheus finds, NaN left out.

    Raises:
        ValueError: It does not understand the query.
    """
    query = query.replace("$__rate_interval", RATE_INTERVAL)
    reply = (await client.post("/api/v1/query", data={"query": query})).json()
    if reply["status"] != "success":
        raise ValueError(f"{query}: {reply['error']}")
    values = [float(series["value"][1]) for series in reply["data"]["result"]]
    return [value for value in values if not math.isnan(value)]


async def main(url: str, program: str, key: str, seconds: float) -> int:
    """Load, ask and print; return the exit code."""
    table = Table("panel or rule", "query", "series", "largest")
    num_empty = num_elsewhere = 0
    headers = {"Authorization": f"Bearer {key}"}
    with tempfile.TemporaryDirectory() as folder:
        config = configuration(httpx.URL(url).netloc.decode(), Path(folder), key)
        async with (
            running(program, config) as prometheus,
            httpx.AsyncClient(base_url=url, timeout=120, headers=headers) as service,
        ):
            until = time.perf_counter() + seconds
            await asyncio.gather(*(keep_busy(service, number, until) for number in range(NUM_CLIENTS)))
            for name, query in (*dashboard_queries(), *rule_queries()):
                values = await ask(prometheus, query)
                if not values:
                    is_elsewhere = ELSEWHERE.search(query) is not None
                    num_elsewhere += is_elsewhere
                    num_empty += not is_elsewhere
                shown = f"{max(values):.3g}" if values else "no data"
                table.add_row(name, " ".join(query.split()), str(len(values)), shown)
    Console(width=160).print(table)
    Console(width=160).print(
        f"{table.row_count} queries, {num_empty} without data, "
        f"{num_elsewhere} not asked for: no servers elsewhere, one process"
    )
    return min(num_empty, 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="Where the service runs.")
    parser.add_argument("--prometheus", default="prometheus", help="The program.")
    parser.add_argument("--key", default="none", help="An access key of the service, if it has any.")
    parser.add_argument("--seconds", type=float, default=40.0, help="Time under load.")
    arguments = parser.parse_args()
    sys.exit(asyncio.run(main(arguments.url, arguments.prometheus, arguments.key, arguments.seconds)))
