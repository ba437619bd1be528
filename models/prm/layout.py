"""Where the steps of a response end in what a reward model with a head reads. Knows token ids; knows no engine."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain


@dataclass(frozen=True, slots=True)
class Layout:
    """A response as a reward model reads it.

    Attributes:
        token_ids: Of the problem and the steps.
        ends: The position of each step's score, ascending; the last is the last token.
    """

    token_ids: tuple[int, ...]
    ends: tuple[int, ...]

    @classmethod
    def of(cls, prompt: Sequence[int], steps: Iterable[Sequence[int]]) -> "Layout":
        """Put the steps behind the prompt; each is scored at its last token."""
        pieces = [prompt, *steps]
        _, *ends = (length - 1 for length in accumulate(map(len, pieces)))
        return cls(tuple(chain.from_iterable(pieces)), tuple(ends))
