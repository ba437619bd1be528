"""How many searches run at a time: by what the engines hold and how long responses are, whatever clients ask for."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from models.engine_client import Cache, RunningModel
from server.keys import Client
from server.settings import COST_IN_FLIGHT, THINKING_COST, Settings
from server.solving.admission import Admission, Place
from server.solving.capacity import FEWEST, MOST_BELOW, Capacity, Lengths, capacity_of
from tests.natures import Tree, answer, step
from tests.server.scraping import scrape, total
from tests.server.services import queueing, world_of
from tests.waiting import until
from tests.worlds import World

ONE = {"problem": "1", "n": 1, "strategy": "majority"}
COST = 1024
"""Of `ONE`: the context of a world bounds it."""
HOSTILE, HONEST = Client("hostile"), Client("honest")


@dataclass(eq=False)
class Stub:
    """An engine that says what it holds, and no more."""

    name: str
    cache: Cache | None
    metrics: CollectorRegistry = field(default_factory=CollectorRegistry)
    num_restarts: int = 0

    async def check(self) -> None:
        """It answers."""


class Silent:
    """A model without an engine."""

    name, num_restarts = "verifier", 0

    def __init__(self) -> None:
        self.metrics = CollectorRegistry()

    async def check(self) -> None:
        """It answers."""


def pair(policy: int, verifier: int, num_requests: int | None = None) -> list[RunningModel]:
    return [Stub("policy", Cache(policy, num_requests)), Stub("verifier", Cache(verifier))]


def test_the_capacity_is_what_the_smaller_cache_holds() -> None:
    found = capacity_of(Settings(), pair(3_000, 2_000, 64))
    assert (found.tokens, found.num_candidates, found.is_asked) == (2_000, 64, False)
    assert (
        str(found) == "searches run while what they probably take fits into 2,000 tokens: the KV cache of the verifier"
    )


def test_each_process_of_a_service_has_its_share_of_a_cache() -> None:
    servers: dict[str, Any] = {"policy_url": ["http://one:8000"], "verifier_url": ["http://two:8000"]}
    assert capacity_of(Settings(workers=4, **servers), pair(3_000, 2_000)).tokens == 500


def test_a_verifier_without_an_engine_holds_nothing_back() -> None:
    assert capacity_of(Settings(), [Stub("policy", Cache(3_000)), Silent()]).tokens == 3_000


@pytest.mark.parametrize("engines", [[], [Silent()], [Stub("policy", None), Stub("verifier", Cache(2_000))]])
def test_where_an_engine_does_not_say_what_it_holds_the_capacity_is_the_default(engines: list[RunningModel]) -> None:
    found = capacity_of(Settings(), engines)
    assert (found.tokens, found.is_asked) == (COST_IN_FLIGHT, True)
    assert "do not say" in found.source


def test_a_capacity_that_is_set_is_compared_with_what_searches_ask_for() -> None:
    found = capacity_of(Settings(max_cost_in_flight=700), pair(3_000, 2_000))
    assert (found.tokens, found.is_asked, found.source) == (700, True, "max_cost_in_flight")
    lengths = Lengths(found)
    seen(lengths, HONEST, 10)
    assert lengths.expected("honest", "majority", 4, 4_096) == 4_096


def seen(lengths: Lengths, client: Client, *each: int, number: int = FEWEST) -> None:
    """Let searches of four responses end, whose responses were so long."""
    for length in each * number:
        lengths.add(client.name, "majority", 4, 4 * length)


def lengths_of(tokens: int = 100_000, num_candidates: int | None = None, *, thinks: bool = False) -> Lengths:
    return Lengths(Capacity(tokens, "a test", num_candidates, is_asked=False, thinks=thinks))


def test_a_search_is_charged_with_all_that_it_asks_for_until_some_were_seen() -> None:
    lengths = lengths_of()
    seen(lengths, HONEST, 500, number=FEWEST - 1)
    assert lengths.expected("honest", "majority", 4, 4_096) == 4_096
    seen(lengths, HONEST, 500, number=1)
    assert lengths.expected("honest", "majority", 4, 4_096) == 2_000


def test_the_charge_follows_the_latest_lengths_up_and_down() -> None:
    lengths = lengths_of()
    for length in (200, 800, 300):
        seen(lengths, HONEST, length, number=64)
        assert lengths.expected("honest", "majority", 4, 4_096) == 4 * length


def test_one_in_ten_may_be_longer_than_a_search_is_charged_with() -> None:
    lengths = lengths_of()
    seen(lengths, HONEST, *[300] * 9, 1_000, number=6)
    assert lengths.expected("honest", "majority", 4, 4_096) == 1_200
    seen(lengths, HONEST, 1_000, number=2)
    assert lengths.expected("honest", "majority", 4, 4_096) == 4_000


def test_strategies_and_clients_are_told_apart_and_newcomers_are_like_all() -> None:
    lengths = lengths_of()
    seen(lengths, HOSTILE, 900, number=64)
    seen(lengths, HONEST, 200)
    assert lengths.expected("honest", "majority", 4, 4_096) == 800
    assert lengths.expected("newcomer", "majority", 4, 4_096) == 3_600
    assert lengths.expected("honest", "beam_search", 4, 4_096) == 4_096


def test_with_thoughts_the_first_are_charged_with_an_eighth() -> None:
    assert lengths_of(thinks=True).expected("honest", "majority", 4, 8_000) == 8_000 // THINKING_COST


def test_a_candidate_takes_its_part_of_the_cache_however_short_it_is() -> None:
    lengths = lengths_of(tokens=64_000, num_candidates=128)
    seen(lengths, HONEST, 3)
    assert lengths.expected("honest", "majority", 4, 8_192) == 4 * 500
    assert lengths.expected("honest", "majority", 4, 400) == 400


@given(st.lists(st.integers(0, 5_000), max_size=80), st.integers(1, 64), st.integers(1, 4_096))
def test_a_charge_is_never_below_an_eighth_of_the_cost_nor_above_it(each: list[int], n: int, longest: int) -> None:
    lengths = lengths_of()
    seen(lengths, HOSTILE, *each, number=1)
    cost = n * longest
    assert cost / MOST_BELOW <= lengths.expected("hostile", "majority", n, cost) <= cost
    assert lengths.expected("hostile", "majority", n, cost) <= lengths.expected("hostile", "majority", n, cost + n)


def test_what_is_no_search_runs_as_often_as_before() -> None:
    lengths = lengths_of(tokens=COST_IN_FLIGHT // 4)
    assert lengths.unseen(4_096) == 1_024
    assert lengths_of(tokens=COST_IN_FLIGHT * 4).unseen(4_096) == 4_096


class Queue:
    """Searches of four responses that come and take tokens."""

    def __init__(self, capacity: int) -> None:
        self.lengths = lengths_of(capacity)
        self.admission = Admission(capacity, 1_000)
        self.taken: dict[Place, int] = {}
        self._stack = ExitStack()

    def come(self, client: Client, cost: int) -> Place:
        def expected() -> int:
            taken = self.taken.get(place, 0) if place else 0
            return max(self.lengths.expected(client.name, "majority", 4, cost), taken)

        place: Place | None = None
        place = self._stack.enter_context(self.admission.join(client, cost, expected))
        return place


def running(places: Sequence[Place]) -> int:
    return sum(place.started is not None for place in places)


@pytest.mark.parametrize("asked", [1_200, 2_000, 3_200])
def test_who_asks_for_the_most_has_no_more_running_than_who_asks_for_what_is_needed(asked: int) -> None:
    queue = Queue(12_000)
    seen(queue.lengths, HOSTILE, 100)
    seen(queue.lengths, HONEST, 100)
    greedy, modest = [queue.come(HOSTILE, asked) for _ in range(60)], [queue.come(HONEST, 1_200) for _ in range(60)]
    assert (
        running(greedy) == 22
    )  # of 400 tokens each, in three quarters: the last one is for those with nothing running
    assert running(modest) == 1


def test_short_searches_first_let_in_no_more_long_ones_than_the_bound_and_none_after_them() -> None:
    queue = Queue(12_800)
    seen(queue.lengths, HOSTILE, 1, number=64)
    places = [queue.come(HOSTILE, 3_200) for _ in range(100)]
    burst = [place for place in places if place.started is not None]
    assert sum(place.cost for place in burst) <= MOST_BELOW * 12_800
    queue.taken = dict.fromkeys(burst, 3_200)  # each takes all that it may
    other = queue.come(HONEST, 400)
    assert running(places) == len(burst)
    assert other.started is None
    assert queue.admission.in_flight == 3_200 * len(burst) > 12_800
    seen(queue.lengths, HOSTILE, 800, number=64)  # they end
    assert queue.lengths.expected("hostile", "majority", 4, 3_200) == 3_200


def test_those_that_wait_are_charged_by_what_is_known_when_there_is_room() -> None:
    queue = Queue(4_096)
    with queue.admission.join(HONEST, 4_096):
        waiting = [queue.come(HONEST, 4_096) for _ in range(4)]
        seen(queue.lengths, HONEST, 130)
    assert running(waiting) == 4


async def ask(client: httpx.AsyncClient, number: int) -> list[asyncio.Task[httpx.Response]]:
    return [asyncio.create_task(client.post("/solve", json=ONE)) for _ in range(number)]


async def test_a_service_lets_more_in_once_it_has_seen_how_short_the_responses_are() -> None:
    world = world_of("1")
    async with queueing(world, pair(4 * COST, 8 * COST)) as (client, admission):
        asked = [await client.post("/solve", json=ONE) for _ in range(FEWEST)]
        world.policy.gates[r"\boxed{1}"] = gate = asyncio.Event()
        later = await ask(client, 30)
        await until(lambda: admission.num_running + admission.num_queued == 30)
        assert admission.num_running == 3 * COST // (COST // MOST_BELOW)  # three quarters, at an eighth each
        samples = await scrape(client)
        gate.set()
        assert {reply.status_code for reply in [*asked, *[await each for each in later]]} == {200}
    assert total(samples, "winnow_capacity_tokens", source="the KV cache of the policy") == 4 * COST
    assert 0 < total(samples, "winnow_response_tokens", strategy="majority") < COST // MOST_BELOW


async def test_a_service_that_has_seen_nothing_lets_in_what_is_asked_for() -> None:
    world = world_of("1")
    world.policy.gates[r"\boxed{1}"] = gate = asyncio.Event()
    async with queueing(world, pair(4 * COST, 8 * COST)) as (client, admission):
        asked = await ask(client, 8)
        await until(lambda: admission.num_running + admission.num_queued == 8)
        assert admission.num_running == 3
        gate.set()
        assert {(await each).status_code for each in asked} == {200}


async def test_a_search_that_has_taken_more_than_was_expected_is_charged_with_that() -> None:
    long = step("word " * 120, 0.5, answer("2", 0.5))
    world = World(Tree(*[answer("1", 0.5)] * FEWEST, long))
    world.policy.gates[r"\boxed{2}"] = gate = asyncio.Event()
    async with queueing(world, pair(4 * COST, 8 * COST)) as (client, admission):
        for _ in range(FEWEST):
            await client.post("/solve", json=ONE)
        (asked,) = await ask(client, 1)
        await until(lambda: admission.in_flight > COST // MOST_BELOW)  # which it was let in with
        assert admission.in_flight == 5 * 120 + 2
        gate.set()
        assert (await asked).status_code == 200
