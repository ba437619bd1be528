"""A searched stream: progress, then the answer, then the bill; who leaves stops the search."""

import json
from contextlib import aclosing

import httpx
import openai as client_library
import pytest
from openai import AsyncOpenAI

from models.errors import EngineUnavailableError
from models.policy.engine_policy import EnginePolicy
from models.prm.winnow import WinnowPRM
from search.answers.pool import AnswerPool
from search.expander import Models
from tests.natures import Tree, answer, step
from tests.server.conftest import listening, openai_client
from tests.server.openai.asking import CHAT, POLICY, PROBLEM, SEARCH, chat, content, evidence, open_stream, stream
from tests.server.test_solve import STRATEGIES
from tests.waiting import until
from tests.worlds import World


def reasoning(chunks: list[client_library.types.chat.ChatCompletionChunk]) -> list[str]:
    deltas = [choice.delta.model_extra or {} for chunk in chunks for choice in chunk.choices]
    return [delta["reasoning_content"] for delta in deltas if "reasoning_content" in delta]


async def test_a_stream_says_what_the_reply_says(openai: AsyncOpenAI) -> None:
    reply = await chat(openai, SEARCH)
    chunks = await stream(openai, SEARCH, stream_options={"include_usage": True})
    assert content(chunks) == reply.choices[0].message.content
    assert chunks[-2].choices[0].finish_reason == "stop"
    told, said = [[(v["answer"], v["count"]) for v in evidence(of)["votes"]] for of in (chunks[-2], reply)]
    assert told == said
    assert (chunks[-1].choices, chunks[-1].usage) == ([], reply.usage)


async def test_the_bill_comes_only_when_it_is_asked_for(openai: AsyncOpenAI) -> None:
    assert {chunk.usage for chunk in await stream(openai, SEARCH)} == {None}


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_every_candidate_that_ends_is_told_as_reasoning(openai: AsyncOpenAI, strategy: str) -> None:
    chunks = await stream(openai, {"n": 8, "strategy": strategy, "early_stop": False})
    lines = reasoning(chunks)
    found = evidence(chunks[-1])
    assert sum(line.startswith("candidate ") for line in lines) == found["usage"]["candidates"]
    assert [line for line in lines if line.startswith("round")] == [
        f"round {r + 1}\n" for r in range(found["usage"]["rounds"])
    ]


async def test_progress_comes_before_the_content(openai: AsyncOpenAI) -> None:
    kinds = [
        "reasoning" if "reasoning_content" in (choice.delta.model_extra or {}) else "content"
        for chunk in await stream(openai, SEARCH)
        for choice in chunk.choices
        if choice.delta.content or choice.delta.model_extra
    ]
    assert kinds == sorted(kinds, reverse=True)


async def test_the_events_are_openais_to_the_letter(client: httpx.AsyncClient) -> None:
    asked = {"model": f"{POLICY}@majority-2", "messages": CHAT, "stream": True}
    response = await client.post("/v1/chat/completions", json=asked)
    assert response.headers["content-type"].startswith("text/event-stream")
    *events, last, rest = response.text.split("\n\n")
    assert (last, rest) == ("data: [DONE]", "")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1


async def test_a_completion_streams_its_text_alone(openai: AsyncOpenAI) -> None:
    chunks = await openai.completions.create(
        model=POLICY, prompt=PROBLEM, seed=7, max_tokens=200, stream=True, extra_body={"search": SEARCH}
    )
    text = "".join([chunk.choices[0].text async for chunk in chunks])
    assert text == (await chat(openai, SEARCH)).choices[0].message.content


async def test_n_choices_stream_one_after_the_other() -> None:
    world = World(Tree(answer("1", 0.3), answer("2", 0.4), answer("3", 0.8)))
    async with AnswerPool(num_workers=1) as reader, listening(Models(world.policy, world.verifier, reader)) as client:
        search = {"n": 3, "early_stop": False}
        chunks = await stream(openai_client(client), search, model=POLICY, n=2)
    assert [content(chunks, index) for index in (0, 1, 2)] == [r"\boxed{3}", r"\boxed{2}", ""]


@pytest.mark.parametrize("strategy", ["weighted_best_of_n", "beam_search", "dvts"])
async def test_a_reader_who_leaves_stops_the_search(
    openai: AsyncOpenAI, policy: EnginePolicy, verifier: WinnowPRM, strategy: str
) -> None:
    search = {"n": 64, "strategy": strategy, "early_stop": False}
    async with aclosing(open_stream(openai, search)) as chunks:
        async for chunk in chunks:
            if reasoning([chunk]):
                break
    await until(lambda: not (policy.engine.num_running_requests or verifier.engine.num_running_requests), within_s=1)


async def test_a_search_that_fails_in_its_stream_says_so_in_it() -> None:
    world = World(Tree(step("a", 0.5, answer("1", 0.5))))
    world.policy.failures[r"\boxed{1}"] = EngineUnavailableError("the engine is dead")
    async with AnswerPool(num_workers=1) as reader, listening(Models(world.policy, world.verifier, reader)) as client:
        with pytest.raises(client_library.APIError, match="a model is unavailable"):
            await stream(openai_client(client), {"n": 2}, model=POLICY)
