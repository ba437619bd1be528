"""From problems to prompts: the token ids that policy and verifier read before a response.

Knows the messages of a chat: system, what was said before, and the problem. One builder is shared by a policy and its
verifier, so that both read the same ids.
"""

import json
import math
from collections.abc import Sequence
from functools import lru_cache
from threading import Lock
from typing import Any

from cachetools import LRUCache, cached

from models.checkpoints.marks import Marks
from models.checkpoints.tokenizer import ChatTokenizer, Message
from models.interfaces import ENABLE_THINKING, Problem

NUM_KEPT_TOKENS = 4_194_304
"""Of the prompts kept, 150 MB: every candidate of a request asks for the same one, at every step."""
LONGEST_KEPT = 262_144
"""A prompt of more tokens fits into no context, as a rule, and would drive out those that do."""
NUM_KEPT = 256
"""Problems of which it is known whether they open or close thoughts."""


class PromptBuilder:
    """Makes the prompt of a problem, once.

    Attributes:
        tokenizer: The policy's.
        marks: Around the policy's thoughts; None of a policy that has none.

    Args:
        tokenizer: The policy's.
        system_prompt: Where a problem gives none; None leaves it to the chat template.
        marks: Around the policy's thoughts, which the tokenizer takes for special; None of a policy that has none.
    """

    def __init__(self, tokenizer: ChatTokenizer, system_prompt: str | None = None, marks: Marks | None = None) -> None:
        self.tokenizer = tokenizer
        self.marks = marks
        self.build = cached(LRUCache(NUM_KEPT_TOKENS, _size), lock=Lock())(self._build)
        self.opens_thoughts = lru_cache(NUM_KEPT)(self._opens_thoughts)
        self.closes_thoughts = lru_cache(NUM_KEPT)(self._closes_thoughts)
        self._system_prompt = system_prompt

    def special_token_in(self, text: str) -> str | None:
        """Return a special token that a text spells, other than the marks of thoughts; None where it spells none."""
        marks = "".join(self.marks.texts) if self.marks else ""
        return next((token for token in self.tokenizer.special_tokens_in(text) if token not in marks), None)

    @property
    def modes(self) -> tuple[bool | None, ...]:
        """What the policy may be asked for: to think, and not to, its default first; None where it cannot be asked."""
        if self.marks is None or ENABLE_THINKING not in self.tokenizer.template_variables:
            return (None,)
        problem = Problem("?")
        default, thinking, silent = (self.build(problem.thinking(thinks)) for thinks in (None, True, False))
        if thinking == silent:
            return (None,)
        return (False, True) if default == silent else (True, False)

    def _build(self, problem: Problem) -> tuple[int, ...]:
        return self.tokenizer.encode_chat(self._messages(problem), _variables(problem))

    def _opens_thoughts(self, problem: Problem) -> bool:
        """Whether the prompt itself opens the thoughts, so that the response begins inside them."""
        start, end = self._last_marks(problem)
        return start > end

    def _closes_thoughts(self, problem: Problem) -> bool:
        """Whether the prompt itself ends the thoughts, so that the response has none."""
        start, end = self._last_marks(problem)
        return end > start

    def _last_marks(self, problem: Problem) -> tuple[int, int]:
        """Where the last start and the last end of thoughts stand behind the problem; -1 for none."""
        if self.marks is None:
            return -1, -1
        ending = self.tokenizer.ending(self._messages(problem), _variables(problem))
        return ending.rfind(self.marks.start), max(map(ending.rfind, self.marks.ends))

    def _messages(self, problem: Problem) -> list[Message]:
        system_prompt = self._system_prompt if problem.system_prompt is None else problem.system_prompt
        system: list[Message] = [("system", system_prompt)] if system_prompt else []
        history: list[Message] = [(turn.role, turn.text) for turn in problem.history]
        return [*system, *history, ("user", problem.text)]


def _size(prompt: Sequence[int]) -> float:
    """Return the room that a prompt takes among those kept; infinity of one that is not kept."""
    return len(prompt) if len(prompt) <= LONGEST_KEPT else math.inf


def _variables(problem: Problem) -> dict[str, Any]:
    tools = {} if problem.tools is None else {"tools": json.loads(problem.tools)}
    return dict(problem.template_arguments) | tools
