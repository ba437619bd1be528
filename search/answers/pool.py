"""The reader of answers: extracts, deduplicates, caches, and leaves what can be slow or unsafe to worker processes.

A worker over its limit of time is killed and replaced, one over its limit of memory fails; the answer then compares as
its text, and a counter tells. The event loop does no more than a bounded, linear scan of the response's end.
"""

import asyncio
import re
from collections import OrderedDict
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from search.answers.answer import Answer
from search.answers.extract import extract_answer
from search.answers.text import MAX_LENGTH, TEXT, text_key
from search.answers.workers import Outcome, Workers

_INTEGER = re.compile(r"0|-?[1-9]\d{0,17}", re.ASCII)
"""The commonest answers are their own keys: they need no worker, which may be waiting for a busy CPU."""


@dataclass(slots=True)
class PoolCounters:
    """What has happened since the pool was made. Mutable: the pool counts, anybody reads.

    Attributes:
        num_answers: Answers asked for.
        num_cached: Of these, answers whose key was known or already on its way.
        num_text: Of the others, answers that compare as text: words, and what is no mathematics that is read.
        num_timeouts: Answers whose worker was killed at its limit of time; they compare as text.
        num_failures: Answers whose worker died or ran out of memory; they compare as text.
    """

    num_answers: int = 0
    num_cached: int = 0
    num_text: int = 0
    num_timeouts: int = 0
    num_failures: int = 0


class AnswerPool:
    """Reads answers, many at a time: an `AnswerReader` from `async with AnswerPool() as pool` to its end.

    Args:
        num_workers: Worker processes.
        timeout_s: CPU time that one answer may take in a worker: on a busy machine no answer is lost to the others.
        memory_bytes: Address space of a worker.
        max_cached: Answers whose keys are kept.
    """

    def __init__(
        self, num_workers: int = 2, timeout_s: float = 0.5, memory_bytes: int = 1 << 29, max_cached: int = 10_000
    ) -> None:
        self.counters = PoolCounters()
        self._workers = Workers(num_workers, timeout_s, memory_bytes)
        self._max_cached = max_cached
        self._keys: OrderedDict[str, asyncio.Task[str]] = OrderedDict()

    async def __aenter__(self) -> Self:
        await self._workers.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._workers.stop()

    async def read(self, response: str) -> Answer | None:
        """Return the answer of `response`; None when it states none."""
        text = extract_answer(response)
        return None if text is None else Answer(text, await self.canonicalise(text))

    async def equivalent(self, first: str, second: str) -> bool:
        """Say whether two answers are equivalent."""
        keys = await asyncio.gather(self.canonicalise(first), self.canonicalise(second))
        return keys[0] == keys[1]

    async def canonicalise(self, text: str) -> str:
        """Return the key of an answer's text, computed once however often it is asked for."""
        self.counters.num_answers += 1
        if len(text) > MAX_LENGTH:
            self.counters.num_text += 1
            return text_key(text)
        if _INTEGER.fullmatch(text):
            return text
        key = self._keys.get(text)
        if key is None:
            key = self._keys[text] = asyncio.create_task(self._compute(text))
            if len(self._keys) > self._max_cached:
                self._keys.popitem(last=False)
        else:
            self.counters.num_cached += 1
            self._keys.move_to_end(text)
        return await asyncio.shield(key)  # others may wait for the same key

    async def _compute(self, text: str) -> str:
        try:
            outcome, key = await self._workers.canonicalise(text)
        except RuntimeError:
            self._keys.pop(text, None)  # the pool may be entered again
            raise
        self.counters.num_text += key.startswith(TEXT)
        self.counters.num_timeouts += outcome is Outcome.TIMEOUT
        self.counters.num_failures += outcome is Outcome.FAILURE
        return key
