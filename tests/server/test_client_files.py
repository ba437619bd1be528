"""The client of one file and the reward functions, which people copy: on a real service."""

import ast
import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from search.answers.pool import AnswerPool
from search.expander import Models
from server.clients import winnow_client
from server.clients.winnow_client import AsyncWinnow, Winnow, WinnowError
from server.keys import read_keys
from server.settings import Settings
from server.solving.admission import Admission
from tests.natures import Tree, answer, step
from tests.server.conftest import listening
from tests.server.services import queueing, service
from tests.waiting import until
from tests.worlds import World

FOLDER = Path(winnow_client.__file__).parent
RESPONSES = ["a\n\n\\boxed{1}", ["a", "\\boxed{2}"]]
KEY = "sk-0123456789abcdef"


def small_world() -> World:
    return World(Tree(step("a", 0.5, answer("1", 0.7), answer("2", 0.9))))


@pytest.fixture
async def url() -> AsyncIterator[str]:
    world, settings = small_world(), Settings(api_keys=KEY)
    async with AnswerPool(num_workers=1) as reader:
        models = Models(world.policy, world.verifier, reader)
        async with listening(models, settings=settings, keys=read_keys(settings)) as client:
            yield str(client.base_url)


def imported(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    plain = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    return {name.partition(".")[0] for name in plain} | {
        str(node.module).partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
    }


def test_it_needs_httpx_and_pydantic_alone() -> None:
    assert imported(FOLDER / "winnow_client.py") - set(sys.stdlib_module_names) == {"httpx", "pydantic"}
    for name in ("trl_reward", "verl_reward"):
        assert imported(FOLDER / f"{name}.py") - set(sys.stdlib_module_names) == {"winnow_client"}


async def test_every_method_answers_and_both_clients_alike(url: str) -> None:
    def ask() -> list[Any]:
        with Winnow(f"{url}/v1", KEY) as winnow:
            return [
                winnow.solve("?", n=2, strategy="best_of_n").answer,
                [event.name for event in winnow.stream("?", n=2, strategy="best_of_n")][-1],
                [[step.score for step in r.steps] for r in winnow.score("?", RESPONSES).responses],
                winnow.choose("?", RESPONSES, selection="best").index,
                [result.equivalent for result in winnow.equivalent([("0.5", "1/2"), ("1", None)])],
            ]

    async with AsyncWinnow(url, KEY) as winnow:
        asked = [
            (await winnow.solve("?", n=2, strategy="best_of_n")).answer,
            [event.name async for event in winnow.stream("?", n=2, strategy="best_of_n")][-1],
            [[step.score for step in r.steps] for r in (await winnow.score("?", RESPONSES)).responses],
            (await winnow.choose("?", RESPONSES, selection="best")).index,
            [result.equivalent for result in await winnow.equivalent([("0.5", "1/2"), ("1", None)])],
        ]
    assert asked == ["2", "result", [[0.5, 0.7], [0.5, 0.9]], 1, [True, False]]
    assert await asyncio.to_thread(ask) == asked


async def test_every_event_has_a_type_and_a_number(url: str) -> None:
    async with AsyncWinnow(url, KEY) as winnow:
        events = [event async for event in winnow.stream("?", n=4, strategy="beam_search", beam_width=2)]
    assert [event.id for event in events] == [*range(1, len(events) + 1)]
    told = {event.name: event.told for event in events}
    assert {name: type(each) for name, each in told.items()} == {
        name: kind for name, kind in winnow_client.EVENTS.items() if name != "decision"
    }
    for event in events:
        assert event.told.model_extra is not None
        assert not event.told.model_extra or event.name == "result"
    assert type(winnow_client.Event(name="news", data={"a": 1}).told) is winnow_client.Reply


async def test_what_is_refused_names_the_field(url: str) -> None:
    async with AsyncWinnow(url, KEY) as winnow:
        with pytest.raises(WinnowError, match="n: ") as refused:
            await winnow.solve("?", n=0)
        assert (refused.value.status, refused.value.param) == (422, "n")
        with pytest.raises(WinnowError, match="n: "):
            await anext(winnow.stream("?", n=0))
    async with AsyncWinnow(url, "another") as stranger:
        with pytest.raises(WinnowError) as refused:
            await stranger.score("?", RESPONSES)
        assert refused.value.status == 401
    async with AsyncWinnow("http://127.0.0.1:1") as nobody:
        with pytest.raises(WinnowError, match="cannot be reached"):
            await nobody.solve("?")


@pytest.mark.parametrize("patience_s", [0.5, 30])
async def test_a_busy_service_is_asked_again_for_as_long_as_patience_lasts(patience_s: float) -> None:
    world = small_world()
    world.verifier.gates[r"\boxed{1}"] = asyncio.Event()
    async with (
        queueing(world, max_cost_in_flight=1, max_queued=0) as (client, admission),
        AsyncWinnow(str(client.base_url), patience_s=patience_s) as winnow,
    ):
        first = asyncio.create_task(winnow.score("?", ["a\n\n\\boxed{1}"]))
        await until(lambda: admission.num_running)
        second = asyncio.create_task(winnow.score("?", ["a\n\n\\boxed{2}"]))
        if patience_s < 1:
            with pytest.raises(WinnowError) as refused:
                await second
            assert (refused.value.status, refused.value.code) == (429, "queue_full")
        await free(world, admission)
        assert (await first).responses[0].score == 0.7
        if patience_s > 1:
            assert (await second).responses[0].score == 0.9


async def free(world: World, admission: Admission) -> None:
    world.verifier.gates[r"\boxed{1}"].set()
    await until(lambda: not admission.num_running)


async def test_a_stream_that_breaks_is_an_error() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        writer.write(b'event: round\ndata: {"round": 1}\n\n')
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(half, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with AsyncWinnow(f"http://127.0.0.1:{port}") as winnow:
            events = winnow.stream("?")
            assert (await anext(events)).data == {"round": 1}
            with pytest.raises(WinnowError, match="broke"):
                await anext(events)


class StubTrainer:
    """Calls a reward function as TRL's GRPOTrainer does: columns by name, a group of completions for each prompt."""

    def __init__(self, reward: Callable[..., list[float | None]]) -> None:
        self.reward = reward

    def step(self, rows: list[dict[str, Any]], completions: list[Any]) -> list[float | None]:
        columns = {name: [row[name] for row in rows] for name in rows[0] if name != "prompt"}
        prompts = [row["prompt"] for row in rows]
        return self.reward(prompts=prompts, completions=completions, completion_ids=[[1]] * len(rows), **columns)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


def load(name: str) -> ModuleType:
    return __import__(name)


@pytest.mark.usefixtures("folder")
async def test_trl_is_rewarded_by_the_score_of_each_completion() -> None:
    world = small_world()
    async with service(world) as client:
        trainer = StubTrainer(load("trl_reward").VerifierReward(str(client.base_url)))
        chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "?"}]
        rows = [{"prompt": "?", "level": 1}, {"prompt": "?", "level": 1}, {"prompt": chat, "level": 2}]
        texts = ["a\n\n\\boxed{1}", "a\n\n\\boxed{2}", [{"role": "assistant", "content": "a\n\n\\boxed{2}"}]]
        assert await asyncio.to_thread(trainer.step, rows, texts) == [0.7, 0.9, 0.9]
        unfit = ["a\n\n\\boxed{1}", "", "a\0"]
        assert await asyncio.to_thread(trainer.step, [rows[0]] * 3, unfit) == [0.7, None, None]


