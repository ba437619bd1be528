"""From problems to prompts: the token ids that policy and verifier read before a response.

Knows the messages of a chat: system, what was said before, and the problem. One builder is shared by a policy and its
verifier, so that both read the same ids.
"""

from functools import lru_cache

from models.checkpoints.tokenizer import ChatTokenizer, Message
from models.interfaces import Problem

NUM_KEPT = 256
"""Prompts kept: every candidate of a request asks for the same one, at every step."""


class PromptBuilder:
    """Makes the prompt of a problem, once.

    Args:
        tokenizer: The policy's.
        system_prompt: Where a problem gives none; None leaves it to the chat template.
    """

    def __init__(self, tokenizer: ChatTokenizer, system_prompt: str | None = None) -> None:
        self.tokenizer = tokenizer
        self.build = lru_cache(NUM_KEPT)(self._build)
        self._system_prompt = system_prompt

    def _build(self, problem: Problem) -> tuple[int, ...]:
        system_prompt = self._system_prompt if problem.system_prompt is None else problem.system_prompt
        system: list[Message] = [("system", system_prompt)] if system_prompt else []
        history: list[Message] = [(turn.role, turn.text) for turn in problem.history]
        return self.tokenizer.encode_chat([*system, *history, ("user", problem.text)])
