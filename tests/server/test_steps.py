"""Where steps end, as a recipe or a request says it: what reaches the policy, and what the demo pair makes of it."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from models.interfaces import PARAGRAPHS, Delimiter, Markers, StepRule, TokenCount
from server.schemas import StepsIn
from server.settings import load_settings
from tests.server.services import service, world_of
from tests.server.test_solve import solve

CASES: list[tuple[dict[str, Any] | None, StepRule]] = [
    (None, PARAGRAPHS),
    ({"delimiter": "\n"}, Delimiter("\n")),
    ({"tokens": 64}, TokenCount(64)),
    ({"tokens": 64.0}, TokenCount(64)),
    ({"markers": ["Wait", " So "]}, Markers(("Wait", "So"))),
]


@pytest.mark.parametrize(("steps", "rule"), CASES)
async def test_the_steps_of_a_request_reach_the_policy(steps: dict[str, Any] | None, rule: StepRule) -> None:
    world = world_of()
    async with service(world) as client:
        reply = await solve(client, strategy="majority", steps=steps)
    assert {sampling.steps for _, sampling in world.policy.draws} == {rule}
    shown = steps or {"delimiter": "\n\n"}
    assert reply["strategy"]["steps"] == StepsIn.model_validate(shown).shown()


async def test_the_steps_of_the_recipe_hold_where_a_request_gives_none() -> None:
    world = world_of()
    async with service(world, steps={"tokens": 7}) as client:
        await solve(client, strategy="majority")
        await solve(client, strategy="majority", steps={"delimiter": "."})
    assert {sampling.steps for _, sampling in world.policy.draws} == {TokenCount(7), Delimiter(".")}


def test_a_flag_comes_before_a_variable_and_a_variable_before_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("steps:\n  markers: [Wait, So]\n")
    assert load_settings(recipe).steps.rule == Markers(("Wait", "So"))
    monkeypatch.setenv("WINNOW_STEPS", '{"tokens": 7}')
    assert load_settings(recipe).steps.rule == TokenCount(7)
    assert load_settings(recipe, steps={"delimiter": "."}).steps.rule == Delimiter(".")


@pytest.mark.parametrize(
    ("value", "message"),
    [("lines", "steps"), ("[1]", "steps"), ('{"tokens": 0}', "steps.tokens"), ("{}", "give one of")],
)
def test_a_variable_that_is_no_rule_stops_the_start_by_name(
    monkeypatch: pytest.MonkeyPatch, value: str, message: str
) -> None:
    monkeypatch.setenv("WINNOW_STEPS", value)
    with pytest.raises(ValidationError, match=message):
        load_settings()


async def test_a_table_for_other_steps_is_not_used(client: httpx.AsyncClient) -> None:
    reply = await solve(client, strategy="auto", steps={"tokens": 8})
    assert "the calibration table holds for other steps" in reply["strategy"]["reason"]
    assert reply["confidence"] is None
    same = await solve(client, strategy="auto", steps={"delimiter": "\n\n"})
    assert same["strategy"]["reason"] == (await solve(client, strategy="auto"))["strategy"]["reason"]


@pytest.mark.parametrize("strategy", ["best_of_n", "weighted_best_of_n", "beam_search", "dvts", "rebase"])
@pytest.mark.parametrize("steps", [{"tokens": 16}, {"delimiter": "\n"}, {"markers": ["## Step", "Therefore"]}], ids=str)
async def test_the_demo_pair_searches_by_every_rule(
    client: httpx.AsyncClient, strategy: str, steps: dict[str, Any]
) -> None:
    reply = await solve(client, strategy=strategy, steps=steps)
    assert reply["status"] == "complete"
    nodes = {node["id"]: node for node in reply["tree"]["nodes"]}
    texts = [step["text"] for node in nodes.values() for step in node["steps"]]
    assert len(texts) > len(nodes) or strategy not in ("best_of_n", "weighted_best_of_n")
    assert all(
        step["score"] is not None for c in reply["candidates"] for step in c["steps"] if c["finish"] == "complete"
    )
    for candidate in reply["candidates"]:
        assert "".join(step["text"] for step in candidate["steps"]).strip() == candidate["response"].strip()
    if "markers" in steps:
        assert all(text.startswith(("## Step", "Therefore")) for text in texts)
    if "tokens" in steps and strategy not in ("best_of_n", "weighted_best_of_n"):
        assert {node["tokens"] for node in nodes.values() if node["state"] == "expanded"} == {16}


HOSTILE: list[dict[str, Any]] = [
    *(
        {"delimiter": text}
        for text in (" ", "e", "<|endoftext|>", "\u2028", "\r\n", "\0", "😀", "x" * 100, "(.*)+$", "\\")
    ),
    {"tokens": 1},
    {"markers": ["(.*)+", "[", "\\", "$$", "😀"]},
    {"markers": [chr(97 + index) * 100 for index in range(26)]},
]


@pytest.mark.parametrize("steps", HOSTILE, ids=str)
async def test_hostile_rules_do_no_harm(client: httpx.AsyncClient, steps: dict[str, Any]) -> None:
    flat = await solve(client, strategy="best_of_n", n=2, steps=steps, early_stop=False)
    plain = await solve(client, strategy="best_of_n", n=2, early_stop=False)
    assert [c["response"] for c in flat["candidates"]] == [c["response"] for c in plain["candidates"]]
    tree = await solve(client, strategy="beam_search", n=4, steps=steps, max_steps=3)
    assert tree["status"] == "complete"


async def test_a_searched_chat_takes_steps(client: httpx.AsyncClient) -> None:
    search = {"strategy": "beam_search", "n": 4, "steps": {"delimiter": "\n"}, "include": ["candidates"]}
    body = {"model": "winnow-demo", "messages": [{"role": "user", "content": "Compute 1 + 2 * 3."}], "search": search}
    found = (await client.post("/v1/chat/completions", json=body)).json()["search"]
    assert found["strategy"]["steps"] == {"delimiter": "\n"}
    assert any(len(candidate["steps"]) > 3 for candidate in found["candidates"])
    refused = await client.post("/v1/chat/completions", json=body | {"search": {"steps": {"tokens": 0}}})
    assert (refused.status_code, refused.json()["error"]["param"]) == (422, "search.steps.tokens")