@pytest.mark.usefixtures("folder")
async def test_verl_is_rewarded_by_the_score_of_each_solution() -> None:
    solutions = ["a\n\n\\boxed{1}", " ", "a\n\n\\boxed{2}"]
    infos = [{"question": "?"}] * 3
    async with service(small_world()) as client:
        compute_score = load("verl_reward").compute_score
        rewards = await asyncio.to_thread(
            compute_score, ["x"] * 3, solutions, [None] * 3, infos, url=str(client.base_url)
        )
    assert rewards == [0.7, 0.0, 0.9]


@pytest.mark.usefixtures("folder")
async def test_more_completions_than_a_request_takes_are_more_requests() -> None:
    async with service(small_world()) as client:
        with Winnow(str(client.base_url)) as winnow:
            rewards = await asyncio.to_thread(winnow.rewards, "?", ["a\n\n\\boxed{1}"] * 300)
    assert rewards == [0.7] * 300


async def test_a_proxys_error_is_told_by_its_status() -> None:
    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\nconnection: close\r\n\r\nnope")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(proxy, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with AsyncWinnow(f"http://127.0.0.1:{port}") as winnow:
            with pytest.raises(WinnowError, match="answers HTTP 502") as refused:
                await winnow.solve("?")
    assert refused.value.status == httpx.codes.BAD_GATEWAY
