"""What searches took on this service, remembered by what they asked for."""

import json
from collections import deque
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from cachetools import LRUCache

from search.calibration.costs import MIN_VALUES, Cost
from search.strategies import request_fields, strategies
from server.schemas import SolveRequest, SolveResponse

MAX_KINDS = 512
"""Requests that differ in more than their problem, and were asked last."""
MAX_EACH = 64
"""The latest of each: older ones ran on another load."""

COSTS_NOTHING = frozenset(
    {"problem", "n", "strategy", "seed", "stream", "background", "include", "deadline_s", "tests"}
    | {"aggregation", "selection", "verify", "vote_on"}
)
"""Fields that hardly change what a search takes, besides N and the strategy."""

Kind = Mapping[str, Any]
"""What a request asks for, apart from its problem and N."""


def kind_of(request: SolveRequest, strategy: str, context: int) -> Kind:
    """Return what the cost of a request depends on.

    Args:
        request: Within the limits.
        strategy: That spends its budget.
        context: Of the policy, which bounds a response.
    """
    row = strategies()[strategy]
    unread = {each.name for each in request_fields() if not row.reads(each.name)}
    asked = request.model_dump(exclude=set(COSTS_NOTHING | unread))
    return asked | {"strategy": strategy, "max_tokens": min(request.max_tokens, context)}


class Seen:
    """What the latest searches took."""

    def __init__(self) -> None:
        self._spent: LRUCache[tuple[bytes, int], deque[tuple[float, float, float]]] = LRUCache(MAX_KINDS)

    def add(self, kind: Kind, n: int, reply: SolveResponse) -> None:
        """Remember a complete search."""
        usage = reply.usage
        spent = (usage.completion_tokens, usage.verifier_tokens, reply.timing.search_s)
        self._spent.setdefault((_digest(kind), n), deque(maxlen=MAX_EACH)).append(spent)

    def costs(self, kind: Kind) -> dict[int, tuple[Cost, int]]:
        """Return what searches of a kind took by N, and how many they were; those with too few are left out."""
        digest = _digest(kind)
        found = {n: spent for (known, n), spent in self._spent.items() if known == digest}
        return {n: (Cost.of(spent), len(spent)) for n, spent in found.items() if len(spent) >= MIN_VALUES}


def _digest(kind: Kind) -> bytes:
    return blake2b(json.dumps(kind, sort_keys=True).encode(errors="surrogatepass"), digest_size=16).digest()
