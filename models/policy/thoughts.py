"""Where a response is: inside its thoughts or outside, and how many tokens of them it has."""

from collections.abc import Sequence

from models.interfaces import Step
from models.policy.marks import Found, MarkFinder, Spelling


class Thoughts:
    """Follows the thoughts of one response.

    Attributes:
        is_open: Whether the last token is inside them.
        num_tokens: Of the thoughts so far; those of a mark are, too.
        rest: Text behind the mark in the last token of the prefix, which is not of the thoughts that it closed.

    Args:
        spelling: Of the marks.
        prefix: Steps of the response so far.
        are_opened: Whether the prompt itself opens the thoughts.
    """

    def __init__(self, spelling: Spelling, prefix: Sequence[Step], *, are_opened: bool) -> None:
        self.num_start_tokens = spelling.num_start_tokens
        self.num_tokens = sum(len(step.token_ids) for step in prefix if step.is_thinking)
        self.is_open = are_opened if not prefix else prefix[-1].is_thinking
        self.rest = ""
        self._are_pending = not any(step.is_thinking or not step.is_blank for step in prefix)
        tail: list[int] = []
        for step in reversed(prefix):
            tail[:0] = step.token_ids
            if len(tail) >= spelling.longest:
                break
        self._finder = MarkFinder(spelling, tail)
        if self.is_open and (found := self._finder.last) and not found.mark.opens:
            self.is_open, self.rest = False, found.rest

    def see(self, token_id: int) -> Found | None:
        """Go on with a token; return the mark that it completes."""
        found = self._finder.see(token_id)
        if found is not None:
            self.is_open, self._are_pending = found.mark.opens, False
        return found

    def room(self, budget: int | None, num_uncut: int) -> int | None:
        """Return how many more tokens may come before the thoughts have spent their budget; None for any number.

        Args:
            budget: Of the thoughts; None where there is none.
            num_uncut: Tokens since the last step.
        """
        if budget is None or not (self.is_open or self._are_pending):
            return None
        left = max(budget - self.num_tokens - num_uncut, 0)
        return left if self.is_open else max(left, self.num_start_tokens)

    def have_spent(self, budget: int | None, num_uncut: int) -> bool:
        """Tell whether they are open and their budget is spent."""
        return self.is_open and self.room(budget, num_uncut) == 0

    def settle(self) -> None:
        """Take it that a response which has not begun with thoughts has none."""
        self._are_pending = False
