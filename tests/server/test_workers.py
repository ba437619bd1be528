"""`winnow serve --workers`: several processes that serve as one, and outlive each other."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial

import httpx
import psutil
import pytest

from server.http.listening import listening_together
from server.settings import SettingsError
from server.solving.siblings import merged
from tests.bench.gateway import until_ready
from tests.models.remote.stage import Actor
from tests.relay import relay
from tests.routers import await_router, needs_router, start_router
from tests.server.processes import WINNOW, free_port
from tests.server.scraping import scrape, total
from tests.server.test_queue import ONE
from tests.waiting import until

STOP_WITHIN_S = 30

Hop = Callable[[str], AbstractAsyncContextManager[str]]


@asynccontextmanager
async def together(hop: Hop = nullcontext) -> AsyncIterator[tuple[psutil.Process, str, Actor]]:
    """Two workers on stand-ins of engines, with a hop in front of them."""
    policy, verifier, port = Actor(), Actor(), free_port()
    async with policy.playing(), verifier.playing(), hop(policy.url) as policy_url:
        urls = (f"--policy-url={policy_url}", f"--verifier-url={verifier.url}")
        command = [WINNOW, "serve", "--workers=2", f"--port={port}", *urls]
        process = await asyncio.create_subprocess_exec(*command)
        try:
            await until_ready(port, process)
            yield psutil.Process(process.pid), f"http://127.0.0.1:{port}", policy
        finally:
            family = psutil.Process(process.pid).children(recursive=True) if process.returncode is None else []
            for each in family:
                each.kill()
            if process.returncode is None:
                process.kill()
            await process.wait()


def workers_of(service: psutil.Process) -> list[psutil.Process]:
    return [child for child in service.children() if child.cmdline() == service.cmdline()]


async def ask(url: str, path: str = "/solve") -> httpx.Response:
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:  # a connection of its own, to either
        return await client.post(path, json=ONE)


async def counted(url: str) -> float:
    """Searches that all processes count together."""
    async with httpx.AsyncClient(base_url=url) as client:
        return total(await scrape(client), "winnow_searches_total")


async def num_up(url: str) -> float:
    async with httpx.AsyncClient(base_url=url) as client:
        return total(await scrape(client), "winnow_worker_up")


async def test_both_answer_count_as_one_and_replace_each_other_and_end_together() -> None:
    async with together() as (service, url, policy):
        await until(lambda: len(workers_of(service)) == 2)
        replies = await asyncio.gather(*(ask(url) for _ in range(40)))
        assert {reply.status_code for reply in replies} == {200}
        assert {await counted(url) for _ in range(4)} == {40.0}  # whichever of them is asked
        async with httpx.AsyncClient(base_url=url) as client:
            by_worker = [total(await scrape(client), "winnow_searches_total", worker=worker) for worker in ("1", "2")]
        assert min(by_worker) > 0

        killed, other = workers_of(service)
        killed.kill()
        statuses = [reply.status_code for reply in await asyncio.gather(*(ask(url) for _ in range(20)))]
        assert statuses == [200] * 20  # those that come to the dead one's socket wait for the next
        assert killed.pid not in [worker.pid for worker in workers_of(service)]
        assert other in workers_of(service)
        async with asyncio.timeout(20):
            while await num_up(url) < 2:  # noqa: ASYNC110 - no event over HTTP
                await asyncio.sleep(0.1)

        policy.pauses = asyncio.Event()
        held = [asyncio.create_task(ask(url)) for _ in range(8)]
        await until(lambda: len(policy.asked) >= 60 + 8)
        family = service.children(recursive=True)
        service.terminate()
        await asyncio.sleep(0.5)
        policy.pauses.set()
        assert {(await each).status_code for each in held} == {200}
        assert await asyncio.to_thread(service.wait, STOP_WITHIN_S) in (0, None)
        _, alive = await asyncio.to_thread(psutil.wait_procs, family, STOP_WITHIN_S)
        assert alive == []


@asynccontextmanager
async def router(url: str) -> AsyncIterator[str]:
    """The URL of a router in front of an engine, with the flags that are deployed."""
    port = free_port()
    process = start_router([url], port=port)
    try:
        yield await asyncio.to_thread(await_router, process, port)
    finally:
        process.kill()
        process.wait()


def has_been_asked(policy: Actor, times: int) -> bool:
    return len(policy.asked) >= times


@pytest.mark.parametrize("hop", [relay, pytest.param(router, marks=needs_router)])
async def test_a_client_that_goes_away_reaches_the_engine_through_every_layer(hop: Hop) -> None:
    async with together(hop) as (_, url, policy), relay(url) as front:
        for number, fields in enumerate(({}, {"stream": True})):
            policy.pauses, policy.is_left = asyncio.Event(), asyncio.Event()
            async with httpx.AsyncClient(base_url=front, timeout=30) as client:
                asked = asyncio.create_task(client.post("/solve", json=ONE | fields))
                await until(partial(has_been_asked, policy, number + 1))
                assert not policy.is_left.is_set()
                asked.cancel()
                async with asyncio.timeout(5):
                    await policy.is_left.wait()


async def test_workers_end_with_the_first_process() -> None:
    async with together() as (service, _, _):
        family = service.children(recursive=True)
        service.kill()
        _, alive = await asyncio.to_thread(psutil.wait_procs, family, STOP_WITHIN_S)
        assert alive == []


def test_what_cannot_start_ends_the_service_with_the_code_and_the_sentence_that_it_has_alone() -> None:
    said = run("--policy-url=http://127.0.0.1:9", "--verifier-url=http://127.0.0.1:9", "--calibration=nowhere.yaml")
    assert said.returncode == 2
    assert "nowhere.yaml" in said.stderr


@pytest.mark.parametrize(
    ("flags", "named"), [((), "policy_url"), (("--policy-url=http://127.0.0.1:9",), "verifier_url")]
)
def test_models_that_each_would_load_are_refused_by_name(flags: tuple[str, ...], named: str) -> None:
    said = run(*flags)
    assert (said.returncode, f"set {named}" in said.stderr) == (2, True)


def run(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [WINNOW, "serve", "--workers=2", f"--port={free_port()}", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_port_that_another_service_shares_among_its_workers_is_in_use() -> None:
    with listening_together("127.0.0.1", 0, 2) as ((first,), (second,)):
        assert first.getsockname() == second.getsockname()
        with (
            pytest.raises(SettingsError, match="is in use"),
            listening_together("127.0.0.1", first.getsockname()[1], 2),
        ):
            pass


def test_metrics_of_processes_are_told_apart_and_one_that_does_not_answer_is_named() -> None:
    text = '# HELP a_total A.\n# TYPE a_total counter\na_total{x="1"} 2.0\n'
    shown = merged({"1": text, "2": text, "3": None}).decode().splitlines()
    assert [line for line in shown if line.startswith("a_total")] == [
        'a_total{worker="1",x="1"} 2.0',
        'a_total{worker="2",x="1"} 2.0',
    ]
    assert shown.count("# TYPE a_total counter") == 1
    assert 'winnow_worker_up{worker="3"} 0.0' in shown
