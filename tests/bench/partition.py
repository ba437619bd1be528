"""What becomes of requests when the network cuts off the policy's host, or the verifier's, and joins it again.

    python -m tests.bench.partition [--cut-s 10] [--host policy verifier] [--way silent unplugged] [--rate 3]
                                      [--again]

Three network hosts on this machine: a vLLM server of the demo policy on one, one of the verifier on another, and on
the third `winnow serve` and its clients, which ask at set times whatever became of the requests before. First the same
requests without a cut, which the others are compared with; `--again` shows how often the same seed repeats itself.
Linux only; needs no root where the kernel lets its users make namespaces.
"""

import argparse
import asyncio
import os
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from tests.bench.hosts import ISOLATED, WAYS, Host, Way, isolate, join
from tests.bench.remote import kill
from tests.bench.running import Service, running, still_busy
from tests.bench.schedule import CHAT, RETRY_LATER, RETRY_LATER_STREAMED, Reply, Request, play, schedule
from tests.conftest import DEMO
from tests.server.scraping import Samples, scrape, total
from tests.servers import POOLING, await_server, start_server

MODELS: Mapping[str, tuple[str, tuple[str, ...]]] = {"policy": ("policy", ()), "verifier": ("prm", POOLING)}
PLUGIN = {"VLLM_PLUGINS": "winnow"}
PORT = 8000
CUT_AT_S = 6.0
TAIL_S = 12.0
"""Seconds in which requests begin after the cut."""
SETTLE_WITHIN_S = 60.0
LOOK_EVERY_S = 0.2
TOLD = ("complete", "deadline", "degraded", RETRY_LATER, RETRY_LATER_STREAMED)


@dataclass(frozen=True, slots=True)
class Run:
    """The requests once, with or without a cut; times are seconds after the start.

    Attributes:
        replies: What became of them, in the order of the requests.
        healed_s: When the cut was over.
        ready: When `/readyz` was asked, and whether it said yes.
        counted: Requests, as the service counted them.
        left: Work that did not end.
        settled_s: When the last of the work ended.
    """

    replies: list[Reply]
    healed_s: float
    ready: list[tuple[float, bool]]
    counted: int
    left: dict[str, float]
    settled_s: float

    @property
    def waiting(self) -> list[Reply]:
        """Those that the end of the cut found waiting."""
        return [each for each in self.replies if each.request.at_s < self.healed_s < each.ended_s]


@contextmanager
def servers(hosts: Mapping[str, Host]) -> Iterator[dict[str, str]]:
    """Run a server of each model on the host of its name; their URLs."""
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, (model, flags) in MODELS.items():
            prefix = hosts[name].prefix
            started[name] = start_server(
                DEMO / model, "--host=0.0.0.0", *flags, port=PORT, variables=PLUGIN, prefix=prefix
            )
        yield {name: await_server(process, PORT, hosts[name].address) for name, process in started.items()}
    finally:
        for process in started.values():
            kill(process)


@asynccontextmanager
async def watched(service: Service, start: float) -> AsyncIterator[list[tuple[float, bool]]]:
    """Ask `/readyz` again and again while the context lasts."""
    seen: list[tuple[float, bool]] = []

    async def watch(client: httpx.AsyncClient) -> None:
        while True:
            status = (await client.get("/readyz", timeout=15)).status_code
            seen.append((time.perf_counter() - start, status == 200))
            await asyncio.sleep(LOOK_EVERY_S)

    async with service.client() as client:
        watching = asyncio.create_task(watch(client))
        try:
            yield seen
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching


async def run(
    service: Service, urls: dict[str, str], requests: Sequence[Request], host: Host | None, way: Way, cut_s: float
) -> Run:
    """Send the requests, and cut a host off meanwhile."""
    async with service.client() as client:
        before = count(await scrape(client))
        start = time.perf_counter()
        async with watched(service, start) as ready:
            playing = asyncio.create_task(play(client, requests, start))
            await asyncio.sleep(CUT_AT_S)
            with host.cut(way) if host else nullcontext():
                await asyncio.sleep(cut_s)
            healed_s = time.perf_counter() - start
            replies = await playing
        until = time.perf_counter() + SETTLE_WITHIN_S
        while (left := await work(client, urls)) and time.perf_counter() < until:  # noqa: ASYNC110 - no event
            await asyncio.sleep(LOOK_EVERY_S)
        settled_s = time.perf_counter() - start
        return Run(replies, healed_s, ready, count(await scrape(client)) - before, left, settled_s)


