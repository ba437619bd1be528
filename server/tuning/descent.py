"""Looks for faster settings, one change at a time, and believes only what comes out in every round.

Present settings and candidate take turns in one run, the first of a round being the second of the next (ABBA), so that
what else happens on the machine meets both. A candidate is dropped at the first round that it loses, and taken after it
has won `ROUNDS`, by `LEAST` in the median. What was taken is compared with the first settings once more in the end,
round after round whatever comes out: these are the numbers before and after. Without a gain in them nothing is changed.

Knows searches and settings; knows nothing of engines. The engines of both are kept, where there is room for both.
"""

import asyncio
import itertools
import json
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from models.errors import ModelError
from server.settings import Settings
from server.tuning.knobs import CAPACITY, KNOBS, Change, Knob, Place, changed, difference, words

ROUNDS, LAST_ROUNDS = 5, 7
"""Of a candidate, and of what was taken in the end."""
MOST_LOST = 1
"""Of the last rounds, that settings which are faster may lose. Without a gain a candidate wins all its rounds once in
32 times, and what was taken holds its ground once in 16."""
LEAST = 1.03
"""Gain below which nothing is changed."""
PASS_SHARE, FULL_PASS_SHARE, LONGEST_PASS_SHARE = 1 / 120, 1 / 80, 1 / 40
"""Of the time that there is, what one pass over the problems takes; what it may take so that it has as many problems as
are searched at a time; and what it may take with the fewest problems."""
FEWEST_PROBLEMS, MOST_PROBLEMS = 4, 256
WARM_UP = 8
"""Searches before an engine is measured, which also show how long responses are."""

Request = Mapping[str, Any]


class TuningError(Exception):
    """Nothing can be measured; the message says why."""


class FailedError(Exception):
    """A service could not do the searches."""


class Service(Protocol):
    """A running service."""

    @property
    def place(self) -> Place:
        """What bounds its settings, by the searches that it has done."""

    async def forget(self) -> None:
        """Empty the prefix caches.

        Raises:
            ModelError: An engine is still at work.
        """

    async def solve(self, request: Request) -> None:
        """Search.

        Raises:
            FailedError: It was refused, or did not come to its end.
        """


