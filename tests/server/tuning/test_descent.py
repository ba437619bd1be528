"""What is believed of a measurement, on services whose speed a test decides, in simulated time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from models.errors import EngineUnavailableError
from server.settings import Settings
from server.tuning.descent import (
    LAST_ROUNDS,
    LEAST,
    MOST_PROBLEMS,
    ROUNDS,
    Comparison,
    FailedError,
    Request,
    Tried,
    Tuning,
    TuningError,
)
from server.tuning.knobs import CAPACITY, Change, Knob, Place

START_S = 10.0
PLACE = Place("cpu", num_cores=8, sizes={}, cost=100, in_flight=4, most_in_flight=16)
THREADS = Knob("threads", ("policy_threads",), lambda settings, place: iter([{"policy_threads": n} for n in (2, 3)]))


@dataclass
class Machine:
    """A machine on which a service is as fast as `speed` says, and time passes as it searches.

    Attributes:
        speed: Problems a second of some settings.
        noise: Of each pass, at most, as a share.
        now: Seconds.
        opened: Threads of the services that were started, in order.
        running: Services that run.
        asked: Threads of the service, problem and seed of each search.
        cached: Those of a service since it was told to forget.
    """

    speed: Callable[[Settings], float]
    noise: float = 0.0
    now: float = 0.0
    opened: list[int] = field(default_factory=list)
    running: int = 0
    most_running: int = 0
    asked: list[tuple[int, str, int]] = field(default_factory=list)
    cached: set[tuple[int, str, int]] = field(default_factory=set)
    random: Random = field(default_factory=lambda: Random(3))
    passes: dict[tuple[int, int], float] = field(default_factory=dict)

    @asynccontextmanager
    async def open(self, settings: Settings) -> AsyncIterator["Stub"]:
        self.now += START_S
        self.opened.append(settings.policy_threads)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            yield Stub(self, settings)
        finally:
            self.running -= 1


@dataclass
class Stub:
    """A service on such a machine."""

    machine: Machine
    settings: Settings
    place: Place = PLACE

    async def forget(self) -> None:
        self.machine.cached.clear()

    async def solve(self, request: Request) -> None:
        machine = self.machine
        own = self.settings.policy_threads, request["problem"], request["seed"]
        machine.asked.append(own)
        assert own not in machine.cached
        machine.cached.add(own)
        key = self.settings.policy_threads, request["seed"] // MOST_PROBLEMS
        luck = machine.passes.setdefault(key, 1 + machine.random.uniform(-1, 1) * machine.noise)
        machine.now += luck / machine.speed(self.settings)
        await asyncio.sleep(0)


def tuning(machine: Machine, knobs: list[Knob] | None = None, **fields: Any) -> Tuning:
    given: dict[str, Any] = {"seconds": 600.0, "most_open": lambda: 2, "clock": lambda: machine.now} | fields
    return Tuning(Settings(), machine.open, ["1", "2", "3"], {"n": 4}, knobs=knobs or [THREADS], **given)


async def test_a_change_that_is_faster_is_taken_with_its_numbers_before_and_after() -> None:
    machine = Machine(lambda settings: {1: 5.0, 2: 4.0, 3: 6.0}[settings.policy_threads])
    outcome = await tuning(machine).run()
    assert outcome.change == {"policy_threads": 3}
    assert outcome.comparison is not None
    assert outcome.comparison.before == pytest.approx([5.0] * LAST_ROUNDS)
    assert outcome.comparison.after == pytest.approx([6.0] * LAST_ROUNDS)
    assert [(tried.words, tried.is_taken) for tried in outcome.tried] == [
        ("policy_threads 1 -> 2", False),
        ("policy_threads 1 -> 3", True),
    ]


async def test_a_loser_is_dropped_after_its_first_round() -> None:
    machine = Machine(lambda settings: 5.0 / settings.policy_threads)
    outcome = await tuning(machine).run()
    assert (outcome.change, outcome.comparison) == ({}, None)
    assert [len(tried.comparison.ratios) for tried in outcome.tried if tried.comparison] == [1, 1]
    assert outcome.speed[0] == pytest.approx(5.0)


async def test_a_gain_too_small_to_matter_changes_nothing() -> None:
    machine = Machine(lambda settings: 5.0 * (1.02 if settings.policy_threads == 2 else 1.0))
    outcome = await tuning(machine).run()
    assert outcome.change == {}
    assert max(len(tried.comparison.ratios) for tried in outcome.tried if tried.comparison) == ROUNDS


async def test_noise_alone_hardly_ever_changes_anything() -> None:
    """Passes differ by up to 15 %, and none of twenty candidates is better."""
    knob = Knob(
        "threads", ("policy_threads",), lambda settings, place: iter([{"policy_threads": n} for n in range(21)])
    )
    outcomes = []
    for seed in range(40):
        machine = Machine(lambda settings: 0.4, noise=0.15, random=Random(seed))
        outcomes.append(await tuning(machine, [knob], seconds=7_200.0).run())
    assert sum(len(outcome.tried) for outcome in outcomes) > 500
    assert any(tried.is_taken for outcome in outcomes for tried in outcome.tried)  # the noise is not harmless
    assert sum(bool(outcome.change) for outcome in outcomes) <= 2


async def test_what_happens_on_the_machine_meanwhile_is_not_taken_for_a_gain() -> None:
    machine = Machine(lambda settings: 5.0 * 1.002 ** len(machine.asked))  # who comes later is faster
    outcome = await tuning(machine).run()
    assert outcome.change == {}


async def test_searches_at_a_time_are_compared_on_the_same_engines_with_the_same_seeds() -> None:
    def speed(settings: Settings) -> float:
        return 8.0 if settings.max_cost_in_flight == 800 else 5.0

    def values(settings: Settings, place: Place) -> Iterator[Change]:
        yield {CAPACITY: 2 * place.searches(settings) * place.cost}

    machine = Machine(speed)
    await tuning(machine, [Knob("searches at a time", (CAPACITY,), values)]).run()
    assert machine.opened == [1]
    assert len(set(machine.asked)) < len(machine.asked)


async def test_other_engines_search_the_same_problems_with_the_same_seeds() -> None:
    machine = Machine(lambda settings: 5.0)
    await tuning(machine).run()
    first, second = ({each[1:] for each in machine.asked if each[0] == threads} for threads in (1, 2))
    assert len(first & second) > len(second) / 2  # all but those of the start


@pytest.mark.parametrize("most", [1, 2])
async def test_no_more_services_run_than_there_is_room_for_and_none_is_left(most: int) -> None:
    machine = Machine(lambda settings: 5.0 + settings.policy_threads)
    outcome = await tuning(machine, most_open=lambda: most).run()
    assert (machine.most_running, machine.running) == (most, 0)
    assert outcome.change == {"policy_threads": 3}


async def test_settings_with_which_nothing_starts_are_dropped_and_say_why() -> None:
    def speed(settings: Settings) -> float:
        if settings.policy_threads == 2:
            raise EngineUnavailableError("no memory")
        return 5.0 * settings.policy_threads

    outcome = await tuning(Machine(speed)).run()
    assert [tried.trouble for tried in outcome.tried] == ["no memory", None]
    assert outcome.change == {"policy_threads": 3}


async def test_settings_that_do_not_serve_from_the_start_are_an_error() -> None:
    def speed(settings: Settings) -> float:
        raise FailedError("n: too large")

    machine = Machine(speed)
    with pytest.raises(TuningError, match="the present settings do not serve: n: too large"):
        await tuning(machine).run()
    assert machine.running == 0


async def test_searches_too_slow_for_the_time_are_an_error_that_says_how_much_it_takes() -> None:
    with pytest.raises(TuningError, match=r"40 s, too long .* in 10 minutes; use a smaller --n, or --minutes 27"):
        await tuning(Machine(lambda settings: 0.1)).run()


@pytest.mark.parametrize(("speed", "seconds"), [(5.0, 600.0), (0.5, 600.0), (5.0, 200.0), (50.0, 60.0)])
async def test_it_ends_in_time_and_says_what_was_not_tried(speed: float, seconds: float) -> None:
    knob = Knob(
        "threads", ("policy_threads",), lambda settings, place: iter([{"policy_threads": n} for n in range(99)])
    )
    machine = Machine(lambda settings: speed * (1 + settings.policy_threads / 10))
    outcome = await tuning(machine, [knob], seconds=seconds).run()
    assert machine.now <= seconds
    assert outcome.untried == ("threads",)


async def test_an_interrupt_stops_every_service() -> None:
    def speed(settings: Settings) -> float:
        if settings.policy_threads == 2:
            run.cancel()
        return 5.0

    machine = Machine(speed)
    run = asyncio.create_task(tuning(machine).run())
    with pytest.raises(asyncio.CancelledError):
        await run
    assert (machine.opened, machine.running) == ([1, 2], 0)


async def test_each_candidate_is_told_as_soon_as_its_fate_is_known() -> None:
    told: list[Tried] = []
    outcome = await tuning(Machine(lambda settings: 5.0), note=told.append).run()
    assert tuple(told) == outcome.tried


def test_a_gain_is_one_in_every_round_and_enough_in_the_median() -> None:
    assert Comparison((1.0,) * 3, (LEAST, 1.01, 2.0)).is_gain()
    assert not Comparison((1.0,) * 3, (1.01, 1.01, 2.0)).is_gain()
    assert not Comparison((1.0,) * 3, (1.5, 0.9, 2.0)).is_gain()
    assert Comparison((1.0,) * 3, (1.5, 0.9, 2.0)).is_gain(1)
    assert not Comparison((), ()).is_gain()
