"""vLLM's client of an engine, with a memory of what engines died of: what killed one twice is refused.

Every request passes it, those of vLLM's own handlers too.
"""

import asyncio
import hashlib
import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from vllm import PoolingParams, SamplingParams
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.output_processor import RequestOutputCollector

from models.vllm.releases import RefusedRequestError
from models.vllm.suspects import InFlight, Suspects

LOOK_EVERY_S = 0.02
"""While a suspect waits for its turn; there is none unless an engine has died."""


class DeadlyRequestError(RefusedRequestError):
    """The request took its engine down twice."""


class GuardedLLM(AsyncLLM):
    """vLLM's own; `guard` comes before the first request."""

    def __del__(self) -> None:
        self.let_go()

    def let_go(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        """Shut down an engine that nobody holds; at the interpreter's end vLLM's modules are gone already."""
        if not is_finalizing():
            super().__del__()  # type: ignore[no-untyped-call]  # vLLM leaves it untyped

    def guard(self, suspects: Suspects) -> None:
        """Take over what is known of earlier deaths, and add this engine's to it."""
        self._suspects = suspects
        self._prompts: WeakKeyDictionary[RequestOutputCollector, Sequence[int]] = WeakKeyDictionary()
        self._has_blamed = False

    async def add_request(
        self,
        request_id: str,
        prompt: Any,
        params: SamplingParams | PoolingParams,
        *args: Any,
        num_continued: int = 0,
        **others: Any,
    ) -> RequestOutputCollector:
        """Hand a request to the engine, a suspect's in its turn.

        Args:
            request_id: As for vLLM.
            prompt: As for vLLM.
            params: As for vLLM.
            args: As for vLLM.
            num_continued: Tokens at the end of the prompt that were generated for this request before.
            others: As for vLLM.

        Raises:
            DeadlyRequestError: It took the engine down twice.
        """
        token_ids: Sequence[int] = prompt.get("prompt_token_ids", ()) if isinstance(prompt, dict) else ()
        token_ids = token_ids[: len(token_ids) - num_continued]
        while not self._may_run(token_ids):  # noqa: ASYNC110 - vLLM has no event for a prompt that has been read
            await asyncio.sleep(LOOK_EVERY_S)
        self.require_harmless(token_ids)
        queue = await super().add_request(request_id, prompt, params, *args, **others)
        self._prompts[queue] = token_ids
        return queue

    def require_harmless(self, token_ids: Sequence[int]) -> None:
        """Refuse a prompt that took the engine down twice.

        Raises:
            DeadlyRequestError: This one has.
        """
        if self._suspects and self._suspects.is_deadly(_key(token_ids)):
            raise DeadlyRequestError("this prompt stopped the engine twice, so it is refused; allowed: another one")

    def _may_run(self, token_ids: Sequence[int]) -> bool:
        return not self._suspects or self._suspects.may_run(_key(token_ids), self._in_flight())

    async def abort(self, request_id: Any, internal: bool = False) -> None:
        """Stop requests; the first that is stopped because the engine is dead finds all others still there."""
        if self.errored:
            self.blame()
        await super().abort(request_id, internal)

    def blame(self) -> None:
        """Hold the death of the engine against those in flight, once."""
        if not self._has_blamed:
            self._has_blamed = True
            self._suspects.blame(self._in_flight())

    def _in_flight(self) -> Iterator[InFlight]:
        for state in self.output_processor.request_states.values():
            if state.queue is not None and (token_ids := self._prompts.get(state.queue)):
                yield InFlight(_key(token_ids), is_read=not state.is_prefilling)


def _key(token_ids: Sequence[int]) -> bytes:
    return hashlib.blake2b(array("q", token_ids).tobytes(), digest_size=16).digest()
