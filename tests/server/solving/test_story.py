"""The stream of `POST /solve`: a search is rebuilt from it, and it tells each thing when it happens."""

import asyncio
import time
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import EngineUnavailableError
from search.strategies import strategies
from server.app import create_app
from server.identity import load_calibration
from server.keys import Client, Keyring
from server.schemas import SolveRequest
from server.settings import Settings
from server.solving.admission import Admission, Standing
from server.solving.searching import Search
from server.solving.state import State
from server.solving.story import Story
from server.stream import EVENTS
from tests.markdown import ROOT, blocks
from tests.natures import Chance, Tree, answer, step
from tests.rebuilding import Event, parse, rebuild, told
from tests.search.code.test_examiner import Script, program
from tests.search.helpers import an_hour_later
from tests.search.test_ttt_best_of_n import Pupil
from tests.waiting import until
from tests.worlds import World

SEEDS = st.integers(0, 1000)
TREES = ["beam_search", "dvts", "rebase"]


@cache
def service() -> State:
    """The state of a service with the calibration table of the demo pair."""
    own = Settings()
    state = create_app(World(Chance(0)).models, (), own, Keyring(), calibrated=load_calibration(own)).state.winnow
    assert isinstance(state, State)
    return state


def planned(world: World, admission: Admission | None = None, **fields: Any) -> Search:
    state = replace(service(), models=world.models, admission=admission or Admission(10**9, 8))
    request = SolveRequest.model_validate({"problem": "?", "n": 8} | fields)
    return Search.plan(request, state, Client("one"), time.perf_counter())


async def follow(search: Search, story: Story) -> list[Event]:
    task = await search.begin(story, story)
    return parse(b"".join([chunk async for chunk in story.follow(task)]))


async def tell(world: World, **fields: Any) -> list[Event]:
    search = planned(world, **fields)
    return await follow(search, Story(search))


def world_of(seed: int, shuffle: int) -> World:
    world = World(Chance(seed), shuffle)
    world.verifier = Pupil(Chance(seed))
    world.models = replace(world.models, verifier=world.verifier)
    return world


