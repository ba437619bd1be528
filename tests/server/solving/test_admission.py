"""Who searches next: never more than fits, nobody passed over, and each client its share."""

import asyncio
from collections import Counter
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.errors import FullError, TooLateError
from server.keys import Client
from server.solving.admission import Admission, Place, Standing

CLIENTS = [Client("light"), Client("heavy"), Client("double", 2.0), Client("half", 0.5)]


class Searches:
    """Searches that come, run, end and give up when a test says so; sees after each that the rules are kept."""

    def __init__(self, capacity: int, max_queued: int) -> None:
        self.seconds = 0.0
        self.admission = Admission(capacity, max_queued, lambda: self.seconds)
        self.places: list[Place] = []  # that have not left, in the order of arrival
        self.started: list[Place] = []  # in the order of starting
        self._stacks: dict[Place, ExitStack] = {}

    def come(self, client: Client, cost: int) -> Place | None:
        """The place, or None where the queue is full."""
        stack = ExitStack()
        try:
            place = stack.enter_context(self.admission.join(client, cost))
        except FullError:
            self._look()
            return None
        self.places.append(place)
        self._stacks[place] = stack
        self._look()
        return place

    def leave(self, place: Place) -> None:
        self.places.remove(place)
        self._stacks.pop(place).close()
        self._look()

    @property
    def running(self) -> list[Place]:
        return [place for place in self.places if place.started is not None]

    @property
    def waiting(self) -> list[Place]:
        return [place for place in self.places if place.started is None and place.error is None]

    def _look(self) -> None:
        self.started += [place for place in self.running if place not in self.started]
        admission, charge = self.admission, sum(place.charge for place in self.running)
        assert charge <= admission.capacity
        assert (admission.in_flight, admission.num_running) == (charge, len(self.running))
        assert admission.num_queued == len(self.waiting) <= admission.max_queued
        for client in CLIENTS:  # who came later never starts while one of the same client waits
            states = [place.started is None for place in self.places if place.client is client and not place.error]
            assert states == sorted(states)
        if self.waiting:
            assert self.running
            running = {place.client for place in self.running}
            charges = {place.client: place.charge for place in reversed(self.waiting)}  # of the first of each client
            idle = [first for client, first in charges.items() if client not in running]
            assert not idle or charge + max(idle) > admission.capacity
            assert idle or charge + min(charges.values()) > admission.capacity - admission.capacity // 4


Event = tuple[str, int, int]
EVENTS = st.lists(
    st.tuples(st.sampled_from(["come", "come", "leave"]), st.integers(0, 3), st.integers(1, 40)), max_size=60
)


def play(events: list[Event], max_queued: int) -> Searches:
    """Let searches come, and running and waiting ones leave, of a service with a capacity of 20."""
    searches = Searches(20, max_queued)
    for kind, index, size in events:
        if kind == "come":
            searches.come(CLIENTS[index], size)
        elif searches.places:
            searches.leave(searches.places[size % len(searches.places)])
    return searches


@given(EVENTS, st.integers(0, 8))
@settings(max_examples=300)
def test_the_rules_are_kept_whatever_comes_and_goes(events: list[Event], max_queued: int) -> None:
    play(events, max_queued)


@given(EVENTS, st.integers(0, 8))
@settings(max_examples=300)
def test_everybody_has_a_turn_and_nothing_is_left(events: list[Event], max_queued: int) -> None:
    searches = play(events, max_queued)
    waiting = searches.waiting
    while searches.running:
        searches.leave(searches.running[0])
    assert all(place.started is not None for place in waiting)
    for place in searches.places[:]:
        searches.leave(place)
    admission = searches.admission
    assert (admission.in_flight, admission.num_running, admission.num_queued) == (0, 0, 0)
    assert not admission._lines
    assert not admission._starts


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 40)), max_size=20))
@settings(max_examples=200)
def test_the_places_told_are_the_order_in_which_they_run_if_nobody_comes(joined: list[tuple[int, int]]) -> None:
    searches = Searches(1, 1000)
    for index, size in joined:
        searches.come(CLIENTS[index], size)
    standings = searches.admission._standings()
    told = sorted(standings, key=lambda place: standings[place].place)
    assert sorted(standing.place for standing in standings.values()) == [*range(1, len(searches.waiting) + 1)]
    num_started = len(searches.started)
    while searches.running:
        searches.leave(searches.running[0])
    assert searches.started[num_started:] == told


