"""Searched JSON and calls through the official client, on the demo pair, which knows neither: the grammar does."""

import asyncio
import json
from typing import Any, Literal

import httpx
import openai as client_library
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel, ConfigDict

from search.strategies import strategies
from tests.server.openai.asking import CHAT, POLICY, PROBLEM, calls_in, chat, evidence


class Verdict(BaseModel):
    """What the tests ask for: small, so that a policy which knows no JSON agrees with itself."""

    model_config = ConfigDict(extra="forbid")

    digit: Literal[1, 2, 3]
    is_even: bool


SCHEMA = Verdict.model_json_schema()
FORMAT: Any = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": SCHEMA, "strict": True}}
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "description": "For tests.", "parameters": SCHEMA}}
    for name in ("add", "multiply")
]
ADD: Any = {"type": "function", "function": {"name": "add"}}
ALL = {"n": 8, "strategy": "majority", "early_stop": False, "include": ["candidates"]}
FLAT = [row.name for row in strategies().values() if not row.grows_by_steps and row.name != "ttt_best_of_n"]


async def test_every_response_keeps_to_the_schema_and_the_most_frequent_is_elected(openai: AsyncOpenAI) -> None:
    reply = await chat(openai, ALL, response_format=FORMAT)
    found = evidence(reply)
    given = [Verdict.model_validate_json(candidate["response"]) for candidate in found["candidates"]]
    assert len(given) == 8
    elected = Verdict.model_validate_json(reply.choices[0].message.content or "")
    assert given.count(elected) == max(map(given.count, given)) == found["votes"][0]["count"]
    for name in ("digit", "is_even"):
        same = sum(getattr(each, name) == getattr(elected, name) for each in given)
        assert found["diagnostics"]["fields"][f"/{name}"]["agreement"] == same / 8


@pytest.mark.parametrize("strategy", FLAT)
async def test_strategies_that_draw_whole_responses_elect_documents(openai: AsyncOpenAI, strategy: str) -> None:
    reply = await chat(openai, {"n": 4, "strategy": strategy, "early_stop": False}, response_format=FORMAT)
    Verdict.model_validate_json(reply.choices[0].message.content or "")
    judged = evidence(reply)["usage"]["verifier_tokens"] + evidence(reply)["usage"]["verifier_cached_tokens"]
    fields = evidence(reply)["diagnostics"]["fields"].values()
    assert (judged > 0) is (strategy != "majority")
    assert all((field["confidence"] is not None) is (strategy != "majority") for field in fields)


async def test_the_client_parses_what_was_elected(openai: AsyncOpenAI) -> None:
    asked: dict[str, Any] = {"model": f"{POLICY}@majority-4", "messages": CHAT, "seed": 7}
    reply = await openai.chat.completions.parse(**asked, response_format=Verdict)
    assert isinstance(reply.choices[0].message.parsed, Verdict)
    async with openai.chat.completions.stream(**asked, response_format=Verdict) as stream:
        kinds = {event.type async for event in stream}
        final = await stream.get_final_completion()
    assert final.choices[0].message.parsed == reply.choices[0].message.parsed
    assert {"content.delta", "content.done"} <= kinds


@pytest.mark.parametrize("in_parallel", [None, False])
async def test_every_response_calls_where_calls_are_required(openai: AsyncOpenAI, in_parallel: bool | None) -> None:
    more = {} if in_parallel is None else {"parallel_tool_calls": in_parallel}
    reply = await chat(openai, ALL, tools=TOOLS, tool_choice="required", max_tokens=900, **more)
    message = reply.choices[0].message
    assert (reply.choices[0].finish_reason, message.content) == ("tool_calls", None)
    assert calls_in(reply)
    for call in calls_in(reply):
        assert call.function.name in ("add", "multiply")
        Verdict.model_validate_json(call.function.arguments)
    complete = [each for each in evidence(reply)["candidates"] if each["finish"] == "complete"]
    assert all(each["answer"] for each in complete)
    assert complete
    assert {len(json.loads(each["response"])) for each in complete} <= set(range(1, 2 if in_parallel is False else 17))


async def test_a_function_that_is_named_is_called(openai: AsyncOpenAI) -> None:
    reply = await chat(openai, ALL, tools=TOOLS, tool_choice=ADD)
    (call,) = calls_in(reply)
    assert call.function.name == "add"
    given = [Verdict.model_validate_json(candidate["response"]) for candidate in evidence(reply)["candidates"]]
    assert given.count(Verdict.model_validate_json(call.function.arguments)) == max(map(given.count, given))


