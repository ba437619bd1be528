"""The reader of answers: extracts, deduplicates, caches, and leaves what can be slow or unsafe to worker processes.

A worker over its limit of time is killed and replaced, one over its limit of memory fails; the answer then compares as
its text, and a counter tells. The event loop does no more than a bounded, linear scan of the response's end.
"""

import asyncio
import re
from dataclasses import dataclass
from types import TracebackType
from typing import Self, cast

from search.answers.answer import Answer
from search.answers.cache import Cache
from search.answers.checking.question import MAX_PROBLEM
from search.answers.comparison import Canonical, Comparison, compare
from search.answers.extract import Boxes, extract_answer
from search.answers.reading.text import MAX_LENGTH, is_text_key, text_key
from search.answers.workers import Job, JobStatus, Workers

_INTEGER = re.compile(r"0|-?[1-9]\d{0,17}", re.ASCII)
"""The commonest answers are their own keys: they need no worker, which may be waiting for a busy CPU."""


@dataclass(slots=True)
class PoolCounters:
    """What has happened since the pool was made. Mutable: the pool counts, anybody reads.

    Attributes:
        num_answers: Answers asked for.
        num_cached: Of these, answers whose key was known or already on its way.
        num_text: Of the others, answers that compare as text: words, and what is no mathematics that is read.
        num_timeouts: Answers whose worker was killed at its limit of time; they compare as text, or go unchecked.
        num_failures: Answers whose worker died or ran out of memory; likewise.
    """

    num_answers: int = 0
    num_cached: int = 0
    num_text: int = 0
    num_timeouts: int = 0
    num_failures: int = 0


class AnswerPool:
    """Reads answers, many at a time: an `AnswerReader` from `async with AnswerPool() as pool` to its end.

    Args:
        num_workers: Worker processes; as many more check answers, from the first that is to be checked.
        timeout_s: CPU time that one answer may take in a worker: on a busy machine no answer is lost to the others.
        memory_bytes: Address space of a worker.
        max_cached: Answers whose keys are kept, and checks.
        boxes: What several boxes in a row are.
    """

    def __init__(
        self,
        num_workers: int = 2,
        timeout_s: float = 0.5,
        memory_bytes: int = 1 << 29,
        max_cached: int = 10_000,
        boxes: Boxes = Boxes.ROW,
    ) -> None:
        self._boxes = boxes
        self.counters = PoolCounters()
        self._canonicalisers = Workers(Job.CANONICALISE, num_workers, timeout_s, memory_bytes)
        self._checkers = Workers(Job.CHECK, num_workers, timeout_s, memory_bytes)
        self._canonicals = Cache(self._canonicalise, max_cached)
        self._verdicts = Cache(self._check, max_cached)

    async def __aenter__(self) -> Self:
        await self._canonicalisers.start("0")
        self._checkers.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.gather(self._canonicalisers.stop(), self._checkers.stop())

    async def read(self, response: str) -> Answer | None:
        """Return the answer of `response`; None when it states none."""
        text = extract_answer(response, self._boxes)
        return None if text is None else Answer(text, await self.canonicalise(text))

    async def equivalent(self, first: str, second: str) -> bool:
        """Say whether two answers are equivalent."""
        return (await self.compare(first, second)).is_equivalent

    async def compare(self, first: str | None, second: str | None) -> Comparison:
        """Say whether two answers are equivalent, and why; what is None or blank is no answer."""
        return compare(*await asyncio.gather(self._answer(first), self._answer(second)))

    async def canonicalise(self, text: str) -> str:
        """Return the key of an answer's text, computed once however often it is asked for."""
        return (await self._canonical(text)).key

    async def check(self, problem: str, text: str) -> bool | None:
        """Say whether an answer solves the equations of a problem; None where nobody can say."""
        if len(problem) > MAX_PROBLEM or len(text) > MAX_LENGTH:
            return None
        return await self._verdicts.get((problem, text))

    async def _answer(self, text: str | None) -> Canonical | None:
        return await self._canonical(text) if text and not text.isspace() else None

    async def _canonical(self, text: str) -> Canonical:
        self.counters.num_answers += 1
        if len(text) > MAX_LENGTH:
            self.counters.num_text += 1
            return Canonical(text_key(text))
        if _INTEGER.fullmatch(text):
            return Canonical(text)
        self.counters.num_cached += text in self._canonicals
        return await self._canonicals.get(text)

    async def _canonicalise(self, text: str) -> Canonical:
        outcome, form = await self._canonicalisers.ask(text)
        key, unit = form or (text_key(text), None)
        canonical = Canonical(key, unit, outcome)
        self.counters.num_text += is_text_key(canonical.key)
        self._count(outcome)
        return canonical

    async def _check(self, question: tuple[str, str]) -> bool | None:
        outcome, verdict = await self._checkers.ask(*question)
        self._count(outcome)
        return cast(bool | None, verdict)

    def _count(self, outcome: JobStatus) -> None:
        self.counters.num_timeouts += outcome is JobStatus.TIMEOUT
        self.counters.num_failures += outcome is JobStatus.FAILURE