def test_who_watches_is_told_their_turn_at_once_and_nothing_after_it() -> None:
    searches, told = Searches(1, 8), list[Standing]()
    first, second = [searches.come(CLIENTS[0], 1) or pytest.fail("the queue is full") for _ in range(2)]
    first.watch(told.append)
    second.watch(told.append)
    searches.leave(first)
    searches.leave(second)
    assert [(each.place, each.length) for each in told] == [(0, 1), (1, 1), (0, 0)]
    assert not searches.admission._watched


@given(st.lists(st.lists(st.integers(1, 30), min_size=12, max_size=12), min_size=4, max_size=4))
@settings(max_examples=200)
def test_clients_that_always_wait_get_their_share_to_within_a_search(costs: list[list[int]]) -> None:
    searches = Searches(1, 1000)
    blocker = searches.come(Client("blocker"), 1)
    for turn in zip(*costs, strict=True):
        for client, cost in zip(CLIENTS, turn, strict=True):
            searches.come(client, cost)
    searches.leave(blocker or pytest.fail("an idle service refused"))
    served: Counter[str] = Counter()
    largest = {client.name: max(own) / client.weight for client, own in zip(CLIENTS, costs, strict=True)}
    for place in searches.started:
        served[place.client.name] += place.cost
    while len({place.client for place in searches.waiting}) == len(CLIENTS):
        shares = {client.name: served[client.name] / client.weight for client in CLIENTS}
        for one in CLIENTS:
            for other in CLIENTS:
                gap = shares[one.name] - shares[other.name]
                assert gap <= largest[one.name] + largest[other.name] + 1e-9  # the bound of the paper, theorem 1
        before = len(searches.started)
        searches.leave(searches.running[0])
        for place in searches.started[before:]:
            served[place.client.name] += place.cost


def test_many_large_searches_of_one_client_come_after_the_first_small_one_of_another() -> None:
    searches = Searches(capacity=256, max_queued=100)
    large = [searches.come(CLIENTS[1], 256) for _ in range(20)]
    small = searches.come(CLIENTS[0], 4)
    searches.leave(large[0] or pytest.fail("an idle service refused"))
    assert searches.started[-1] is small


def test_a_large_search_is_not_passed_over_by_small_ones_for_ever() -> None:
    searches = Searches(capacity=16, max_queued=100)
    for _ in range(3):
        searches.come(CLIENTS[0], 4)
    large = searches.come(CLIENTS[1], 256)
    for _ in range(3):
        searches.come(CLIENTS[0], 4)
        searches.leave(searches.running[0])
    assert searches.running == [large]


def test_large_searches_of_one_client_leave_room_for_small_ones_of_others() -> None:
    searches = Searches(capacity=16, max_queued=100)
    first, second = searches.come(CLIENTS[1], 8), searches.come(CLIENTS[1], 8)
    small = [searches.come(CLIENTS[0], 2) for _ in range(2)]
    assert (searches.running, searches.waiting) == ([first, *small], [second])


def test_a_search_larger_than_the_capacity_runs_alone() -> None:
    searches = Searches(capacity=16, max_queued=10)
    large, small = searches.come(CLIENTS[1], 1000), searches.come(CLIENTS[0], 1)
    assert (searches.running, searches.waiting) == ([large], [small])


def test_eight_searches_with_n_16_and_a_response_of_2048_tokens_run_together() -> None:
    from server.settings import Settings

    searches = Searches(Settings().capacity, Settings().max_queued)
    for _ in range(8):
        searches.come(CLIENTS[0], 16 * 2048)
    assert len(searches.running) == 8


def test_when_the_queue_is_full_it_is_the_client_with_most_in_it_who_is_refused() -> None:
    searches = Searches(capacity=1, max_queued=3)
    heavy = [searches.come(CLIENTS[1], 1) for _ in range(4)]
    assert searches.come(CLIENTS[1], 1) is None
    light = searches.come(CLIENTS[0], 1)
    assert searches.waiting == [*heavy[1:3], light]
    assert [place and place.error for place in heavy[:3]] == [None] * 3
    assert heavy[3] is not None
    assert isinstance(heavy[3].error, FullError)