async def test_the_client_parses_calls_whole_and_streamed(openai: AsyncOpenAI) -> None:
    tool = client_library.pydantic_function_tool(Verdict)
    asked: dict[str, Any] = {"model": f"{POLICY}@majority-4", "messages": CHAT, "seed": 7, "tool_choice": "required"}
    whole = await openai.chat.completions.parse(**asked, tools=[tool], parallel_tool_calls=False)
    async with openai.chat.completions.stream(**asked, tools=[tool], parallel_tool_calls=False) as stream:
        kinds = {event.type async for event in stream}
        final = await stream.get_final_completion()
    call, streamed = (next(iter(each.choices[0].message.tool_calls or ())) for each in (whole, final))
    assert isinstance(call.function.parsed_arguments, Verdict)
    assert streamed.function.parsed_arguments == call.function.parsed_arguments
    assert (final.choices[0].finish_reason, final.choices[0].message.content) == ("tool_calls", None)
    assert {"tool_calls.function.arguments.delta", "tool_calls.function.arguments.done"} <= kinds


async def test_the_same_seed_elects_the_same_document(openai: AsyncOpenAI) -> None:
    first, second = [evidence(await chat(openai, ALL, response_format=FORMAT)) for _ in range(2)]
    assert first["candidates"] == second["candidates"]


async def test_any_object_will_do_where_no_schema_says_more(openai: AsyncOpenAI) -> None:
    reply = await chat(openai, ALL, response_format={"type": "json_object"})
    complete = [each for each in evidence(reply)["candidates"] if each["finish"] == "complete"]
    assert all(isinstance(json.loads(each["response"]), dict) for each in complete)
    assert complete


async def test_what_is_cut_off_does_not_vote(openai: AsyncOpenAI) -> None:
    reply = await chat(openai, ALL, response_format=FORMAT, max_tokens=3)
    assert (reply.choices[0].finish_reason, evidence(reply)["answer"], evidence(reply)["votes"]) == ("length", None, [])
    asked: dict[str, Any] = {"model": f"{POLICY}@majority-2", "messages": CHAT, "max_tokens": 3}
    with pytest.raises(client_library.LengthFinishReasonError):
        await openai.chat.completions.parse(**asked, response_format=Verdict)


async def test_completions_and_solve_take_schemas_too(openai: AsyncOpenAI, client: httpx.AsyncClient) -> None:
    completion = await openai.completions.create(
        model=POLICY, prompt=PROBLEM, seed=7, max_tokens=200, extra_body={"search": ALL, "response_format": FORMAT}
    )
    solved = await client.post(
        "/solve", json={"problem": PROBLEM, "seed": 7, "max_tokens": 200, "response_format": FORMAT} | ALL
    )
    searched = await chat(openai, ALL, response_format=FORMAT)
    content = searched.choices[0].message.content
    assert completion.choices[0].text == solved.json()["response"] == content


async def test_responses_hold_documents_and_calls_whole_and_streamed(openai: AsyncOpenAI) -> None:
    asked: dict[str, Any] = {"model": f"{POLICY}@majority-4", "input": PROBLEM, "max_output_tokens": 200}
    parsed = await openai.responses.parse(**asked, text_format=Verdict, extra_body={"seed": 7})
    assert isinstance(parsed.output_parsed, Verdict)
    tools: Any = [{"type": "function", **tool["function"], "strict": True} for tool in TOOLS]
    called: dict[str, Any] = asked | {"tools": tools, "tool_choice": {"type": "function", "name": "add"}}
    whole = await openai.responses.create(**called, extra_body={"seed": 7})
    async with openai.responses.stream(**called, extra_body={"seed": 7}) as stream:
        kinds = {event.type async for event in stream}
        final = await stream.get_final_response()
    (call,), (streamed,) = whole.output, final.output
    assert call.type == streamed.type == "function_call"
    assert (call.name, call.arguments) == (streamed.name, streamed.arguments)
    Verdict.model_validate_json(call.arguments)
    assert {"response.function_call_arguments.delta", "response.function_call_arguments.done"} <= kinds


async def test_forms_and_texts_are_searched_beside_each_other(openai: AsyncOpenAI) -> None:
    alone = await chat(openai, ALL)
    beside = await asyncio.gather(chat(openai, ALL), chat(openai, ALL, response_format=FORMAT))
    assert beside[0].choices[0].message.content == alone.choices[0].message.content
