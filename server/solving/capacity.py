"""How many tokens searches may hold at a time, and how many a search will probably hold.

The engines say how much their KV caches have room for, and the smaller of the two is the capacity: a response lies in
both. A search is charged with N responses as long as those of the latest searches, so that more searches run where
responses are short. Lengths are counted in tokens, and not as shares of what was asked for: a client that always asks
for the most changes nothing, for itself or for others. A search that has generated more than it was charged with is
charged with that.

None of this promises that the caches never fill up. Where they do, vLLM has requests wait, or begin again. Therefore no
search is charged with less than an eighth of what it may take, and no candidate with less than its part of a cache that
is shared by as many as the engines run at a time.

A capacity that the settings name is another matter: it is compared with what searches ask for, whatever they take.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from cachetools import LRUCache

from models.engine_client import HasCache, RunningModel
from server.settings import COST_IN_FLIGHT, THINKING_COST, Settings

FEWEST = 4
"""Fewer searches say nothing of the next one."""
KEPT = 64
"""The latest searches: older ones had other problems."""
MOST_KEPT = 4096
"""Clients and their strategies that are remembered."""
TYPICAL = 0.9
"""So many of the latest searches took no more for each response."""
MOST_BELOW = 8
"""How many times as much as it is charged with a search may take."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What searches that run at a time may hold.

    Attributes:
        tokens: In one process of the service.
        source: What that rests on, in words.
        num_candidates: That the engines run at a time; None where that is not known.
        is_asked: It is compared with what searches ask for, not with what they will probably take.
        thinks: Whether responses begin with thoughts.
    """

    tokens: int
    source: str
    num_candidates: int | None = None
    is_asked: bool = True
    thinks: bool = False

    def __str__(self) -> str:
        """Say it in a line."""
        compared = "may generate" if self.is_asked else "probably take"
        return f"searches run while what they {compared} fits into {self.tokens:,} tokens: {self.source}"


def capacity_of(settings: Settings, engines: Iterable[RunningModel]) -> Capacity:
    """Return what searches may hold: as the settings say, or else what the engines hold, or else a default."""
    if settings.max_cost_in_flight is not None:
        return Capacity(settings.capacity, "max_cost_in_flight")
    caches = {engine.name: engine.cache for engine in engines if isinstance(engine, HasCache)}
    known = {name: cache for name, cache in caches.items() if cache is not None}
    if not known or len(known) < len(caches):
        return Capacity(settings.capacity, "the default, since the engines do not say what their KV caches hold")
    name, smallest = min(known.items(), key=lambda item: item[1].tokens)
    places = [cache.num_requests for cache in known.values() if cache.num_requests is not None]
    return Capacity(
        tokens=max(smallest.tokens // settings.workers, 1),
        source=f"the KV cache of the {name}" + (f", a {settings.workers}th of it" if settings.workers > 1 else ""),
        num_candidates=min(places) if places else None,
        is_asked=False,
        thinks=settings.marks is not None,
    )


class Lengths:
    """How long responses are, by the strategy that they were searched with and the client that asked.

    Args:
        capacity: That searches are charged to.
    """

    def __init__(self, capacity: Capacity) -> None:
        self.capacity = capacity
        self._all: dict[str, _Latest] = {}
        self._own: LRUCache[tuple[str, str], _Latest] = LRUCache(MOST_KEPT)

    def add(self, client: str, strategy: str, num_responses: int, tokens: int) -> float | None:
        """Remember a search that came to its end.

        Args:
            client: Who asked.
            strategy: Its name.
            num_responses: That it could generate.
            tokens: Of the prompt and of all that was generated.

        Returns:
            What nine in ten of the latest searches of this strategy took at most for each response; None while they are
            too few.
        """
        length = tokens / num_responses
        self._own.setdefault((client, strategy), _Latest()).add(length)
        return self._all.setdefault(strategy, _Latest()).add(length)

    def expected(self, client: str, strategy: str, num_responses: int, cost: int) -> int:
        """Return how many tokens a search will probably take.

        By what the client's own searches took; by those of all while these are too few; by its cost while all are.

        Args:
            client: Who asks.
            strategy: Its name.
            num_responses: That it can generate at most.
            cost: Tokens that it can generate at most.
        """
        if self.capacity.is_asked:
            return cost
        length = self._typical(client, strategy)
        if length is None:
            length = cost / num_responses / (THINKING_COST if self.capacity.thinks else 1)
        share = self.capacity.tokens / (self.capacity.num_candidates or math.inf)
        return min(math.ceil(max(num_responses * max(length, share), cost / MOST_BELOW)), cost)

    def _typical(self, client: str, strategy: str) -> float | None:
        known = (self._own.get((client, strategy)), self._all.get(strategy))
        return next((latest.typical for latest in known if latest and latest.typical is not None), None)

    def unseen(self, cost: int) -> int:
        """Return what a request that is no search is charged with: so that as many run as by the default capacity."""
        default = COST_IN_FLIGHT * (THINKING_COST if self.capacity.thinks else 1)
        return cost if self.capacity.is_asked else math.ceil(cost * min(self.capacity.tokens / default, 1))


class _Latest:
    """The lengths of the latest responses.

    Attributes:
        typical: Nine in ten are no longer, so far as they are that many; None while they are too few.
    """

    def __init__(self) -> None:
        self._lengths: deque[float] = deque(maxlen=KEPT)
        self.typical: float | None = None

    def add(self, length: float) -> float | None:
        self._lengths.append(length)
        if len(self._lengths) >= FEWEST:
            self.typical = sorted(self._lengths)[math.ceil(TYPICAL * len(self._lengths)) - 1]
        return self.typical