def test_a_search_that_gave_up_costs_its_client_nothing() -> None:
    searches = Searches(capacity=1, max_queued=100)
    first = searches.come(CLIENTS[0], 1)
    other, given_up, mine = (searches.come(CLIENTS[i], cost) for i, cost in ((1, 5), (0, 1000), (0, 1)))
    searches.leave(given_up or pytest.fail("refused"))
    searches.leave(first or pytest.fail("refused"))
    searches.leave(other or pytest.fail("refused"))
    assert searches.running == [mine]


def test_who_comes_back_does_not_have_the_service_of_the_past_forgotten() -> None:
    searches = Searches(capacity=10, max_queued=100)
    large, small = searches.come(CLIENTS[1], 9), searches.come(CLIENTS[0], 1)
    again, fresh = searches.come(CLIENTS[1], 9), searches.come(CLIENTS[0], 1)
    searches.leave(small or pytest.fail("refused"))
    assert (searches.running, searches.waiting) == ([large, fresh], [again])


def test_a_client_with_twice_the_weight_gets_twice_as_much() -> None:
    searches = Searches(capacity=1, max_queued=100)
    for _ in range(30):
        for index in (0, 2):
            searches.come(CLIENTS[index], 1)
    for _ in range(30):
        searches.leave(searches.running[0])
    names = Counter(place.client.name for place in searches.started[:30])
    assert names == {"double": pytest.approx(20, abs=1), "light": pytest.approx(10, abs=1)}


def test_retry_after_is_the_time_that_the_queue_will_take() -> None:
    searches = Searches(capacity=2, max_queued=2)
    first = searches.come(CLIENTS[0], 2)
    searches.seconds = 10.0
    searches.leave(first or pytest.fail("refused"))
    for _ in range(3):
        searches.come(CLIENTS[0], 2)
    assert searches.admission.retry_after_s == 40  # one runs, two wait, and then it would run itself


async def test_a_place_is_reached_when_it_is_its_turn() -> None:
    admission = Admission(1, 1)
    with admission.join(CLIENTS[0], 1) as first:
        await first.reach(0.0)
        with admission.join(CLIENTS[0], 1) as second, pytest.raises(TooLateError):
            await second.reach(0.0)
        assert admission.num_queued == 0
    with admission.join(CLIENTS[0], 1) as third:
        await third.reach()
    assert admission.in_flight == 0


async def test_whoever_is_cancelled_while_waiting_leaves_the_queue() -> None:
    admission = Admission(1, 10)

    async def search() -> None:
        with admission.join(CLIENTS[0], 1) as place:
            await place.reach()

    with admission.join(CLIENTS[1], 1):
        waiting = [asyncio.create_task(search()) for _ in range(5)]
        await asyncio.sleep(0)
        assert admission.num_queued == 5
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert admission.num_queued == 0


async def test_whoever_is_refused_while_waiting_is_told() -> None:
    admission = Admission(capacity=1, max_queued=1)
    with ExitStack() as stack:
        stack.enter_context(admission.join(CLIENTS[3], 1))
        waiting = stack.enter_context(admission.join(CLIENTS[3], 1))
        reaching = asyncio.create_task(waiting.reach())
        await asyncio.sleep(0)
        stack.enter_context(admission.join(CLIENTS[2], 1))
        with pytest.raises(FullError):
            await reaching


def test_a_large_search_that_gives_up_lets_those_behind_it_in() -> None:
    searches = Searches(capacity=20, max_queued=10)
    first, large, small = (searches.come(CLIENTS[0], cost) for cost in (5, 20, 5))
    searches.leave(large or pytest.fail("refused"))
    assert searches.running == [first, small]


def test_whoever_was_away_has_saved_nothing_up() -> None:
    searches = Searches(capacity=10, max_queued=100)
    for _ in range(20):
        searches.come(CLIENTS[1], 10)
    for _ in range(10):
        searches.leave(searches.running[0])
    for _ in range(10):
        searches.come(CLIENTS[0], 10)
    for _ in range(6):
        searches.leave(searches.running[0])
    assert Counter(place.client.name for place in searches.started[-6:]) == {"light": 3, "heavy": 3}


def test_searches_that_run_say_how_long_a_place_takes_before_one_has_ended() -> None:
    searches = Searches(capacity=100, max_queued=0)
    searches.come(CLIENTS[0], 100)
    searches.seconds = 100.0
    assert searches.come(CLIENTS[1], 100) is None
    assert searches.admission.retry_after_s == 200  # what runs has run so long at least, and then it would run itself
