"""Thoughts in `/solve` and in OpenAI's shapes, plain and streamed, on exact worlds."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from models.checkpoints.marks import Marks
from server.openai.streaming import with_thoughts
from server.settings import Settings, load_settings
from tests.natures import Branch, Tree, answer, step
from tests.server.conftest import openai_client
from tests.server.services import service
from tests.worlds import World

FALSE = r"Hm, \boxed{666}"
THOUGHTS = FALSE + "\n\nHm, it is 7"
STRATEGIES = ("majority", "best_of_n", "weighted_best_of_n", "beam_search", "dvts", "rebase")


def world(*, thinks: bool = True) -> World:
    branch: Branch = step(FALSE, 1.0, step("Hm, it is 7", 1.0, step("So", 0.5, answer("7", 0.25))))
    return World(Tree(branch), thinks=thinks)


async def solved(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    response = await client.post("/solve", json={"problem": "?", "n": 4} | fields)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def refused(client: httpx.AsyncClient, path: str = "/solve", **fields: Any) -> tuple[int, str]:
    response = await client.post(path, json=fields)
    return response.status_code, response.json()["error"]["message"]


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_thoughts_are_shown_apart_and_state_no_answer(strategy: str) -> None:
    async with service(world()) as client:
        reply = await solved(client, strategy=strategy)
    assert (reply["answer"], reply["thinking"], reply["response"]) == ("7", THOUGHTS, "So\n\n\\boxed{7}")
    assert {vote["answer"] for vote in reply["votes"]} == {"7"}
    candidate = reply["candidates"][0]
    assert (candidate["thinking"], candidate["response"]) == (THOUGHTS, "So\n\n\\boxed{7}")
    assert [each["thinking"] for each in candidate["steps"]] == [True, True, False, False]
    assert all(each["score"] is None for each in candidate["steps"] if each["thinking"])
    assert 0 < reply["usage"]["reasoning_tokens"] < reply["usage"]["completion_tokens"]
    steps = [each for node in reply["tree"]["nodes"] for each in node["steps"]]
    assert any(each["thinking"] for each in steps)


async def test_thoughts_are_judged_where_that_is_asked_for() -> None:
    async with service(world()) as client:
        reply = await solved(client, strategy="best_of_n", judge="all")
    assert [each["score"] for each in reply["candidates"][0]["steps"]] == [1.0, 1.0, 0.5, 0.25]
    assert reply["strategy"]["judge"] == "all"


async def test_a_policy_that_does_not_think_has_no_thoughts() -> None:
    async with service(world(thinks=False)) as client:
        reply = await solved(client, strategy="majority")
        assert reply["thinking"] is None
        assert reply["usage"]["reasoning_tokens"] == 0
        for fields in ({"thinking_budget": 5}, {"judge": "all"}):
            status, message = await refused(client, problem="?", **fields)
            assert (status, next(iter(fields)) in message) == (422, True)


async def test_a_strategy_that_judges_nothing_cannot_judge_thoughts() -> None:
    async with service(world()) as client:
        assert (await refused(client, problem="?", strategy="majority", judge="all"))[0] == 422


async def test_events_say_which_steps_are_thoughts() -> None:
    async with service(world()) as client:
        body = {"problem": "?", "n": 2, "strategy": "best_of_n", "stream": True}
        text = (await client.post("/solve", json=body)).text
    events = [block.splitlines() for block in text.replace("\r\n", "\n").strip().split("\n\n")]
    found = [
        (lines[1].removeprefix("event: "), json.loads(lines[2].removeprefix("data: ")))
        for lines in events
        if len(lines) > 2
    ]
    steps = [data for name, data in found if name == "step" and data["node"] == "0"]
    assert [(data["index"], data["thinking"], data["score"]) for data in steps] == [
        (0, True, None),
        (1, True, None),
        (2, False, None),
        (2, False, 0.5),
        (3, False, 0.25),
    ]
    assert found[-1][1]["thinking"] == THOUGHTS


async def test_chat_clients_find_thoughts_where_they_look_for_them() -> None:
    async with service(world(), served_model_name="p") as client, openai_client(client) as openai:
        reply = await openai.chat.completions.create(
            model="p@majority-4", messages=[{"role": "user", "content": "?"}], max_tokens=1000
        )
    message = reply.choices[0].message
    assert message.content == "So\n\n\\boxed{7}"
    assert message.model_extra is not None
    assert message.model_extra["reasoning_content"] == message.model_extra["reasoning"] == THOUGHTS
    assert reply.usage is not None
    assert reply.usage.completion_tokens_details is not None
    shown = len("So\n\n\\boxed{7}")  # a token of a world is a byte
    assert reply.usage.completion_tokens_details.reasoning_tokens == reply.usage.completion_tokens - shown


async def test_a_streamed_chat_says_its_thoughts_before_its_answer() -> None:
    async with service(world(), served_model_name="p") as client, openai_client(client) as openai:
        stream = await openai.chat.completions.create(
            model="p@majority-4", messages=[{"role": "user", "content": "?"}], max_tokens=1000, stream=True
        )
        deltas = [chunk.choices[0].delta async for chunk in stream if chunk.choices]
    extras = [delta.model_extra or {} for delta in deltas]
    assert "".join(delta.content or "" for delta in deltas) == "So\n\n\\boxed{7}"
    assert "".join(extra.get("reasoning") or "" for extra in extras) == THOUGHTS
    assert "".join(extra.get("reasoning_content") or "" for extra in extras).endswith(THOUGHTS)


async def test_a_searched_completion_shows_the_answer_alone() -> None:
    async with service(world(), served_model_name="p") as client, openai_client(client) as openai:
        reply = await openai.completions.create(model="p@majority-4", prompt="?", max_tokens=1000)
    assert reply.choices[0].text == "So\n\n\\boxed{7}"


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"chat_template_kwargs": {"enable_thinking": False}}, "chat_template_kwargs"),
        ({"chat_template_kwargs": {"tools": []}}, "chat_template_kwargs"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"thinking_budget": -1}, "thinking_budget"),
    ],
)
async def test_what_a_template_does_not_read_is_refused_by_name(fields: dict[str, Any], name: str) -> None:
    async with service(world(), served_model_name="p", chat_template_keys=("other",)) as client:
        status, message = await refused(client, problem="?", **fields)
        assert (status, name in message) == (422, True)
        chat = {"model": "p@majority-4", "messages": [{"role": "user", "content": "?"}]}
        status, message = await refused(client, "/v1/chat/completions", **chat, **fields)
        assert (status in (400, 422), name in message) == (True, True)


async def test_an_effort_that_no_template_reads_is_refused_and_of_chats_ignored() -> None:
    async with service(world(), served_model_name="p") as client:
        status, message = await refused(client, problem="?", reasoning_effort="low")
        assert (status, "reasoning_effort" in message) == (422, True)
        chat = {"model": "p@majority-4", "messages": [{"role": "user", "content": "?"}], "reasoning_effort": "low"}
        assert (await client.post("/v1/chat/completions", json=chat)).status_code == 200


async def test_arguments_of_the_template_reach_the_policy() -> None:
    place = world()
    place.policy.template_arguments = frozenset({"enable_thinking", "reasoning_effort"})
    asked = []
    respond = place.policy.respond

    def listen(problem: Any, *arguments: Any) -> Any:
        asked.append((problem.template_arguments, arguments[1].thinking_budget))
        return respond(problem, *arguments)

    place.policy.respond = listen  # type: ignore[method-assign,assignment]  # to see what is asked
    options = {"chat_template_keys": ("enable_thinking",), "served_model_name": "p"}
    chat = {"model": "p@majority-1", "messages": [{"role": "user", "content": "?"}]}
    async with service(place, **options) as client:
        await solved(client, n=1, chat_template_kwargs={"enable_thinking": False}, thinking_budget=9)
        await solved(client, n=1, reasoning_effort="none")
        await solved(client, n=1, reasoning_effort="low", chat_template_kwargs={"enable_thinking": False})
        fields = {"reasoning_effort": "high", "thinking_budget": 7}
        assert (await client.post("/v1/chat/completions", json=chat | fields)).status_code == 200
    assert asked == [
        ((("enable_thinking", False),), 9),
        ((("enable_thinking", False), ("reasoning_effort", "none")), None),
        ((("enable_thinking", False), ("reasoning_effort", "low")), None),
        ((("enable_thinking", True), ("reasoning_effort", "high")), 7),
    ]


async def test_a_recipe_says_how_long_responses_may_be() -> None:
    async with service(world(), default_max_tokens=30_000, max_cost_in_flight=4_000_000) as client:
        assert (await solved(client, n=1))["strategy"]["max_tokens"] == 30_000
        assert (await solved(client, n=1, max_tokens=100))["strategy"]["max_tokens"] == 100


def test_a_service_with_thoughts_serves_long_responses_as_it_stands() -> None:
    plain, thinking = Settings(), Settings(reasoning_parser="qwen3")
    assert (plain.response_tokens, thinking.response_tokens) == (2_048, 32_768)
    assert 16 * thinking.response_tokens <= thinking.capacity // 4  # several such searches run at a time
    assert thinking.max_cost >= 64 * 32_768
    assert Settings(reasoning_parser="qwen3", max_cost_in_flight=1024).capacity == 1024
    assert Settings(reasoning_parser="qwen3", max_tokens=4096).response_tokens == 4096


@pytest.mark.parametrize(
    "values",
    [
        {"reasoning_parser": "qwen"},
        {"thinking_marks": {"start": "<a>"}},
        {"thinking_marks": {"start": "<a>", "end": []}},
        {"thinking_marks": {"start": "<a>", "end": "<a>"}},
        {"thinking_marks": {"start": "<a>", "end": "</a>", "at_limit": "Enough."}},
    ],
)
def test_settings_that_mark_nothing_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(**values)


def test_marks_are_named_in_a_recipe_and_in_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text('thinking_marks: {start: "<a>", end: ["</a>", "</b>"]}\nchat_template_keys: [enable_thinking]\n')
    settings = load_settings(recipe)
    assert settings.marks == Marks.of("<a>", "</a>", "</b>")
    assert settings.chat_template_keys == ("enable_thinking",)
    monkeypatch.setenv("WINNOW_THINKING_MARKS", '{"start": "<c>", "end": "</c>"}')
    monkeypatch.setenv("WINNOW_CHAT_TEMPLATE_KEYS", "enable_thinking, reasoning_effort")
    settings = load_settings()
    assert settings.marks == Marks.of("<c>", "</c>")
    assert settings.chat_template_keys == ("enable_thinking", "reasoning_effort")
    assert Settings(thinking_marks={"start": "<think>", "end": "</think>"}).plain_parser == "qwen3"


def test_vllms_thoughts_get_both_names() -> None:
    reply = with_thoughts({"choices": [{"message": {"content": "7", "reasoning": "Hm"}}, {"delta": {"content": "7"}}]})
    assert reply["choices"][0]["message"]["reasoning_content"] == "Hm"
    assert reply["choices"][1] == {"delta": {"content": "7"}}