Opener = Callable[[Settings], AbstractAsyncContextManager[Service]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Settings beside others, in rounds.

    Attributes:
        before: Problems a second of the first in each round.
        after: Of the others.
    """

    before: tuple[float, ...]
    after: tuple[float, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        """How many times as fast the others were, round by round."""
        return tuple(after / before for before, after in zip(self.before, self.after, strict=True))

    @property
    def gain(self) -> float:
        """In the median."""
        return statistics.median(self.ratios)

    def is_gain(self, most_lost: int = 0) -> bool:
        """Tell whether the others are faster beyond the noise: in all rounds but so many, and enough in the median."""
        num_lost = sum(ratio <= 1 for ratio in self.ratios)
        return bool(self.ratios) and num_lost <= most_lost and self.gain >= LEAST


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a candidate.

    Attributes:
        words: The change.
        comparison: With the settings that it would have replaced; None where it failed.
        trouble: Why it failed.
        is_taken: It replaced them.
    """

    words: str
    comparison: Comparison | None
    trouble: str | None = None
    is_taken: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out.

    Attributes:
        change: Of the first settings; empty where nothing was better.
        comparison: Of the first settings with what was taken; None where nothing was.
        tried: In their order.
        speed: Problems a second of the first settings, pass by pass, where nothing was taken.
        place: Of the first settings.
        untried: Knobs that could have been turned further, had there been time.
    """

    change: Change
    comparison: Comparison | None
    tried: tuple[Tried, ...]
    speed: tuple[float, ...]
    place: Place
    untried: tuple[str, ...]


@dataclass(slots=True)
class Tuning:
    """One run.

    Attributes:
        settings: As they are.
        open_service: Starts a service; it stops with the context.
        problems: At least one; taken again where a pass needs more.
        request: Of each search, without its problem and seed.
        seconds: That it may take.
        most_open: Services that there is room for at a time: one, or two.
        tell: Is told what is being done.
        note: Is told of each candidate when its fate is known.
        knobs: That may be turned.
        clock: Seconds.
    """

    settings: Settings
    open_service: Opener
    problems: Sequence[str]
    request: Request
    seconds: float
    most_open: Callable[[], int] = lambda: 1
    tell: Callable[[str], None] = lambda stage: None
    note: Callable[[Tried], None] = lambda tried: None
    knobs: Sequence[Knob] = KNOBS
    clock: Callable[[], float] = time.perf_counter
    _open: dict[str, tuple[Service, AsyncExitStack]] = field(default_factory=dict, init=False)
    _seeds: Iterator[int] = field(default_factory=itertools.count, init=False)
    _tried: list[Tried] = field(default_factory=list, init=False)
    _untried: dict[str, None] = field(default_factory=dict, init=False)
    _began: float = field(init=False)
    _start_s: float = field(init=False)
    _pass_s: float = field(init=False)
    _num_problems: int = field(init=False)
    _place: Place = field(init=False)

    async def run(self) -> Outcome:
        """Look for faster settings.

        Raises:
            TuningError: The present settings do not serve, or are too slow for the time that there is.
        """
        self._began = self.clock()
        async with self._closing():
            speed = [await self._begin()]
            best = await self._descend(speed)
            change, comparison = difference(self.settings, best, self._place), None
            if change:
                self.tell("comparing before and after")
                comparison = await self._compare(self.settings, best, LAST_ROUNDS, to_the_end=True)
                if not comparison.is_gain(MOST_LOST):
                    change = {}
            return Outcome(change, comparison, tuple(self._tried), tuple(speed), self._place, tuple(self._untried))

    async def _begin(self) -> float:
        """Start the present settings, and decide by their speed how many problems a pass has."""
        self.tell("starting policy and verifier")
        try:
            service = await self._service(self.settings)
            self._start_s = self.clock() - self._began
            self._place, self._num_problems = service.place, WARM_UP
            self.tell("measuring the present settings")
            pilot = await self._measure(self.settings, next(self._seeds))
            within = pilot * self.seconds
            if within * LONGEST_PASS_SHARE < FEWEST_PROBLEMS:
                needed = FEWEST_PROBLEMS / pilot / LONGEST_PASS_SHARE / 60
                raise TuningError(
                    f"{FEWEST_PROBLEMS} searches take {FEWEST_PROBLEMS / pilot:.0f} s, too long to be repeated in "
                    f"{self.seconds / 60:g} minutes; use a smaller --n, or --minutes {needed:.0f}"
                )
            wanted = max(within * PASS_SHARE, min(self._place.in_flight, within * FULL_PASS_SHARE))
            self._num_problems = int(min(max(wanted, FEWEST_PROBLEMS), MOST_PROBLEMS))
            speed = await self._measure(self.settings, next(self._seeds))
        except (ModelError, FailedError) as error:
            raise TuningError(f"the present settings do not serve: {error}") from error
        self._pass_s = self._num_problems / speed
        return speed

    async def _descend(self, speed: list[float]) -> Settings:
        """Turn one knob after another for as long as one helps and there is time; return the best settings."""
        best, seen, has_gained = self.settings, {self._name(self.settings)}, True
        while has_gained:
            has_gained = False
            for knob in self.knobs:
                while (change := self._next(knob, best, seen)) is not None:
                    if not self._has_time():
                        self._untried[knob.name] = None
                        break
                    candidate = changed(best, change)
                    seen.add(self._name(candidate))
                    tried = await self._try(best, candidate, change)
                    self._tried.append(tried)
                    self.note(tried)
                    if tried.comparison and best is self.settings:
                        speed += tried.comparison.before
                    if tried.is_taken:
                        best, has_gained = candidate, True
        return best

    def _next(self, knob: Knob, best: Settings, seen: set[str]) -> Change | None:
        return next((c for c in knob.values(best, self._place) if self._name(changed(best, c)) not in seen), None)

    def _has_time(self) -> bool:
        """Tell whether a candidate can be tried, and what was taken compared once more after it."""
        starts = 2 if self.most_open() > 1 else ROUNDS + LAST_ROUNDS
        needed_s = starts * self._start_s + 2 * (ROUNDS + LAST_ROUNDS) * self._pass_s
        return self._began + self.seconds - self.clock() > needed_s

    async def _try(self, best: Settings, candidate: Settings, change: Change) -> Tried:
        told = words(best, change, self._place)
        self.tell(told)
        try:
            comparison = await self._compare(best, candidate)
        except (ModelError, FailedError) as error:
            await self._close(self._engines(candidate))
            return Tried(told, None, str(error))
        return Tried(told, comparison, is_taken=len(comparison.ratios) == ROUNDS and comparison.is_gain())

    async def _compare(
        self, first: Settings, second: Settings, rounds: int = ROUNDS, *, to_the_end: bool = False
    ) -> Comparison:
        """Let settings take turns; unless it is to go to the end, until the second ones lose a round."""
        speeds: dict[int, list[float]] = {0: [], 1: []}
        for number in range(rounds):
            seed = next(self._seeds)
            for index in (0, 1) if number % 2 == 0 else (1, 0):
                speeds[index].append(await self._measure((first, second)[index], seed))
            if speeds[1][-1] <= speeds[0][-1] and not to_the_end:
                break
        return Comparison(tuple(speeds[0]), tuple(speeds[1]))

    async def _measure(self, settings: Settings, seed: int) -> float:
        """Return the problems a second of one pass, in which no engine finds what it computed before it."""
        service = await self._service(settings)
        await service.forget()
        started = self.clock()
        await self._pass(service, self._place.searches(settings), self._num_problems, seed)
        return self._num_problems / (self.clock() - started)

    async def _pass(self, service: Service, in_flight: int, number: int, seed: int) -> None:
        places = asyncio.Semaphore(in_flight)

        async def solve(index: int, problem: str) -> None:
            async with places:
                await service.solve({**self.request, "problem": problem, "seed": seed * MOST_PROBLEMS + index})

        try:
            async with asyncio.TaskGroup() as group:
                for index, problem in enumerate(itertools.islice(itertools.cycle(self.problems), number)):
                    group.create_task(solve(index, problem))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _service(self, settings: Settings) -> Service:
        """Return the service of some settings, warmed up; another one is stopped where there is no room."""
        name = self._engines(settings)
        if name not in self._open:
            while self._open and len(self._open) >= self.most_open():
                await self._close(next(iter(self._open)))
            stack = AsyncExitStack()
            self._open[name] = await stack.enter_async_context(self.open_service(settings)), stack
            await self._pass(self._open[name][0], WARM_UP, WARM_UP, next(self._seeds))
        self._open[name] = self._open.pop(name)  # the one used last is the last one
        return self._open[name][0]

    async def _close(self, name: str) -> None:
        if name in self._open:
            await self._open.pop(name)[1].aclose()

    @asynccontextmanager
    async def _closing(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            for name in list(self._open):
                await self._close(name)

    def _name(self, settings: Settings) -> str:
        return json.dumps(difference(self.settings, settings, self._place), sort_keys=True)

    def _engines(self, settings: Settings) -> str:
        """Name the engines that settings need: how many searches they are given needs no others."""
        if settings is self.settings:
            return "{}"
        change = difference(self.settings, settings, self._place)
        return json.dumps({name: value for name, value in change.items() if name != CAPACITY}, sort_keys=True)
