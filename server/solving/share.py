"""How much of a search is done: the share of its budget of N candidates that is spent.

A candidate that came to its end counts whole. One that grows counts by its tokens over those of a mean response of this
search; before the first has ended, over the longest that a response may be. Those still to be drawn count nothing. It
never falls, and may jump, at last to 1: how long responses become, and whether a search stops early, is known at its
end.
"""

from collections.abc import Iterable

Path = tuple[int, ...]

MOST = 0.99
"""As long as the search runs: judging, testing and the vote may follow the last token."""
MOST_GROWING = 0.9
"""Of candidates that grow and are longer than a mean response."""


class Share:
    """The share, told of candidates as they grow.

    Args:
        n: N, the budget.
        max_tokens: Of a response.
    """

    def __init__(self, n: int, max_tokens: int) -> None:
        self._n = n
        self._max_tokens = max_tokens
        self._value = 0.0
        self._tokens: dict[Path, int] = {}  # of whole prefixes
        self._growing: set[Path] = set()  # that no other continues
        self._num_growing_tokens = 0
        self._ended: set[Path] = set()
        self._num_ended_tokens = 0
        self._num_spent = 0

    def grow(self, path: Path, parent: Path | None, tokens: int, *, has_ended: bool) -> None:
        """Count a candidate as it is now.

        Args:
            path: Of the candidate.
            parent: Of the one that it continues; None for the root.
            tokens: Generated since its parent.
            has_ended: Whether it grows no more.
        """
        if path in self._ended:
            return
        self._leave(path)
        if parent is not None:
            self._leave(parent)
        total = self._tokens[path] = tokens + (self._tokens.get(parent, 0) if parent else 0)
        if has_ended:
            self._ended.add(path)
            self._num_spent += 1
            self._num_ended_tokens += total
        else:
            self._growing.add(path)
            self._num_growing_tokens += total

    def drop(self, paths: Iterable[Path], *, is_spent: bool) -> None:
        """Count candidates that are not continued; what they have of the budget goes to others, or is spent."""
        for path in paths:
            self._leave(path)
            self._num_spent += is_spent

    def lose(self, path: Path) -> None:
        """Count a candidate that was lost."""
        self._leave(path)

    def end(self) -> None:
        """Count the search as done."""
        self._value = 1.0

    @property
    def value(self) -> float:
        """The share, in [0, 1]."""
        mean = self._num_ended_tokens / len(self._ended) if self._num_ended_tokens else self._max_tokens
        growing = min(self._num_growing_tokens / mean, MOST_GROWING * len(self._growing))
        self._value = max(self._value, min((self._num_spent + growing) / self._n, MOST))
        return self._value

    def _leave(self, path: Path) -> None:
        if path in self._growing:
            self._growing.remove(path)
            self._num_growing_tokens -= self._tokens[path]
