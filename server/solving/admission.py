"""Admission: a bounded queue of searches, fair between clients by cost, not by number.

The cost of a search is the most tokens it may generate; its charge is what it will probably take, at most its cost.
Searches run while their charges fit into the capacity; one whose charge is more than the whole counts as the whole, and
so runs alone. The next search is the first of the client with the least service for its weight, counted in costs. No
one overtakes a client with nothing running, so that small searches cannot delay a large one for ever; a client with
something running is overtaken by what fits. A quarter of the capacity is reserved for clients with nothing running, so
that one client's large searches leave room for small ones of others.

When the queue is full, the client with the most searches in it loses its newest, so that no client can fill it for
others. Who watches a place is told when it changes: the place that it has if nobody comes and everything fits. Knows no
HTTP and no models; nothing here waits but `Place.reach`.

Source: Goyal, Vin, Cheng 1996, "Start-time Fair Queueing", section 2, for virtual time and start tags; McKenney 1990,
"Stochastic Fairness Queueing", for the longest queue as the one to drop from.
Beyond the source: a tag is given to the first of a client's searches when it becomes the first, so that one that leaves
the queue costs its client nothing; the reserved quarter, without which the second client waits for the first.
"""

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import itemgetter

from server.errors import FullError, TooLateError
from server.keys import Client

MAX_REMEMBERED = 4096
"""Clients remembered while none of their searches wait."""

RETRY_AFTER_S = (1, 900)
SMOOTHING = 0.1
"""Weight of the latest search in the mean time that a search runs."""
TELL_EVERY_S = 0.25
"""At most so often those who watch are told of a queue that moves; of their turn they are told at once."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a search stands in the queue.

    Attributes:
        place: From 1, the next to run; 0 once it runs.
        length: Searches that wait.
        wait_s: Seconds until it probably runs; None while no search has ended yet.
    """

    place: int
    length: int
    wait_s: float | None


@dataclass(eq=False, slots=True)
class Line:
    """The searches of one client that wait, at least one.

    Attributes:
        start: Virtual time at which the first of them may start.
    """

    client: Client
    start: float
    places: deque["Place"] = field(default_factory=deque)

    @property
    def length(self) -> float:
        """Searches for each unit of weight."""
        return len(self.places) / self.client.weight


