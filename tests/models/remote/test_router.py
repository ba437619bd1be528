"""Servers behind vllm-router: a problem stays with one, and one that fails costs nobody an answer."""

import asyncio
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest

from models.checkpoints.prompt import PromptBuilder
from models.errors import EngineDiedError, EngineUnavailableError
from models.interfaces import Finish
from models.policy.engine_policy import EnginePolicy
from models.remote.engine import RemoteEngine, open_remote_engine
from models.remote.settings import Patience, RemoteSettings
from tests.conftest import DEMO
from tests.models.problems import PROBLEM, respond, sampling
from tests.models.remote.stage import IMPATIENT, Actor
from tests.models.remote.test_replicas import PROBLEMS, ask, spread
from tests.routers import await_router, needs_router, start_router
from tests.server.processes import free_port
from tests.waiting import until

pytestmark = needs_router
QUICK = ("--health-check-interval-secs=1", "--health-check-timeout-secs=1", "--health-failure-threshold=1")
PATIENCE = replace(IMPATIENT, look_every_s=0.1, pauses_s=(0.02,) * 4)


@asynccontextmanager
async def opened(*urls: str, patience: Patience = PATIENCE, silence_s: float = 60.0) -> AsyncIterator[RemoteEngine]:
    settings = RemoteSettings(DEMO / "policy", "policy", urls, patience=patience, silence_s=silence_s)
    async with open_remote_engine(settings, "generate") as engine:
        yield engine


class Routed:
    """Actors, of which each can go off, and a router in front of them."""

    def __init__(self, *actors: Actor) -> None:
        self.actors = actors
        self.stacks = {actor.url: AsyncExitStack() for actor in actors}
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start_router(self) -> None:
        self.process = start_router([actor.url for actor in self.actors], *QUICK, port=self.port)
        await asyncio.to_thread(await_router, self.process, self.port)

    def kill_router(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    async def begin(self, actor: Actor) -> None:
        await self.stacks[actor.url].enter_async_context(actor.playing())

    async def end(self, actor: Actor) -> None:
        await self.stacks[actor.url].aclose()


@asynccontextmanager
async def behind_a_router(*actors: Actor) -> AsyncIterator[Routed]:
    routed = Routed(*actors)
    try:
        for actor in actors:
            await routed.begin(actor)
        await routed.start_router()
        yield routed
    finally:
        routed.kill_router()
        for actor in actors:
            await routed.end(actor)


async def test_a_problem_stays_with_one_server_behind_a_router_and_problems_share_all() -> None:
    actors = [Actor(), Actor()]
    async with behind_a_router(*actors) as routed, opened(routed.url) as engine:
        (replica,) = engine.replicas.all
        assert replica.workers
        assert (replica.workers.healthy_workers, replica.workers.total_workers) == (2, 2)
        first = await spread(engine, actors)
        assert await spread(engine, actors) == first
    assert min(Counter(first.values()).values()) > len(PROBLEMS) / 5


async def test_a_dead_server_leaves_its_router_in_use_and_no_request_without_an_answer() -> None:
    actors = [Actor(), Actor()]
    async with behind_a_router(*actors) as routed, opened(routed.url) as engine:
        await spread(engine, actors)
        await routed.end(actors[0])
        answers = await asyncio.gather(*(ask(engine, problem.opening) for problem in PROBLEMS))
        assert answers == [[20, 0]] * len(PROBLEMS)
        (replica,) = engine.replicas.all
        await until(lambda: replica.workers and replica.workers.healthy_workers == 1, within_s=5)
        assert replica.is_up  # though the router's own /health fails now
        await routed.begin(actors[0])
        await until(lambda: replica.workers and replica.workers.healthy_workers == 2, within_s=5)
        assert engine.num_restarts == 0


async def test_what_breaks_off_behind_a_router_goes_on_from_the_last_whole_step(prompts: PromptBuilder) -> None:
    step, rest = prompts.tokenizer.encode("So 4\n\n"), prompts.tokenizer.encode("The answer is 4.")
    actor = Actor(events=[step, rest[:2], rest[2:]], breaks_after=2, pauses=asyncio.Event())
    assert actor.pauses
    async with behind_a_router(actor) as routed, opened(routed.url) as engine:
        policy = EnginePolicy(engine, prompts)
        responding = asyncio.create_task(respond(policy, sampling(max_tokens=50)))
        await until(lambda: actor.asked)
        actor.events = [(*rest, 0)]  # of the next response
        actor.pauses.set()
        steps = await responding
    assert [len(body["prompt"]) for body in actor.asked] == [
        len(policy.prompts.build(PROBLEM)),
        len(policy.prompts.build(PROBLEM)) + len(step),
    ]
    assert [each.finish for each in steps] == [Finish.STEP, Finish.END]


async def test_requests_at_a_server_that_hangs_are_sent_again_when_the_router_gives_it_up() -> None:
    actors = [Actor(), Actor()]
    patience = replace(PATIENCE, answer_s=0.5)
    async with behind_a_router(*actors) as routed, opened(routed.url, patience=patience) as engine:
        homes = await spread(engine, actors)
        actors[0].holds = asyncio.Event()
        ours = next(PROBLEMS[number] for number, url in homes.items() if url == actors[0].url)
        with pytest.raises(EngineDiedError, match="too slow"):  # 60 s before they would be given up by themselves
            await asyncio.wait_for(ask(engine, ours.opening), 10)
        assert await ask(engine, ours.opening) == [20, 0]
        actors[0].holds.set()


async def test_an_error_of_every_server_is_told_in_the_end() -> None:
    actor = Actor(status=503)
    async with behind_a_router(actor) as routed, opened(routed.url) as engine:
        with pytest.raises(EngineDiedError, match="answers 503"):
            await ask(engine)
        assert len(actor.asked) == 3  # then the router's breaker is open
        await until(lambda: engine.replicas.all[0].is_up)


async def test_what_a_server_refuses_is_asked_once() -> None:
    actor = Actor(status=422)
    async with behind_a_router(actor) as routed, opened(routed.url) as engine:
        with pytest.raises(EngineUnavailableError, match="refused the request: on cue"):
            await ask(engine)
        assert len(actor.asked) == 1


async def test_a_router_that_starts_anew_is_waited_for() -> None:
    actor = Actor()
    async with behind_a_router(actor) as routed, opened(routed.url) as engine:
        routed.kill_router()
        with pytest.raises(EngineDiedError):
            await ask(engine)
        asking = asyncio.create_task(ask(engine))
        await routed.start_router()
        assert await asking == [20, 0]
        assert engine.num_restarts == 1


async def test_a_router_of_which_one_server_is_dead_can_be_met() -> None:
    actors = [Actor(), Actor(), Actor()]
    async with behind_a_router(*actors) as routed:
        for actor in actors[:2]:
            await routed.end(actor)
        async with opened(routed.url) as engine:
            assert engine.replicas.all[0].model == "theirs"


async def test_a_router_without_a_server_is_left_out_until_it_has_one() -> None:
    actor = Actor()
    async with behind_a_router(actor) as routed, opened(routed.url) as engine:
        (replica,) = engine.replicas.all
        await routed.end(actor)
        await until(lambda: not replica.is_up, within_s=5)
        assert replica.trouble == "it is a router, and none of its 1 servers answers"
        await routed.begin(actor)
        assert await ask(engine) == [20, 0]
