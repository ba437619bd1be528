"""What an engine's KV cache holds: segments of sequences (a prompt, a step), each stored once for all that begin alike.

A segment that no running request needs stays until its room is wanted; the one that was let go longest ago goes first,
the end of a sequence before its beginning, as in vLLM. Segments go as a whole, where vLLM drops single blocks.
"""

from collections import OrderedDict
from collections.abc import Sequence

Segment = tuple[str, int]
"""A name that says all that comes before it, too, and a number of tokens."""


class PrefixCache:
    """The segments of one engine.

    Attributes:
        num_tokens: Held, of segments in use and of those that may go.
        num_idle_tokens: Of those that may go.
    """

    def __init__(self) -> None:
        self.num_tokens = self.num_idle_tokens = 0
        self._users: dict[str, int] = {}
        self._idle: OrderedDict[str, int] = OrderedDict()

    def held(self, segments: Sequence[Segment]) -> int:
        """Return how many of the first tokens of a sequence are here."""
        number = 0
        for name, size in segments:
            if name not in self._users:
                break
            number += size
        return number

    def missing(self, segments: Sequence[Segment]) -> int:
        """Return for how many tokens of a sequence there must be room."""
        return sum(size for name, size in segments if name not in self._users)

    def idle(self, segments: Sequence[Segment]) -> int:
        """Return how many tokens of a sequence are here and may go."""
        return sum(size for name, size in segments if name in self._idle)

    def take(self, segments: Sequence[Segment]) -> None:
        """Hold a sequence for a request."""
        for name, size in segments:
            users = self._users.get(name)
            if users is None:
                self.num_tokens += size
            elif not users:
                del self._idle[name]
                self.num_idle_tokens -= size
            self._users[name] = (users or 0) + 1

    def release(self, segments: Sequence[Segment]) -> None:
        """Let a sequence go that a request held."""
        for name, size in reversed(segments):
            self._users[name] -= 1
            if not self._users[name]:
                self._idle[name] = size
                self.num_idle_tokens += size

    def evict(self, number: int) -> None:
        """Drop idle segments of at least so many tokens, or all of them."""
        while number > 0 and self._idle:
            name, size = self._idle.popitem(last=False)
            del self._users[name]
            self.num_tokens -= size
            self.num_idle_tokens -= size
            number -= size