class Admission:
    """Lets searches in.

    Args:
        capacity: Charges of all searches that may run at a time, at least 1.
        max_queued: Searches that may wait.
        clock: Seconds, for `Retry-After` alone.
    """

    def __init__(self, capacity: int, max_queued: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.capacity = capacity
        self.max_queued = max_queued
        self.num_running = 0
        self.num_queued = 0
        self.now = clock
        self._kept = capacity // 4
        self._started: dict[Place, float] = {}  # searches that run, the first first
        self._running: Counter[str] = Counter()  # searches by client
        self._time = 0.0  # virtual time: the latest start tag of the searches that were let in
        self._lines: dict[str, Line] = {}
        self._starts: dict[str, float] = {}  # of clients without a line: when their next search may start
        self._mean_run_s = 0.0
        self._watched: dict[Place, Watch] = {}  # those that wait
        self._telling: asyncio.TimerHandle | None = None
        self._told = -math.inf  # by the event loop's clock

    @contextmanager
    def join(self, client: Client, cost: int, expected: Callable[[], int] | None = None) -> Iterator["Place"]:
        """Take a place in the queue, or run at once; leave it with the context.

        Args:
            client: Of the request.
            cost: Most tokens that the search may generate, at least 1.
            expected: Says how many tokens it will probably take, as far as is known by then; None: as many as it may.

        Raises:
            FullError: The queue is full.
        """
        place = Place(self, client, cost, expected or (lambda: cost))
        self._enqueue(place)
        if place.error is not None:
            raise place.error
        try:
            yield place
        finally:
            self._leave(place)

    @property
    def in_flight(self) -> int:
        """Charges of the searches that run."""
        return sum(place.charge for place in self._started)

    @property
    def retry_after_s(self) -> int:
        """Seconds after which those in the queue will probably have run; a search runs as long as it has, at least."""
        charges = sum(place.charge for line in self._lines.values() for place in line.places)
        wait_s = self._wait_s(charges + self.capacity)
        return min(max(math.ceil(wait_s), RETRY_AFTER_S[0]), RETRY_AFTER_S[1])

    def watch(self, place: "Place", tell: Callable[[Standing], None]) -> None:
        """Tell where a place stands, now and whenever that changes, until its search runs."""
        if place.started is not None:
            tell(Standing(0, self.num_queued, 0.0))
        elif place.error is None:
            watch = self._watched[place] = Watch(tell)
            watch.look(self._standings()[place])

    def _standings(self) -> dict["Place", Standing]:
        """Return where all stand that wait, in the order of the tags that they will have."""
        tagged: list[tuple[float, Place]] = []
        for line in self._lines.values():
            start = line.start
            for place in line.places:
                tagged.append((start, place))
                start += place.cost / line.client.weight
        standings, ahead = {}, 0
        for number, (_, place) in enumerate(sorted(tagged, key=itemgetter(0)), 1):
            wait_s = round(self._wait_s(ahead), 1) if self._mean_run_s else None
            standings[place] = Standing(number, self.num_queued, wait_s)
            ahead += place.charge
        return standings

    def _wait_s(self, charges: float) -> float:
        """Return the seconds in which searches of these charges probably run, behind those that run now."""
        ran_s = max(self._mean_run_s, self.now() - next(iter(self._started.values()), self.now()))
        return ran_s * (charges + self.in_flight) / self.capacity

    def _tell_soon(self) -> None:
        """See that those who watch are told of a change."""
        if self._watched and self._telling is None:
            loop = asyncio.get_running_loop()
            self._telling = loop.call_later(max(self._told + TELL_EVERY_S - loop.time(), 0), self._tell)

    def _tell(self) -> None:
        self._telling, self._told = None, asyncio.get_running_loop().time()
        standings = self._standings() if self._watched else {}
        for place, watch in self._watched.items():
            watch.look(standings[place])

    def wait_s(self, client: Client, expected: int) -> float:
        """Return the seconds that another search of a client, of so many tokens, would probably wait for its turn."""
        kept = self._kept if self._running[client.name] else 0
        if not self.num_queued and min(expected, self.capacity) <= self.capacity - self.in_flight - kept:
            return 0.0
        return self._wait_s(sum(place.charge for line in self._lines.values() for place in line.places))

    def _enqueue(self, place: "Place") -> None:
        name = place.client.name
        if name not in self._lines:
            self._lines[name] = Line(place.client, max(self._starts.pop(name, 0.0), self._time))
        self._lines[name].places.append(place)
        self.num_queued += 1
        self._let_in()
        if self.num_queued > self.max_queued:
            longest = max(self._lines.values(), key=lambda line: (line.length, line.places[-1] is place))
            newest = longest.places[-1]
            newest.refuse(FullError(self.retry_after_s))
            self._take(longest, newest)
            self._let_in()
        self._tell_soon()

    def _let_in(self) -> None:
        """Admit searches as long as there is room."""
        while line := self._next():
            place = line.places[0]
            self.num_running += 1
            self._running[line.client.name] += 1
            self._time = max(self._time, line.start)
            line.start += place.cost / line.client.weight
            watch = self._take(line, place)
            place.let_in(self.now())
            self._started[place] = self.now()
            if watch:
                watch.look(Standing(0, self.num_queued, 0.0))

    def _next(self) -> Line | None:
        free = self.capacity - self.in_flight
        for line in sorted(self._lines.values(), key=lambda line: line.start):
            has_nothing = self._running[line.client.name] == 0
            if line.places[0].charge <= free - (0 if has_nothing else self._kept):
                return line
            if has_nothing:
                return None
        return None

    def _take(self, line: Line, place: "Place") -> "Watch | None":
        """Take a search out of the queue; return who watches it."""
        line.places.remove(place)
        self.num_queued -= 1
        if not line.places:
            del self._lines[line.client.name]
            if len(self._starts) >= MAX_REMEMBERED:
                self._starts.clear()
            self._starts[line.client.name] = line.start
        return self._watched.pop(place, None)

    def _leave(self, place: "Place") -> None:
        if place.started is not None:
            del self._started[place]
            self.num_running -= 1
            self._running -= Counter((place.client.name,))  # forgets those who are at 0
            ran_s = self.now() - place.started
            self._mean_run_s += (ran_s - self._mean_run_s) * (SMOOTHING if self._mean_run_s else 1.0)
        elif place.error is None:
            self._take(self._lines[place.client.name], place)
        if self.num_running == self.num_queued == 0:
            self._starts.clear()  # no one is owed service
            self._time = 0.0
        self._let_in()
        self._tell_soon()


class Watch:
    """Who watches a place, and what they were told last."""

    def __init__(self, tell: Callable[[Standing], None]) -> None:
        self._tell = tell
        self._last: Standing | None = None

    def look(self, standing: Standing) -> None:
        """Tell where the place stands, unless it is where it was; how long that takes changes all the time."""
        last, self._last = self._last, standing
        if last is None or (last.place, last.length) != (standing.place, standing.length):
            self._tell(standing)


class Place:
    """The place of one search, in the queue or among those that run.

    Attributes:
        client: Whose search it is.
        cost: Most tokens that it may generate.
        joined: When it was taken.
        started: When it was admitted; None while it waits.
        error: Why it was refused; None otherwise.
    """

    def __init__(self, admission: Admission, client: Client, cost: int, expected: Callable[[], int]) -> None:
        self.client = client
        self.cost = cost
        self.joined = admission.now()
        self.started: float | None = None
        self.error: FullError | None = None
        self._admission = admission
        self._expected = expected
        self._decided = asyncio.Event()

    @property
    def charge(self) -> int:
        """Share of the capacity that it takes while it runs."""
        return min(self._expected(), self.cost, self._admission.capacity)

    @property
    def waited_s(self) -> float:
        """Seconds in the queue; 0 while it waits."""
        return 0.0 if self.started is None else self.started - self.joined

    async def reach(self, deadline_s: float | None = None) -> None:
        """Wait until the search may run.

        Args:
            deadline_s: Seconds to wait at most; None waits for as long as it takes.

        Raises:
            FullError: Searches of others filled the queue.
            TooLateError: The deadline passed.
        """
        try:
            async with asyncio.timeout(deadline_s):
                await self._decided.wait()
        except TimeoutError:
            raise TooLateError(self._admission.retry_after_s) from None
        if self.error is not None:
            raise self.error

    def watch(self, tell: Callable[[Standing], None]) -> None:
        """Have someone told where it stands, now and whenever that changes, until it is admitted."""
        self._admission.watch(self, tell)

    def let_in(self, now: float) -> None:
        self.started = now
        self._decided.set()

    def refuse(self, error: FullError) -> None:
        self.error = error
        self._decided.set()