def count(samples: Samples) -> int:
    """Requests that the service has answered."""
    routes = ("/solve", "/v1/chat/completions")
    return int(sum(total(samples, "winnow_http_requests_total", route=route) for route in routes))


async def work(client: httpx.AsyncClient, urls: dict[str, str]) -> dict[str, float]:
    """Everything that is not at rest, here and on the hosts."""
    samples = await scrape(client)
    busy = still_busy(samples) | {"winnow_replica_requests": total(samples, "winnow_replica_requests")}
    for name, url in urls.items():
        async with httpx.AsyncClient(base_url=url, timeout=15) as server:
            there = await scrape(server)
        for gauge in ("running", "waiting"):
            busy[f"{name}: {gauge}"] = total(there, f"vllm:num_requests_{gauge}")
    return {name: value for name, value in busy.items() if value}


def tabulate(runs: dict[str, Run], cut_s: float) -> Table:
    """One column a run; the first is what the others are compared with."""
    table = Table("", *runs, title=f"a host is cut off for {cut_s:g} s; {len(runs['no cut'].replies)} requests")
    columns = [figures(each, runs["no cut"], is_cut=not name.startswith("no cut")) for name, each in runs.items()]
    for measure in columns[0]:
        table.add_row(measure, *(column[measure] for column in columns))
    return table


def figures(each: Run, reference: Run, *, is_cut: bool) -> dict[str, str]:
    """What is told of a run."""
    outcomes = Counter(reply.outcome for reply in each.replies)
    others = [f"{number} {outcome}" for outcome, number in outcomes.items() if outcome not in TOLD]
    pairs = [
        (reply.text, before.text)
        for reply, before in zip(each.replies, reference.replies, strict=True)
        if reply.outcome == before.outcome == "complete"
    ]
    searches = [reply for reply in each.replies if reply.request.kind != CHAT]
    late = [r.seconds - r.request.body["deadline_s"] for r in searches if r.request.body["deadline_s"]]
    waited = [reply.ended_s - each.healed_s for reply in each.waiting]
    unready = [seconds for seconds, is_ready in each.ready if not is_ready]
    since = [f"{unready[0] - CUT_AT_S:.1f} s after the cut", f"{unready[-1] - each.healed_s:+.1f} s"] if unready else []
    return {
        **{outcome: str(outcomes[outcome]) for outcome in TOLD},
        "anything else": "; ".join(others) or "none",
        "same as without": f"{sum(a == b for a, b in pairs)} of {len(pairs)}",
        "right answers": f"{sum(reply.text == reply.request.answer for reply in searches)} of {len(searches)}",
        "slowest": f"{max(reply.seconds for reply in each.replies):.1f} s",
        "latest after a deadline": f"{max(late):+.1f} s",
        "waiting at the heal": str(len(waited)) if is_cut else "",
        "first, last of them after it": f"{min(waited):.1f}, {max(waited):.1f} s" if is_cut and waited else "",
        "/readyz 503 from, to (heal)": ", ".join(since) or "never",
        "sent, counted": f"{len(each.replies)}, {each.counted}",
        "work left": str(each.left or "none"),
        "at rest after the last reply": f"{each.settled_s - max(r.ended_s for r in each.replies):.1f} s",
    }


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cut-s", type=float, default=10.0)
    parser.add_argument("--host", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--way", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--rate", type=float, default=3.0, help="Requests a second.")
    parser.add_argument("--again", action="store_true", help="Twice without a cut.")
    parser.add_argument(ISOLATED, action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.isolated:
        isolate("tests.bench.partition")
    hosts = {host.name: host for host in join(*MODELS)}
    requests = schedule(CUT_AT_S + arguments.cut_s + TAIL_S, arguments.rate)
    runs: dict[str, Run] = {}
    with servers(hosts) as urls:
        options = [text for name, url in urls.items() for text in (f"--{name}-url", url)]
        async with running(*options, logs=Path(os.devnull)) as service:  # it says at every `/readyz` what is cut off
            await service.warm_up()
            for name in ("no cut", "no cut, again")[: 1 + arguments.again]:
                runs[name] = await run(service, urls, requests, None, "silent", arguments.cut_s)
            for host in arguments.host:
                for way in arguments.way:
                    runs[f"{host}, {way}"] = await run(service, urls, requests, hosts[host], way, arguments.cut_s)
    Console(width=150).print(tabulate(runs, arguments.cut_s))


if __name__ == "__main__":
    asyncio.run(main())
