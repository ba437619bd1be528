"""An engine that writes what a script says: for what depends on the tokens of a response, one by one."""

from collections.abc import AsyncGenerator, Callable, Sequence

from prometheus_client import CollectorRegistry

from models.errors import EngineDiedError
from models.generation import Classified, Generated, Generation, Scored

Script = Callable[[Sequence[int]], Sequence[int]]
"""From the tokens of a prompt and a response so far to those that follow, to the end of the sequence."""


class ScriptedEngine:
    """Writes a script, a few tokens at a time.

    Attributes:
        asked: What each request asked for, and how many tokens it got.
        dies_after: Requests that die after so many tokens, in turn; None answers.

    Args:
        script: What follows.
        interval: Tokens that come at once.
    """

    def __init__(self, script: Script, interval: int = 16, max_model_len: int = 100_000) -> None:
        self.name = "policy"
        self.metrics = CollectorRegistry()
        self.num_restarts = self.num_running_requests = 0
        self.max_model_len = max_model_len
        self.max_prompt_tokens: int | None = None
        self.asked: list[Generation] = []
        self.dies_after: list[int] = []
        self._script = script
        self._interval = interval

    async def check(self) -> None:
        pass

    async def recovered(self) -> None:
        pass

    async def generate(
        self,
        token_ids: Sequence[int],
        asked: Generation,
        count: Callable[[int], None] = lambda _: None,
        *,
        affinity: str = "",
    ) -> AsyncGenerator[Generated, None]:
        self.asked.append(asked)
        rest = list(self._script(token_ids))
        dies_after = self.dies_after.pop(0) if self.dies_after else None
        stop = next((place for place, token in enumerate(rest) if token in asked.stops), None)
        whole = rest if stop is None else rest[: stop + 1]
        cut = whole[: asked.max_tokens]
        for start in range(0, len(cut), self._interval):
            piece = cut[start : start + self._interval]
            if dies_after is not None and start >= dies_after:
                raise EngineDiedError("the policy engine is dead")
            count(len(piece))
            if start + self._interval < len(cut):
                yield Generated(piece)
            elif stop is not None and len(cut) == len(whole):
                yield Generated(piece, "stop", cut[-1])
            else:
                yield Generated(piece, "length" if len(cut) < len(whole) else "stop")

    async def complete(self, token_ids: Sequence[int], asked: Generation, *, affinity: str = "") -> Generated:
        raise NotImplementedError

    async def score(
        self, token_ids: Sequence[int], positions: Sequence[int], *, read_cache: bool = True, affinity: str = ""
    ) -> Scored:
        raise NotImplementedError

    async def classify(self, token_ids: Sequence[int], *, affinity: str = "") -> Classified:
        raise NotImplementedError
