"""Files of searches: what the command line writes the page reads, and the other way round."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from search.evaluation.tasks import Task
from search.stored import StoredSearch
from server.cli.batch import Line, Results
from server.cli.searches import SearchFile, read_searches
from tests.natures import Tree, answer, step
from tests.server.page.scripts import call
from tests.server.services import service
from tests.worlds import World

REQUEST = {"problem": "What is 1 + 1?", "strategy": "beam_search", "n": 4, "beam_width": 2, "seed": 3}
READ = "({ readSaved }, text) => readSaved(text, 'file.jsonl')"
COUNT_NODES = """({ readSaved, storyAt, timelineOf }, text) => readSaved(text, "f").searches.map((search) => {
  const timeline = timelineOf(search);
  return timeline.moments.map((_, moment) => storyAt(timeline, moment, search.problem).nodes.size);
})"""


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    branch = step("b", 0.9, step("c", 0.8, answer("2", 0.9), answer("3", 0.2)), answer("2", 0.7))
    async with service(World(Tree(step("a", 0.3, answer("4", 0.1)), branch))) as client:
        yield client


@pytest.fixture(scope="module")
async def reply(client: httpx.AsyncClient) -> dict[str, Any]:
    return dict((await client.post("/solve", json=REQUEST)).raise_for_status().json())


def test_a_reply_as_winnow_solve_prints_it_is_read(reply: dict[str, Any]) -> None:
    found = call("saved", READ, json.dumps(reply, indent=2))
    (search,) = found["searches"]
    assert (found["faults"], search["problem"], search["events"]) == ([], None, None)
    assert search["reply"]["tree"]["nodes"] == reply["tree"]["nodes"]
    assert search["reply"]["votes"] == reply["votes"]


def test_lines_of_winnow_solve_file_and_eval_are_read(reply: dict[str, Any], tmp_path: Path) -> None:
    results = Results(tmp_path / "results.jsonl", {})
    named = {name: value for name, value in reply.items() if name != "id"}
    results.add(Line(1, "a", REQUEST), {**named, "request_id": "r"})
    results.add(Line(2, "b", REQUEST), {"error": "n: not a number"})
    searches = SearchFile(tmp_path / "searches.jsonl", {})
    searches.add(Task(REQUEST["problem"], "2", 4), REQUEST, reply)  # type: ignore[arg-type]
    found = call("saved", READ, (tmp_path / "results.jsonl").read_text())
    assert [each["problem"] for each in found["searches"]] == [REQUEST["problem"]]
    assert found["faults"] == ["file.jsonl, line 2: it has no reply: n: not a number"]
    (search,) = call("saved", READ, (tmp_path / "searches.jsonl").read_text())["searches"]
    assert (search["golds"], search["level"]) == (["2"], 4)


def test_what_the_page_saves_is_read_by_winnow_export_and_revote(reply: dict[str, Any], tmp_path: Path) -> None:
    function = "({ savedText }, ...given) => savedText(...given)"
    text = call("saved", function, {**REQUEST, "stream": True, "background": True}, reply, [])
    (tmp_path / "saved.jsonl").write_text(text)
    ((_, stored),) = read_searches(tmp_path / "saved.jsonl")
    assert isinstance(stored, StoredSearch)
    assert (stored.problem, stored.answer, stored.n) == (REQUEST["problem"], reply["answer"], 4)
    assert len(stored.nodes) == len(reply["tree"]["nodes"])
    assert json.loads(text)["request"] == REQUEST


async def test_a_saved_stream_is_told_again_event_by_event(client: httpx.AsyncClient, reply: dict[str, Any]) -> None:
    events: list[dict[str, Any]] = []
    async with client.stream("POST", "/solve", json={**REQUEST, "stream": True}) as response:
        async for line in response.aiter_lines():
            if line.startswith("event: "):
                events.append({"event": line.removeprefix("event: "), "id": len(events) + 1, "at": 10 * len(events)})
            if line.startswith("data: "):
                events[-1]["data"] = json.loads(line.removeprefix("data: "))
    text = call("saved", "({ savedText }, ...given) => savedText(...given)", REQUEST, events[-1]["data"], events)
    (sizes,) = call("saved timeline", COUNT_NODES, text)
    assert len(sizes) == len(events)
    assert text.count('"diagnostics":') == 1  # the reply is there once
    assert sizes == sorted(sizes)
    assert sizes[-1] == len(reply["tree"]["nodes"])
    assert sizes[0] == 0


SAME = """({ fromReply, readSaved, storyAt, timelineOf }, text) => {
  const [search] = readSaved(text, "f").searches;
  const timeline = timelineOf(search);
  const told = storyAt(timeline, timeline.moments.length - 1, search.problem);
  const shown = ({ nodes, children, votes, result }) => ({ nodes: [...nodes], children: [...children], votes, result });
  return [shown(told), shown(fromReply(search.reply, search.problem))];
}"""


@pytest.mark.parametrize("include", [["candidates", "tree"], ["candidates"], []])
async def test_the_last_moment_of_a_reply_is_the_whole_of_it(client: httpx.AsyncClient, include: list[str]) -> None:
    reply = (await client.post("/solve", json={**REQUEST, "include": include})).json()
    told, whole = call("saved timeline story", SAME, json.dumps({"request": REQUEST, **reply}))
    assert sorted(told["nodes"]) == sorted(whole["nodes"])
    assert sorted(told["children"]) == sorted(whole["children"])
    assert told["result"] == whole["result"]
    assert bool(told["nodes"]) is bool(include)


def test_time_goes_by_rounds_where_only_the_reply_is_there(reply: dict[str, Any]) -> None:
    (sizes,) = call("saved timeline", COUNT_NODES, json.dumps(reply))
    depths = sorted(node["id"].count(".") + 1 for node in reply["tree"]["nodes"])
    by_round = [sum(depth <= round for depth in depths) for round in range(max(depths) + 1)]
    assert sizes == [*by_round, len(depths)]


WRONG = [
    ("no JSON", "line 1: not JSON"),
    ("[]", "line 1: not an object"),
    ("", "is empty"),
    ('{"a": 1}', "line 1: no strategy; it has a"),
    ('{"strategy": {"name": 1}}', "strategy.name"),
    ('{"strategy": {"name": "x", "n": 0}}', "strategy.n"),
    ('{"strategy": {"name": "x", "n": 1}, "votes": [{}]}', "votes.0"),
    ('{"strategy": {"name": "x", "n": 1}, "answer": {"__html": "<b>"}}', "answer: not text"),
    ('{"strategy": {"name": "x", "n": 1}, "tree": {"nodes": [NODE, NODE]}}', "0 is there twice"),
    ('{"strategy": {"name": "x", "n": 1}, "tree": {"nodes": [ORPHAN]}}', "does not precede it"),
    ('{"strategy": {"name": "x", "n": 1}, "tree": {"nodes": [STRANGE]}}', "no name of a node"),
    (
        '{"strategy": {"name": "x", "n": 1}, "candidates": [{"id": "0", "steps": [1]}]}',
        "candidates.0.steps.0: not a step",
    ),
    *(
        (f'{{"strategy": {{"name": "x", "n": 1}}, "events": [{{"event": "{event}", "data": {data}}}]}}', "events.0")
        for event, data in (
            ("step", '{"node": "0", "index": 0, "text": 1}'),
            ("step", '{"node": "<b>", "index": 0, "text": ""}'),
            ("candidate", '{"id": "0", "tokens": 1, "state": "<b>"}'),
            ("candidate", '{"id": "0", "tokens": 1, "state": "dropped", "dropped": {"rank": "<b>"}}'),
            ("votes", '{"votes": 5, "outstanding": 0}'),
            ("votes", '{"votes": [{"answer": {}, "count": 1}], "outstanding": 0}'),
            ("usage", '{"share": 1, "elapsed_s": 1, "usage": {"completion_tokens": "9"}}'),
            ("decision", '{"reason": {"__html": ""}, "values": {}}'),
            ("queue", '{"place": "1", "length": 1}'),
            ("start", '{"strategy": "dvts"}'),
            ("start", '{"strategy": {"name": "dvts", "n": {"toString": 1}}}'),
            ("start", '{"strategy": {"name": "dvts", "n": 1}, "selection": {}}'),
            ("candidate", '{"id": "0", "parent": "0", "tokens": 1, "state": "growing"}'),
            ("candidate", '{"id": "0.0", "parent": "0", "tokens": 1, "state": "growing"}'),
            ("round", "{}"),
            ("round", "null"),
        )
    ),
    ('{"strategy": {"name": "x", "n": 1}, "usage": {"completion_tokens": "9"}}', "usage.completion_tokens"),
    ('{"strategy": {"name": "x", "n": 1, "selection": {"toString": 1}}}', "selection: not text"),
    ('{"strategy": {"name": "x", "n": 1}, "request": {"x": DEEP}}', "nested too deeply"),
]
NODE: dict[str, Any] = {"id": "0", "parent": None, "steps": [], "tokens": 1, "score": None, "state": "complete"}


@pytest.mark.parametrize(("text", "fault"), WRONG)
def test_what_cannot_be_used_is_said_with_its_line(text: str, fault: str) -> None:
    for name, node in {"NODE": NODE, "ORPHAN": {**NODE, "parent": "9"}, "STRANGE": {**NODE, "id": "<b>"}}.items():
        text = text.replace(name, json.dumps(node))
    found = call("saved", READ, text.replace("DEEP", "[" * 9999 + "]" * 9999))
    assert found["searches"] == []
    assert fault in found["faults"][0]


def test_a_bad_line_does_not_cost_the_good_ones_and_a_torn_one_is_left_out(reply: dict[str, Any]) -> None:
    line = json.dumps({"request": REQUEST, **reply})
    found = call("saved", READ, f"{line}\n\nno JSON\n{line}\n{line[:99]}")
    assert len(found["searches"]) == 2
    assert found["faults"] == ["file.jsonl, line 3: not JSON"]


def test_a_file_of_outcomes_is_known_and_many_searches_are_bounded(reply: dict[str, Any]) -> None:
    assert call("saved", READ, '{"made": {}, "told": {}}\n{"problem": "?"}\n')["outcomes"] is True
    line = json.dumps({"request": REQUEST, **reply, "tree": None, "candidates": None})
    found = call("saved", "({ readSaved }, text) => readSaved(text, 'f', 3)", f"{line}\n" * 9)
    assert len(found["searches"]) == 3
    assert "more than 3 searches" in found["faults"][0]


def candidate(id: str, parent: str | None) -> dict[str, Any]:
    return {"event": "candidate", "data": {"id": id, "parent": parent, "tokens": 1, "state": "growing"}}


@pytest.mark.parametrize(
    ("edges", "fault"),
    [
        ([("0", None), ("1", "0"), ("0", "1")], "events.2: 0 cannot follow 1"),  # a circle
        ([(str(number), str(number - 1) if number else None) for number in range(1001)], "events.1000: too deep"),
    ],
)
def test_candidates_that_form_no_tree_are_refused(edges: list[tuple[str, str | None]], fault: str) -> None:
    line = {"strategy": {"name": "x", "n": 1}, "events": [candidate(*edge) for edge in edges]}
    found = call("saved", READ, json.dumps(line))
    assert found["searches"] == []
    assert fault in found["faults"][0]


def test_a_step_without_a_score_has_its_moment() -> None:
    events = [{"event": "step", "data": {"node": "0", "index": 0, "text": "a"}}, candidate("0", None)]
    function = """({ momentInWords, readSaved, timelineOf }, text) =>
      momentInWords(timelineOf(readSaved(text, "f").searches[0]), 0)"""
    assert call("saved timeline", function, json.dumps({"strategy": {"name": "x", "n": 1}, "events": events})) == (
        "0 grows by a step"
    )


def test_names_that_every_object_has_are_names() -> None:
    strategy = {"name": "constructor", "n": 1, "selection": "toString"}
    decision = {"event": "decision", "data": {"reason": "{constructor} {n}", "values": {"n": 4}}}
    vote = {"answer": "1", "count": 1, "weight": 0.5}
    line = {"strategy": strategy, "votes": [vote], "events": [decision], "response": "1"}
    function = """({ decisionInWords, follow, nameOf, readSaved, storyAt, timelineOf, whyItWon }, text) => {
      const [search] = readSaved(text, "f").searches;
      const story = storyAt(timelineOf(search), 1, null);
      follow(story, { event: "__proto__", data: {} });
      return [nameOf(search.reply.strategy.name), decisionInWords(story), ...whyItWon(story)].join(" | ");
    }"""
    said = call("saved timeline words story", function, json.dumps(line))
    assert said.startswith("constructor | {constructor} 4 | The one candidate gave it, with a weight of 0.50")


def test_numbers_of_any_size_stay_short() -> None:
    function = "({ count, percent, score, seconds }) => [count, percent, score, seconds].map((say) => say(1e308))"
    assert call("numbers", function) == ["1.0e+308", "1.0e+308", "1.0e+308", "1.0e+308\u202fs"]
