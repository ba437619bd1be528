"""Two servers of each model behind two vllm-routers and a gateway: the same trees, affinity, and what faults cost.

    python -m tests.bench.fleets [--part same affinity faults] [--clients 4] [--seconds 15] [--repeats 3]

Starts two vLLM servers of the demo policy and two of the verifier, a router in front of each pair with the flags of
deploy/compose.routers.yaml, and `winnow serve` in front of the routers, all on loopback. Linux only. The parts: every
strategy here and on embedded engines, with the same seeds; beam searches with routers that keep a problem on one
server and with routers that take turns; servers, routers and the gateway stopped or killed under load, one after the
other. Killed routers and gateways are started again after two seconds, as Compose does; killed servers stay dead.
"""

import argparse
import asyncio
import signal
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from models.training.demo.tasks.stream import held_out_problems
from tests.bench.remote import Server, cached, kill, search_all, servers
from tests.bench.running import Service, running
from tests.bench.traffic import HANG_S
from tests.routers import await_router, start_router
from tests.server.processes import free_port
from tests.servers import POOLING

PARTS = ("same", "affinity", "faults")
STRATEGIES = ("majority", "best_of_n", "weighted_best_of_n", "beam_search", "dvts", "rebase", "auto")
N = 8
NUM_PROBLEMS = 12
NUM_REQUESTS = 21
BEGIN_S, STOPPED_S, RESTART_S = 2.0, 10.0, 2.0
"""The fault comes so long after the load; what is stopped goes on, and what is killed starts again, so long after."""
RIGHT, OTHER, DEGRADED, LATER, LOST = "as without", "another answer", "degraded", "told to come back", "connection lost"

Request = Mapping[str, Any]

console = Console(width=150)


class Router:
    """A router that can be started again where it was."""

    def __init__(self, behind: Sequence[Server], *flags: str) -> None:
        self.behind, self.flags, self.port = behind, flags, free_port()
        self.start()
        self.url = await_router(self.process, self.port)

    def start(self) -> None:
        """Start it, and do not wait."""
        self.process = start_router([url for _, url in self.behind], *self.flags, port=self.port)

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()


@dataclass(slots=True)
class Fleet:
    """Everything that runs.

    Attributes:
        policies, verifiers: The servers.
        routers: In front of the policies, and of the verifiers.
        service: The gateway.
        client: Of the gateway; another one after it was started again.
    """

    policies: list[Server]
    verifiers: list[Server]
    routers: list[Router]
    service: Service | None = None
    client: httpx.AsyncClient | None = None
    _stacks: list[AsyncExitStack] = field(default_factory=list)

    async def start_gateway(self) -> None:
        """Start a gateway in front of the routers."""
        stack = AsyncExitStack()
        self._stacks.append(stack)
        urls = ["--policy-url", self.routers[0].url, "--verifier-url", self.routers[1].url]
        self.service = await stack.enter_async_context(running(*urls))
        self.client = await stack.enter_async_context(self.service.client())

    async def stop(self) -> None:
        """Stop the gateways and routers."""
        for stack in self._stacks:
            await stack.aclose()
        for router in self.routers:
            router.kill()


@asynccontextmanager
async def in_front(policies: list[Server], verifiers: list[Server], *flags: str) -> AsyncIterator[Fleet]:
    """Routers and a gateway in front of these servers."""
    fleet = Fleet(policies, verifiers, [Router(policies, *flags), Router(verifiers, *flags)])
    try:
        await fleet.start_gateway()
        yield fleet
    finally:
        await fleet.stop()


def requests(seed: int, number: int, include: Sequence[str] = ()) -> list[Request]:
    """As many searches, by every strategy in turn."""
    return [
        {
            "problem": record.problem,
            "n": N,
            "seed": place,
            "strategy": STRATEGIES[place % len(STRATEGIES)],
            "include": list(include),
        }
        for place, record in enumerate(held_out_problems(seed, number))
    ]


def tree_of(reply: Mapping[str, Any]) -> list[Any]:
    """What was grown and chosen, without scores, of which engines differ in the last digits."""
    return [reply["status"], reply["answer"], [each["response"] for each in reply["candidates"]]]


