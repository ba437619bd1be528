"""`story.js` in a browser: a search told by the events of today, by those of version 2, and by a reply is the same."""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import pytest

from tests.natures import Chance
from tests.rebuilding import Event
from tests.server.services import service, world_of
from tests.server.test_streaming import read_events
from tests.worlds import World

if TYPE_CHECKING:
    from playwright.async_api import Page

    Open = Callable[..., AbstractAsyncContextManager[Page]]

START = {
    "version": 2,
    "id": "s1",
    "problem": "2 + 2",
    "strategy": {"name": "beam_search", "n": 4, "beam_width": 2},
    "policy": "p",
    "verifier": "v",
    "selection": "weighted",
    "aggregation": "last",
}


def step(node: str, index: int, text: str, score: float | None, **more: Any) -> Event:
    return "step", {"node": node, "index": index, "text": text, "score": score, "thinking": False, "tokens": 3} | more


def candidate(name: str, parent: str | None, score: float | None, state: str, **more: Any) -> Event:
    told = {"id": name, "parent": parent, "score": score, "state": state, "answer": None, "verified": None, "tokens": 3}
    return "candidate", told | {"dropped": None} | more


EVENT_STREAM = "text/event-stream"
DROPPED = {"rank": 2, "of": 2, "kept": 1, "lowest_kept": 0.9}
VERSION_2: Sequence[Event] = (
    ("start", START),
    ("queue", {"place": 1, "length": 2, "wait_s": 3.0}),
    ("queue", {"place": 0, "length": 0, "wait_s": None}),
    ("round", {"round": 1}),
    step("1", 0, "b", None),
    candidate("1", None, None, "growing"),
    step("0", 0, "a", None),
    candidate("0", None, None, "growing"),
    step("0", 0, "a", 0.9, cached_tokens=5),
    candidate("0", None, 0.9, "growing"),
    step("1", 0, "b", 0.4),
    candidate("1", None, 0.4, "growing"),
    candidate("1", None, 0.4, "dropped", dropped=DROPPED),
    ("round", {"round": 2}),
    step("0.0", 1, "c", 0.8),
    candidate("0.0", "0", 0.8, "complete", answer="4", verified=True),
    ("votes", {"votes": [{"answer": "4", "count": 1, "weight": 0.8, "strength": None}], "outstanding": 1, "line": 1.0}),
    ("usage", {"share": 0.5, "usage": {"completion_tokens": 9}, "elapsed_s": 0.5}),
    step("0.1", 1, "d", None),
    candidate("0.1", "0", None, "growing"),
    candidate("0.1", "0", None, "lost"),
)

TELL = """async (events) => {
  const { begin, follow, fromReply } = await import("/page/story.js");
  let story = begin();
  for (const [event, data, id] of events) story = follow(story, { event, data, id });
  return { ...story, nodes: [...story.nodes.values()], children: [...story.children] };
}"""
FROM_REPLY = """async (reply) => {
  const { fromReply, chosenOf, stepsOf } = await import("/page/story.js");
  const story = fromReply(reply);
  const chosen = chosenOf(story);
  return { ...story, nodes: [...story.nodes.values()], children: [...story.children], chosen,
           steps: chosen === null ? null : stepsOf(story, chosen).map((step) => step.index) };
}"""


async def tell(page: "Page", events: Sequence[Event]) -> dict[str, Any]:
    numbered = [[name, data, str(number)] for number, (name, data) in enumerate(events, 1)]
    story: dict[str, Any] = await page.evaluate(TELL, numbered)
    return story


