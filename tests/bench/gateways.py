"""Several gateways against one: shares and limits of 200 clients, one killed under load, and problems a second.

    python -m tests.bench.gateways [fairness] [kill] [workers] [--repeats 3] [--seconds 20]

Engines are stand-ins, in a process of their own, that stream a response after a given time, so that nothing but the
gateways is measured. Gateways are processes of `winnow serve`; requests go to them in turn, as a load balancer sends
them. Needs redis-server. Linux only.
"""

import argparse
import asyncio
import json
import multiprocessing
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import psutil
import yaml
from aiohttp import web
from rich.console import Console
from rich.table import Table

from tests.bench.gateway import until_ready
from tests.server.processes import WINNOW, free_port
from tests.server.stores import OwnRedis

WEIGHTS = {1: 100, 2: 60, 4: 40}
"""Clients of each weight."""
OUTSTANDING = 4
"""Requests that each client has under way."""
COST, AT_A_TIME = 64, 8
BODY = {"problem": "1 + 1", "n": 1, "strategy": "majority", "max_tokens": COST, "include": []}
SLOW_S = 0.05
NUM_TOKENS = 60
COSTS = (32, 48, 64, 80, 96)
"""Clients of one weight would otherwise be answered all at once, and then none for a while."""
BACKGROUND_S, MOST_KEPT = 1.5, 20
WARM_S = 8.0
"""Until each client has had its first answer: those come in equal numbers."""


class Client(NamedTuple):
    name: str
    weight: int
    key: str


CLIENTS = [Client(f"c{w}-{i}", w, f"sk-{w}-{i:016d}") for w, many in WEIGHTS.items() for i in range(many)]

Ask = Callable[[Client, aiohttp.ClientSession, Iterator[str]], Coroutine[Any, Any, Any]]


def engine(port: int, delay_s: float) -> None:
    """Serve as a policy and a verifier that answer after a time; a problem that says "long" takes `BACKGROUND_S`."""

    async def complete(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        tokens = [20] * (min(NUM_TOKENS, body["max_tokens"]) - 1) + [0]
        await asyncio.sleep(BACKGROUND_S if body.get("seed") == 7 else delay_s)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        with suppress(ConnectionError):  # it was left
            await response.prepare(request)
            for index in range(body.get("n", 1)):
                choice = {"index": index, "text": "", "token_ids": tokens, "finish_reason": "stop", "stop_reason": None}
                await response.write(f"data: {json.dumps({'id': '1', 'model': 'a', 'choices': [choice]})}\n\n".encode())
            await response.write(b"data: [DONE]\n\n")
        return response

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "a", "max_model_len": 1024}]})

    async def health(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.add_routes([web.get("/health", health), web.get("/v1/models", models), web.post("/v1/completions", complete)])
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None, handle_signals=False)


@contextmanager
def engines(delay_s: float) -> Iterator[str]:
    """The URL of a stand-in."""
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=engine, args=(port, delay_s))
    process.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.join()


class Gateway(NamedTuple):
    process: asyncio.subprocess.Process
    url: str

    def family(self) -> list[psutil.Process]:
        """Its processes that serve."""
        parent = psutil.Process(self.process.pid)
        return [parent, *(child for child in parent.children() if child.cmdline() == parent.cmdline())]

    def cpu_s(self) -> float:
        return sum(sum(each.cpu_times()[:2]) for each in self.family())