async def same(fleet: Fleet, repeats: int) -> Table:
    """Every strategy on the fleet and on embedded engines: trees, and scores."""
    table = Table("strategy", "searches", "same tree and answer", "largest difference of a score", title="Same seeds")
    rows = {name: [0, 0, 0.0] for name in STRATEGIES}
    async with running() as here, here.client() as client:
        for request in requests(11, repeats * len(STRATEGIES), ["candidates"]):
            body = {**request, "early_stop": False}
            assert fleet.client
            replies = [(await each.post("/solve", json=body, timeout=HANG_S)).json() for each in (client, fleet.client)]
            row = rows[request["strategy"]]
            row[0] += 1
            row[1] += tree_of(replies[0]) == tree_of(replies[1])
            pairs = zip(*(reply["candidates"] for reply in replies), strict=False)
            differences = [abs((one["score"] or 0.0) - (other["score"] or 0.0)) for one, other in pairs]
            row[2] = max([row[2], *differences])
            console.print(f"  {request['strategy']}: {row[1]:.0f} of {row[0]:.0f}")
    for name, (number, equal, difference) in rows.items():
        table.add_row(name, f"{number:.0f}", f"{equal:.0f}", f"{difference:.4f}")
    return table


async def affinity(policies: list[Server], verifiers: list[Server], repeats: int) -> Table:
    """Compare routers that keep a problem on one server with routers that take turns, on problems that are new."""
    table = Table("routers", "policy: cached", "verifier: cached", "problems/s", title=f"beam_search, N = {N}, M = 4")
    policies_of = {"consistent_hash": ("--policy=consistent_hash",), "round_robin": ("--policy=round_robin",)}
    figures: dict[str, list[list[float]]] = {name: [] for name in policies_of}
    async with AsyncExitStack() as stack:
        fleets = {
            name: await stack.enter_async_context(in_front(policies, verifiers, *flags))
            for name, flags in policies_of.items()
        }
        for turn in range(repeats):
            for place, name in enumerate(sorted(figures, reverse=turn % 2 == 1)):
                client = fleets[name].client
                assert client
                before = [await cached(each) for each in (policies, verifiers)]
                taken = await search_all(client, "beam_search", (2 * turn + place) * NUM_PROBLEMS, NUM_PROBLEMS)
                after = [await cached(each) for each in (policies, verifiers)]
                shares = [(a[0] - b[0]) / (a[1] - b[1]) for a, b in zip(after, before, strict=True)]
                figures[name].append([*shares, NUM_PROBLEMS / taken])
                console.print(f"  {name}: {NUM_PROBLEMS / taken:.2f} problems/s")
    for name, rows in figures.items():
        policy, verifier, speeds = zip(*rows, strict=True)
        spread = f"{statistics.median(speeds):.2f} ({min(speeds):.2f} to {max(speeds):.2f})"
        table.add_row(name, *(f"{statistics.median(shares):.1%}" for shares in (policy, verifier)), spread)
    return table


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request: in a word, and from when to when."""

    kind: str
    begun: float
    ended: float


async def ask(fleet: Fleet, request: Request, expected: str | None) -> str:
    """Ask the gateway that runs now."""
    assert fleet.client
    try:
        reply = await fleet.client.post("/solve", json=request, timeout=HANG_S)
    except httpx.HTTPError:
        return LOST
    if reply.status_code in (429, 503) and "retry-after" in reply.headers:
        return LATER
    if reply.status_code != 200:
        return f"HTTP {reply.status_code}"
    body = reply.json()
    if body["status"] != "complete":
        return DEGRADED
    return RIGHT if body["answer"] == expected else OTHER


async def load(
    fleet: Fleet, asked: Sequence[Request], expected: Sequence[str | None], num_clients: int, seconds: float
) -> list[Outcome]:
    """Ask for so long, each client one request after the other."""
    outcomes: list[Outcome] = []
    start = time.perf_counter()

    async def ask_on(number: int) -> None:
        place = number * 5
        while (begun := time.perf_counter() - start) < seconds:
            kind = await ask(fleet, asked[place % len(asked)], expected[place % len(asked)])
            outcomes.append(Outcome(kind, begun, time.perf_counter() - start))
            place += 1
            if kind in (LATER, LOST):
                await asyncio.sleep(0.5)

    await asyncio.gather(*(ask_on(number) for number in range(num_clients)))
    return outcomes


def stopped(*processes: psutil.Process) -> Callable[[], Awaitable[None]]:
    """Stop processes with all below them, and have them go on."""

    async def do() -> None:
        every = [each for process in processes for each in (process, *process.children(recursive=True))]
        for each in every:
            each.suspend()
        await asyncio.sleep(STOPPED_S)
        for each in every:
            each.resume()

    return do


def faults_of(fleet: Fleet) -> dict[str, Callable[[], Awaitable[None]]]:
    """What happens, in this order."""

    async def kill_router() -> None:
        fleet.routers[1].kill()
        await asyncio.sleep(RESTART_S)
        fleet.routers[1].start()

    async def kill_gateway() -> None:
        assert fleet.service
        fleet.service.process.send_signal(signal.SIGKILL)
        await asyncio.sleep(RESTART_S)
        await fleet.start_gateway()

    async def kill_server(server: Server) -> None:
        await asyncio.to_thread(kill, server[0])

    async def nothing() -> None:
        pass

    return {
        "none": nothing,
        f"SIGSTOP of a policy server, {STOPPED_S:.0f} s": stopped(psutil.Process(fleet.policies[0][0].pid)),
        f"SIGSTOP of a verifier server, {STOPPED_S:.0f} s": stopped(psutil.Process(fleet.verifiers[0][0].pid)),
        f"SIGSTOP of the policies' router, {STOPPED_S:.0f} s": stopped(psutil.Process(fleet.routers[0].process.pid)),
        "kill -9 of the verifiers' router": kill_router,
        "kill -9 of a verifier server": lambda: kill_server(fleet.verifiers[0]),
        "kill -9 of a policy server": lambda: kill_server(fleet.policies[0]),
        "kill -9 of the gateway": kill_gateway,
    }


async def faults(fleet: Fleet, num_clients: int, seconds: float, only: Sequence[str]) -> Table:
    """Break one thing after the other under load, and count.

    A request is right where it is complete with the answer that it has without faults: a response that moved to
    another server goes on with fresh random numbers, and may end in another answer.
    """
    kinds = (RIGHT, OTHER, DEGRADED, LATER, LOST)
    table = Table("fault", "requests", *kinds, "else", "slowest", "as quick as before from", title="Faults under load")
    asked = requests(23, NUM_REQUESTS)
    assert fleet.client
    replies = [(await fleet.client.post("/solve", json=each, timeout=HANG_S)).json() for each in asked]
    expected = [reply["answer"] for reply in replies]
    quick_s = 0.0
    for name, fault in faults_of(fleet).items():
        if only and name != "none" and not any(word in name for word in only):
            continue
        loading = asyncio.create_task(load(fleet, asked, expected, num_clients, seconds))
        await asyncio.sleep(BEGIN_S)
        await fault()
        outcomes = await loading
        quick_s = quick_s or 1.5 * max(each.ended - each.begun for each in outcomes)
        late = [each.begun for each in outcomes if each.ended - each.begun > quick_s or each.kind in (LATER, LOST)]
        counts = Counter(each.kind for each in outcomes)
        rest = ", ".join(f"{counts[kind]} {kind}" for kind in counts if kind not in kinds)
        slowest = max(each.ended - each.begun for each in outcomes)
        recovered = max([0.0, *(begun - BEGIN_S for begun in late)])
        cells = [str(len(outcomes)), *(str(counts[kind]) for kind in kinds), rest, f"{slowest:.1f} s"]
        table.add_row(name, *cells, f"{recovered:.1f} s after it" if late else "the start")
        console.print(f"  {name}: {dict(counts)}, slowest {slowest:.1f} s, recovered {recovered:.1f} s")
    return table


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--clients", type=int, default=4, help="Who ask at once while something breaks.")
    parser.add_argument("--seconds", type=float, default=15.0, help="That they ask for, for each fault.")
    parser.add_argument("--repeats", type=int, default=3, help="Searches a strategy, and runs a kind of router.")
    parser.add_argument("--only", nargs="*", default=(), help="Words of the faults to try; default: all.")
    arguments = parser.parse_args()
    start = time.perf_counter()
    with servers("policy", 2) as policies, servers("prm", 2, *POOLING) as verifiers:
        console.print(f"4 servers answer after {time.perf_counter() - start:.0f} s")
        if "affinity" in arguments.part:
            console.print(await affinity(policies, verifiers, arguments.repeats))
        if {"same", "faults"} & {*arguments.part}:
            async with in_front(policies, verifiers) as fleet:
                if "same" in arguments.part:
                    console.print(await same(fleet, arguments.repeats))
                if "faults" in arguments.part:
                    console.print(await faults(fleet, arguments.clients, arguments.seconds, arguments.only))


if __name__ == "__main__":
    asyncio.run(main())