async def test_the_events_of_version_2_are_told(open_page: "Open") -> None:
    async with service(world_of()) as client, open_page(str(client.base_url)) as page:
        story = await tell(page, VERSION_2)
    nodes = {node["id"]: node for node in story["nodes"]}
    assert (story["id"], story["policy"], story["selection"], story["round"]) == ("s1", "p", "weighted", 2)
    assert story["queue"]["place"] == 0
    assert (nodes["1"]["state"], nodes["1"]["dropped"]) == ("dropped", DROPPED)
    assert (nodes["0"]["state"], nodes["0"]["steps"][0]["cached"]) == ("expanded", 5)
    assert (nodes["0.0"]["answer"], nodes["0.0"]["verified"], nodes["0.0"]["parent"]) == ("4", True, "0")
    assert "0.1" not in nodes
    assert dict(story["children"]) == {"": ["1", "0"], "0": ["0.0"]}
    assert (story["votes"]["line"], story["share"], story["usage"]["completion_tokens"]) == (1.0, 0.5, 9)


async def test_events_that_come_again_after_a_resumption_change_nothing(open_page: "Open") -> None:
    async with service(world_of()) as client, open_page(str(client.base_url)) as page:
        whole = await tell(page, VERSION_2)
        numbered = [[name, data, str(number)] for number, (name, data) in enumerate(VERSION_2, 1)]
        again = await page.evaluate(TELL, [*numbered[:12], *numbered[6:]])
    assert again == whole


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("strategy", ["auto", "majority", "beam_search", "dvts", "rebase"])
async def test_a_stream_and_its_reply_tell_the_same(open_page: "Open", strategy: str, seed: int) -> None:
    async with service(World(Chance(seed))) as client, open_page(str(client.base_url)) as page:
        events = await read_events(client, strategy=strategy, n=8)
        reply = events[-1][1]
        told, stored = await tell(page, events), await page.evaluate(FROM_REPLY, reply)
    names = ("id", "parent", "score", "state", "answer", "verified", "tokens")
    trees = [{node["id"]: {name: node[name] for name in names} for node in story["nodes"]} for story in (told, stored)]
    assert trees[0] == trees[1]
    assert trees[1].keys() == {node["id"] for node in reply["tree"]["nodes"]}
    texts = [
        {node["id"]: [step["text"] for step in node["steps"]] for node in story["nodes"]} for story in (told, stored)
    ]
    assert texts[0] == texts[1]
    assert (told["votes"]["votes"], told["usage"]) == (reply["votes"], reply["usage"])
    chosen = next(candidate for candidate in reply["candidates"] if candidate["id"] == stored["chosen"])
    assert chosen["response"] == reply["response"]
    assert stored["steps"] == list(range(len(chosen["steps"])))


def stream(events: Sequence[Event]) -> str:
    """Events as they cross the wire."""
    return "".join(
        f"id: {number}\nevent: {name}\ndata: {json.dumps(data)}\n\n" for number, (name, data) in enumerate(events, 1)
    )


async def test_the_view_shows_what_version_2_tells(open_page: "Open") -> None:
    """The stream ends without a result: what it told stays, and why there is no more is said."""
    async with service(world_of()) as client, open_page(str(client.base_url)) as page:
        await page.route("**/solve", lambda route: route.fulfill(body=stream(VERSION_2), content_type=EVENT_STREAM))
        await page.locator("[name=problem]").fill("2 + 2")
        await page.get_by_role("button", name="Solve", exact=True).click()
        await page.get_by_role("alert").wait_for()
        votes = await page.get_by_role("region", name="Votes").inner_text()
        bill = await page.get_by_role("region", name="Bill").inner_text()
        await page.get_by_role("button", name="Outline").click()
        items = await page.get_by_role("treeitem").evaluate_all("items => items.map((item) => item.dataset.id)")
        await page.locator("[data-id='1']").click()
        step = await page.get_by_role("complementary", name="Step").inner_text()
    assert items == ["0", "0.0", "1"]
    assert "1 candidate may still vote. Decided at 1.00." in votes
    assert "9 tokens" in bill
    assert "Not continued: 2nd of 2 compared, of which 1 was kept. The lowest score that was kept is 0.90." in step