@st.composite
def any_request(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(st.sampled_from([*strategies()]))
    row = strategies()[name]
    choices = {
        "beam_width": st.sampled_from([1, 2, 4]),
        "max_steps": st.integers(1, 4),
        "lookahead": st.integers(0, 1),
        "aggregation": st.sampled_from(["last", "min", "prod"]),
        "selection": st.sampled_from([None, *(selection.value for selection in row.selections)]),
        "warmup": st.integers(1, 8),
    }
    fields = {field: draw(values) for field, values in choices.items() if row.reads(field)}
    if name == "ttt_best_of_n" and fields["selection"] == "majority":
        fields["selection"] = None
    stops = ["exact", False, *(["probable"] if row.stops_probably and fields.get("selection") != "tournament" else [])]
    return fields | {
        "strategy": name,
        "n": draw(st.sampled_from([4, 8, 16])),
        "seed": draw(SEEDS),
        "early_stop": draw(st.sampled_from(stops)),
        "max_tokens": draw(st.sampled_from([12, 1000])),
    }


@settings(max_examples=300)
@given(fields=any_request(), world_seed=SEEDS, shuffle=SEEDS)
async def test_a_search_is_rebuilt_from_its_events(fields: dict[str, Any], world_seed: int, shuffle: int) -> None:
    *events, (last, reply) = await tell(world_of(world_seed, shuffle), **fields)
    assert last == "result"
    assert rebuild(events) == told(reply)
    names = [name for name, _ in events]
    assert names[:2] == ["start", "queue"]
    assert (names.count("start"), names.count("queue"), names[-1]) == (1, 1, "usage")


@settings(max_examples=100)
@given(fields=any_request(), world_seed=SEEDS)
async def test_the_share_rises_to_one(fields: dict[str, Any], world_seed: int) -> None:
    search = planned(world_of(world_seed, 0), **fields)
    ticks = iter(range(10**6))
    events = await follow(search, Story(search, clock=lambda: search.arrived + next(ticks)))
    shares = [data["share"] for name, data in events if name == "usage"]
    assert len(shares) > 1
    assert shares == sorted(shares)
    assert shares[-1] == 1 > shares[-2] >= 0


async def test_the_start_says_what_is_searched_and_how() -> None:
    _, start = (await tell(World(Chance(0)), strategy="dvts", beam_width=2, seed=5))[0]
    assert (start["version"], start["problem"], start["selection"], start["aggregation"]) == (
        2,
        "?",
        "weighted",
        "last",
    )
    assert (start["policy"], start["verifier"]) == ("winnow-demo", "prm")
    shown = start["strategy"]
    assert (shown["name"], shown["n"], shown["beam_width"], shown["seed"]) == ("dvts", 8, 2, 5)
    _, start = (await tell(World(Chance(0)), strategy="majority"))[0]
    assert (start["verifier"], start["aggregation"], start["selection"]) == (None, None, "majority")


def test_the_stream_in_the_documentation_is_one_of_this_version() -> None:
    (shown,) = (block for block in blocks("text") if block.page == ROOT / "server" / "stream.md")
    *events, (last, reply) = parse(shown.code.encode())
    rebuilt = rebuild(events)
    assert (last, {name for name, _ in events}) == ("result", {*EVENTS} - {"decision", "result", "error"})
    assert [rebuilt[part] for part in ("votes", "usage")] == [reply[part] for part in ("votes", "usage")]
    assert "".join(step["text"] for step in rebuilt["candidates"][0]["steps"]) == reply["response"]
    assert {node["state"] for node in rebuilt["tree"]} == {"expanded", "dropped", "complete"}


async def test_a_lost_candidate_leaves_the_tree() -> None:
    world = World(Tree(step("a", 0.5, answer("1", 0.9)), answer("2", 0.4)))
    world.policy.failures[r"\boxed{1}"] = EngineUnavailableError("gone")
    *events, (_, reply) = await tell(world, strategy="beam_search", n=4, beam_width=2)
    assert reply["status"] == "degraded"
    assert rebuild(events) == told(reply)


@pytest.mark.parametrize("strategy", ["weighted_best_of_n", "beam_search"])
async def test_programs_and_what_their_tests_say_are_told(strategy: str) -> None:
    world = World(Tree(program("bad", 0.9), program("good 1", 0.3), program("good 2", 0.6), program("slow", 0.8)))
    world.models = replace(world.models, tester=Script())
    *events, (_, reply) = await tell(world, strategy=strategy, n=4, checker="unit_tests", tests="assert True")
    assert reply["answer"] == "good 2\n"
    assert rebuild(events) == told(reply)


@pytest.mark.parametrize("strategy", ["majority", "dvts"])
async def test_thoughts_are_told_apart(strategy: str) -> None:
    world = World(Tree(step("Hm", 0.5, step("Hm, so", 0.5, answer("1", 0.9), answer("2", 0.4)))), thinks=True)
    *events, (_, reply) = await tell(world, strategy=strategy, n=4, beam_width=4)
    assert reply["usage"]["reasoning_tokens"] > 0
    assert rebuild(events) == told(reply)
    assert {data["thinking"] for name, data in events if name == "step"} == {True, False}


async def test_a_failed_search_ends_with_the_error() -> None:
    world = World(Tree(answer("1", 0.9)))
    world.policy.failures[r"\boxed{1}"] = EngineUnavailableError("gone")
    *_, (last, data) = await tell(world, n=2, strategy="majority")
    assert (last, data["error"]["type"]) == ("error", "server_error")


@pytest.mark.asyncio(loop_scope="function")  # the clock that jumps an hour is no engine's
@pytest.mark.parametrize("strategy", ["weighted_best_of_n", *TREES])
async def test_what_time_cuts_off_is_dropped_without_a_comparison(strategy: str) -> None:
    world = World(Tree(answer("1", 0.9), step("a", 0.95, step("b", 0.6, answer("2", 0.4)))))
    world.policy.gates[r"\boxed{2}"] = asyncio.Event()
    search = planned(world, strategy=strategy, deadline_s=60, early_stop=False)
    *events, (_, reply) = await an_hour_later(follow(search, Story(search)))
    assert reply["status"] == "deadline"
    assert rebuild(events) == told(reply)
    cut = [data for name, data in events if name == "candidate" and data["state"] == "dropped" and not data["dropped"]]
    assert cut


@pytest.mark.parametrize("strategy", TREES)
@pytest.mark.parametrize("seed", range(5))
async def test_what_is_dropped_is_told_before_the_kept_take_a_step(strategy: str, seed: int) -> None:
    events = await tell(World(Chance(seed), seed), strategy=strategy, n=16, seed=seed, early_stop=False)
    places = {data["id"]: place for place, (_, data) in enumerate(events) if data.get("dropped")}
    assert places

    def level(node: str) -> tuple[int, int]:
        """Of the subtree, or of the whole tree where it is searched as one, and the depth in it."""
        first, *rest = map(int, node.split("."))
        return first // 4 if strategy == "dvts" else 0, len(rest)

    for dropped, place in places.items():
        subtree, depth = level(dropped)
        before = [data["node"] for name, data in events[:place] if name == "step"]
        assert (subtree, depth + 1) not in map(level, before)


async def test_a_dropped_candidate_says_how_it_compared() -> None:
    branches = [step(name, score, answer("1", 0.9)) for name, score in zip("abcd", (0.1, 0.4, 0.3, 0.2), strict=True)]
    events = await tell(World(Tree(*branches)), strategy="beam_search", n=4, beam_width=2)
    dropped = {data["id"]: data["dropped"] for name, data in events if name == "candidate" and data["dropped"]}
    assert dropped == {
        "3": {"rank": 3, "of": 4, "kept": 2, "lowest_kept": 0.3},
        "0": {"rank": 4, "of": 4, "kept": 2, "lowest_kept": 0.3},
    }


async def test_votes_are_told_as_they_are_cast_with_the_line() -> None:
    world = World(Tree(answer("1", 0.5), answer("2", 0.5), answer("1", 0.5)))
    search = planned(world, strategy="majority", n=4, early_stop=False)
    seconds = iter(range(10**6))
    events = await follow(search, Story(search, clock=lambda: search.arrived + next(seconds)))
    told = [
        ([(vote["answer"], vote["count"]) for vote in data["votes"]], data["outstanding"], data["line"])
        for name, data in events
        if name == "votes"
    ]
    assert told == [
        ([("1", 1)], 3, 4),
        ([("1", 1), ("2", 1)], 2, 4),
        ([("1", 2), ("2", 1)], 1, 3),
        ([("1", 3), ("2", 1)], 0, 1),
    ]


async def test_long_lists_of_votes_come_less_often_and_the_last_always() -> None:
    world = World(Tree(*[answer(str(number), 0.5) for number in range(64)]))
    search = planned(world, strategy="majority", n=64, early_stop=False)
    *events, (_, reply) = await follow(search, Story(search, clock=lambda: search.arrived + 1))
    votes = [data["votes"] for name, data in events if name == "votes"]
    assert len(votes) == 2
    assert votes[-1] == reply["votes"]


async def test_what_auto_decides_is_told_when_it_is_decided() -> None:
    events = await tell(world_of(3, 0), strategy="auto", n=16, seed=1)
    told = [data for name, data in events if name == "decision"]
    assert told[0]["reason"].endswith("probes how difficult the problem is")
    assert "difficulty" in told[1]["values"]
    first = [name for name, _ in events].index("decision")
    assert first < [name for name, _ in events].index("step")
    assert not any("time was up" in data["reason"] for data in told)


class Waiting(Story):
    """Remembers its places and the lengths of the queue."""

    def __init__(self, search: Search) -> None:
        super().__init__(search)
        self.places: list[tuple[int, int]] = []

    def on_queue(self, standing: Standing) -> None:
        self.places.append((standing.place, standing.length))
        super().on_queue(standing)


async def test_the_places_in_the_queue_are_told_as_they_change() -> None:
    answers = ["1", "2", "3"]
    gates = [asyncio.Event() for _ in answers]
    admission = Admission(1, 8)
    stories: list[Waiting] = []
    streams: list[asyncio.Task[list[Event]]] = []
    for text, gate in zip(answers, gates, strict=True):
        world = World(Tree(answer(text, 0.5)))
        world.policy.gates[rf"\boxed{{{text}}}"] = gate
        search = planned(world, admission, strategy="majority", n=1)
        stories.append(Waiting(search))
        streams.append(asyncio.create_task(follow(search, stories[-1])))
        await until(lambda: admission.num_running + admission.num_queued == len(stories))
    first, second, third = (story.places for story in stories)
    await until(lambda: (second, third) == ([(1, 1), (1, 2)], [(2, 2)]))
    gates[0].set()
    await until(lambda: third == [(2, 2), (1, 1)])
    for gate in gates[1:]:
        gate.set()
    told = [[(data["place"], data["length"]) for name, data in await stream if name == "queue"] for stream in streams]
    assert told == [first, second, third] == [[(0, 0)], [(1, 1), (1, 2), (0, 1)], [(2, 2), (1, 1), (0, 0)]]


async def test_a_queue_in_which_a_search_has_ended_estimates_the_wait() -> None:
    seconds = 0.0
    admission = Admission(1, 8, lambda: seconds)
    with admission.join(Client("one"), 1):
        seconds = 4.0
    told: list[float | None] = []
    with admission.join(Client("one"), 1), admission.join(Client("one"), 1) as second:
        second.watch(lambda standing: told.append(standing.wait_s))
        with admission.join(Client("one"), 1) as third:
            third.watch(lambda standing: told.append(standing.wait_s))
    assert told[:2] == [4.0, 8.0]