@asynccontextmanager
async def gateways(number: int, engine_url: str, *flags: str, store: str | None = None) -> AsyncIterator[list[Gateway]]:
    """So many gateways, each with its share of the capacity."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        recipe = folder / "recipe.yaml"
        (folder / "keys.yaml").write_text(
            yaml.safe_dump([{"name": each.name, "key": each.key, "weight": each.weight} for each in CLIENTS])
        )
        settings = {
            "api_keys_file": str(folder / "keys.yaml"),
            "max_background_per_client": MOST_KEPT,
            "max_connections_per_client": 4096,
        }
        settings |= {"max_cost_in_flight": COST * AT_A_TIME // number, "max_queued": 2000 // number}
        recipe.write_text(yaml.safe_dump(settings | ({"store_url": store} if store else {})))
        found = []
        for _ in range(number):
            port = free_port()
            urls = (f"--policy-url={engine_url}", f"--verifier-url={engine_url}")
            command = [WINNOW, "serve", "--recipe", str(recipe), f"--port={port}", "--log-level=error", *urls, *flags]
            process = await asyncio.create_subprocess_exec(*command)
            stack.push_async_callback(ended, process)
            found.append(Gateway(process, f"http://127.0.0.1:{port}"))
        for gateway in found:
            await until_ready(int(gateway.url.rpartition(":")[2]), gateway.process)
        yield found


async def ended(process: asyncio.subprocess.Process) -> None:
    """End a gateway."""
    if process.returncode is None:
        process.terminate()
        await process.wait()


def client_of(key: str) -> aiohttp.ClientSession:
    """A client that makes a connection for each request."""
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    return aiohttp.ClientSession(connector=connector, headers={"Authorization": f"Bearer {key}"})


async def everybody(
    found: Sequence[Gateway], seconds: float, ask: Ask, outstanding: int = OUTSTANDING, *, is_cut: bool = True
) -> None:
    """Have every client ask as long as that, each request at the next gateway; drop what is under way, or wait."""
    until = time.monotonic() + seconds

    async def go_on(client: Client, session: aiohttp.ClientSession, urls: Iterator[str]) -> None:
        while time.monotonic() < until:
            await ask(client, session, urls)

    with suppress(TimeoutError):
        async with AsyncExitStack() as stack:
            sessions = [await stack.enter_async_context(client_of(client.key)) for client in CLIENTS]
            async with asyncio.timeout(seconds if is_cut else None), asyncio.TaskGroup() as tasks:
                for number, (client, session) in enumerate(zip(CLIENTS, sessions, strict=True)):
                    first = number % len(found)
                    urls = cycle([gateway.url for gateway in (*found[first:], *found[:first])])
                    for _ in range(outstanding):
                        tasks.create_task(go_on(client, session, urls))


async def shares(number: int, seconds: float) -> tuple[dict[int, float], float, int]:
    """What each weight got of all service, the most that a client got of its due, and how many were kept for one."""
    answered, rng = Counter[str](), random.Random(number)
    since = time.monotonic()

    async def ask(client: Client, session: aiohttp.ClientSession, urls: Iterator[str]) -> None:
        cost = rng.choice(COSTS)
        async with session.post(f"{next(urls)}/solve", json=BODY | {"max_tokens": cost}) as response:
            await response.read()
            answered[client.name] += cost if response.status == 200 and time.monotonic() - since > WARM_S else 0

    with engines(SLOW_S) as url, tempfile.TemporaryDirectory() as folder:
        redis = OwnRedis(Path(folder))
        try:
            async with gateways(number, url, store=redis.url) as found:
                since = time.monotonic()
                await everybody(found, WARM_S + seconds, ask)
                kept = await num_kept(found)
        finally:
            redis.stop()
    total = sum(answered.values())
    due = {client.name: total * client.weight / sum(each.weight for each in CLIENTS) for client in CLIENTS}
    of_weight = {weight: [each.name for each in CLIENTS if each.weight == weight] for weight in WEIGHTS}
    by_weight = {weight: sum(answered[name] for name in names) / total for weight, names in of_weight.items()}
    errors = [abs(answered[client.name] / due[client.name] - 1) for client in CLIENTS]
    return by_weight, statistics.median(errors), kept


async def num_kept(found: Sequence[Gateway]) -> int:
    """How many background searches a client may begin."""
    async with client_of(CLIENTS[0].key) as session:
        statuses = Counter[int]()
        for _, url in zip(range(3 * MOST_KEPT), cycle([gateway.url for gateway in found]), strict=False):
            async with session.post(f"{url}/solve", json=BODY | {"background": True}) as response:
                statuses[response.status] += 1
    return statuses[202]


async def fairness(repeats: int, seconds: float) -> Table:
    """Compare shares at one gateway and at two."""
    weights = sum(weight * many for weight, many in WEIGHTS.items())
    ideal = {weight: weight * many / weights for weight, many in WEIGHTS.items()}
    table = Table("gateways", *(f"weight {weight}, due {share:.1%}" for weight, share in ideal.items()))
    for heading in ("median error of a client", f"kept of {MOST_KEPT} allowed"):
        table.add_column(heading)
    for number in (1, 2):
        runs = [await shares(number, seconds) for _ in range(repeats)]
        columns = [spread([100 * run[0][weight] for run in runs], ".1f") for weight in WEIGHTS]
        columns.append(spread([100 * run[1] for run in runs], ".0f"))
        table.add_row(str(number), *columns, str({run[2] for run in runs}))
    return table


async def kill(repeats: int, seconds: float) -> Table:
    """Kill one of two gateways under load, and see what becomes of everything."""
    table = Table("run", "requests", "background searches of both gateways", "lost ones told after, s")
    for run in range(repeats):
        statuses, states, told_s = await killed(seconds)
        table.add_row(str(run + 1), str(dict(statuses)), str(dict(states)), f"{told_s:.1f}")
    return table


async def killed(seconds: float) -> tuple[Counter[str], Counter[str], float]:
    """Statuses of requests and states of background searches around the death of a gateway."""
    statuses = Counter[str]()
    states = Counter[str]()
    addresses: list[str] = []

    async def ask(client: Client, session: aiohttp.ClientSession, urls: Iterator[str]) -> None:
        first = next(urls)
        for attempt, url in enumerate((first, *(gateway for gateway in addresses if gateway != first))):
            try:
                async with session.post(f"{url}/solve", json=BODY) as response:
                    await response.read()
                    statuses[f"{response.status}" + (", asked again" if attempt else "")] += 1
                    return
            except aiohttp.ClientError:
                statuses["connection lost"] += 1
        statuses["never answered"] += 1

    with engines(SLOW_S) as url, tempfile.TemporaryDirectory() as folder:
        redis = OwnRedis(Path(folder))
        try:
            async with gateways(2, url, store=redis.url) as found:
                addresses += [gateway.url for gateway in found]
                loading = asyncio.create_task(everybody(found, seconds, ask, is_cut=False))
                await asyncio.sleep(seconds / 4)
                async with client_of(CLIENTS[-1].key) as session:
                    ids = [await begun(session, gateway.url) for gateway in found for _ in range(MOST_KEPT // 2)]
                    await asyncio.sleep(1)
                    found[0].process.kill()
                    since = time.monotonic()
                    ended_as = await asyncio.gather(*(outcome(session, found[1].url, id) for id in ids))
                    states.update(state for state, _ in ended_as)
                    told_s = max(at for state, at in ended_as if "lost" in state) - since
                await loading
        finally:
            redis.stop()
    return statuses, states, told_s


async def begun(session: aiohttp.ClientSession, url: str) -> str:
    """Begin a background search that takes a while."""
    async with session.post(f"{url}/solve", json=BODY | {"background": True, "seed": 7}) as response:
        id: str = (await response.json())["id"]
        return id


async def outcome(session: aiohttp.ClientSession, url: str, id: str) -> tuple[str, float]:
    """Wait until a search has ended, as a gateway says; return how, and when."""
    while True:
        async with session.get(f"{url}/solve/{id}") as response:
            shown = await response.json()
        if response.status != 200 or shown["state"] not in ("queued", "running"):
            break
        await asyncio.sleep(0.2)
    error = shown.get("error") or {}
    return f"{response.status} {shown.get('state', '')} {error.get('code', '')}".strip(), time.monotonic()


async def workers(repeats: int, seconds: float) -> Table:
    """Measure what K processes answer in a second, and what an answer costs them."""
    table = Table("workers", "problems/s", "CPU of the gateway, ms a problem", "cores it took")
    for number in (1, 2, 4):
        runs = [await rate(number, seconds) for _ in range(repeats)]
        columns = zip(zip(*runs, strict=True), (".0f", ".2f", ".2f"), strict=True)
        table.add_row(str(number), *(spread(values, form) for values, form in columns))
    return table


async def rate(number: int, seconds: float) -> tuple[float, float, float]:
    """Problems a second with so many processes, CPU-milliseconds of one, and cores taken."""
    count = 0

    async def ask(client: Client, session: aiohttp.ClientSession, urls: Iterator[str]) -> None:
        nonlocal count
        async with session.post(f"{next(urls)}/solve", json=BODY | {"n": 4, "max_tokens": NUM_TOKENS}) as response:
            await response.read()
            count += response.status == 200

    with engines(0.0) as url:
        async with gateways(1, url, f"--workers={number}", "--max-cost-in-flight=65536") as found:
            await everybody(found, 2.0, ask, 1)
            count, cpu_s, since = 0, found[0].cpu_s(), time.perf_counter()
            await everybody(found, seconds, ask, 1)
            wall_s = time.perf_counter() - since
            cpu_s = found[0].cpu_s() - cpu_s
    return count / wall_s, 1000 * cpu_s / count, cpu_s / wall_s


def spread(values: Sequence[float], form: str) -> str:
    """The median, and the range."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


PARTS = {"fairness": fairness, "kill": kill, "workers": workers}


async def main(parts: Sequence[str], repeats: int, seconds: float) -> None:
    """Measure and print."""
    for part in parts or PARTS:
        Console(width=150).print(part, await PARTS[part](repeats, seconds))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.parts, arguments.repeats, arguments.seconds))
