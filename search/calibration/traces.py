"""Searches on problems whose answers are known, candidate by candidate: what calibration chooses from.

Searches in process, and keeps every candidate with its place, score, answer and tokens, so that smaller searches can be
taken out of larger ones: the first responses, or the first subtrees, are those that a smaller budget would have grown.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from models.files import Journal, UnreadableFileError
from models.interfaces import Problem, Sampling
from search.answers.answer import Answer
from search.answers.pool import AnswerPool
from search.confidence import support
from search.evaluation.grading import is_right
from search.evaluation.tasks import Task
from search.expander import Models
from search.solve import SearchResult, solve
from search.strategy import Strategy
from search.voting import Ballot, Selection


@dataclass(frozen=True, slots=True)
class TracedCandidate:
    """A candidate of a search.

    Attributes:
        path: Its place in the tree.
        tokens: Generated after its parent.
        score: Of the verifier.
        key: Of its answer; None where it is not complete or states none.
        is_complete: Whether it votes.
        is_right: Whether its answer is.
    """

    path: tuple[int, ...]
    tokens: int
    score: float | None
    key: str | None
    is_complete: bool
    is_right: bool


@dataclass(frozen=True, slots=True)
class Trace:
    """What a search grew on a problem.

    Attributes:
        problem: What was asked.
        name: Of the search.
        seconds: It took, among others at the same time.
        judged: Tokens that the verifier computed.
        candidates: All of them.
    """

    problem: str
    name: str
    seconds: float
    judged: int
    candidates: tuple[TracedCandidate, ...]

    def first(self, n: int) -> tuple[TracedCandidate, ...]:
        """Return what grew from the first `n` children of the root."""
        return tuple(grown for grown in self.candidates if grown.path[0] < n)

    def tokens(self, n: int) -> float:
        """Return the tokens generated, and judged, for what grew from the first `n` children of the root."""
        total = sum(grown.tokens for grown in self.candidates)
        generated = sum(grown.tokens for grown in self.first(n))
        return generated + (self.judged * generated / total if total else 0.0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What some candidates elect together: whether it is right, and its support."""

    is_right: bool
    support: float


def elect(candidates: Iterable[TracedCandidate], selection: Selection = Selection.WEIGHTED) -> Verdict:
    """Let candidates vote."""
    ballot: Ballot[_Voter] = Ballot(selection)
    for place, grown in enumerate(candidates):
        answer = Answer(grown.key, grown.key) if grown.key else None
        score = None if selection is Selection.MAJORITY else grown.score
        ballot.cast(_Voter((place,), score, answer, grown.is_complete, grown.is_right))
    winner = ballot.winner()
    return Verdict(winner is not None and winner.is_right, support(ballot.votes()))


class _Voter(NamedTuple):
    """A candidate of one of several searches that vote together, with its place among them all."""

    path: tuple[int, ...]
    score: float | None
    answer: Answer | None
    is_complete: bool
    is_right: bool


class Traces:
    """Traces, in memory and as JSON lines that an interrupted run goes on from.

    Args:
        path: File to keep them in; None keeps them in memory only.

    Raises:
        UnreadableFileError: The file holds something else; the message names the line.
    """

    def __init__(self, path: Path | None) -> None:
        self._journal = Journal(path) if path else None
        self._traces: dict[tuple[str, str], Trace] = {}
        for number, line in enumerate(self._journal.read() if self._journal else (), start=1):
            try:
                self._keep(_read(line))
            except (KeyError, TypeError) as error:
                raise UnreadableFileError(f"{path}, line {number}: not what winnow calibrate wrote") from error

    def all(self) -> tuple[Trace, ...]:
        """Return every trace."""
        return tuple(self._traces.values())

    def of(self, name: str, tasks: Sequence[Task]) -> list[Trace]:
        """Return the traces of a search, in the order of the tasks."""
        return [self._traces[task.problem, name] for task in tasks]

    async def gather(
        self,
        models: Models,
        answers: AnswerPool,
        tasks: Sequence[Task],
        name: str,
        strategy: Strategy,
        sampling: Sampling,
        concurrency: int,
        advance: Callable[[], None],
        thinks: bool | None = None,
    ) -> None:
        """Run a search on every task that has no trace of it yet; `thinks` is what the policy is asked for."""
        places = asyncio.Semaphore(concurrency)

        async def measure(task: Task) -> None:
            async with places:
                if (task.problem, name) not in self._traces:
                    start = time.perf_counter()
                    result = await solve(Problem(task.problem), strategy, models, sampling, thinks=thinks)
                    seconds = time.perf_counter() - start
                    grown = await _grown(result, task, answers)
                    self._add(Trace(task.problem, name, seconds, result.meter.verifier_tokens, grown))
            advance()

        async with asyncio.TaskGroup() as group:
            for task in tasks:
                group.create_task(measure(task))

    def _add(self, trace: Trace) -> None:
        self._keep(trace)
        if self._journal:
            self._journal.append(asdict(trace))

    def _keep(self, trace: Trace) -> None:
        self._traces[trace.problem, trace.name] = trace


async def _grown(result: SearchResult, task: Task, answers: AnswerPool) -> tuple[TracedCandidate, ...]:
    right: dict[str, bool] = {}
    lengths = {candidate.path: candidate.num_tokens for candidate in result.candidates}
    grown = []
    for candidate in result.candidates:
        answer = candidate.answer
        if answer and answer.key not in right:
            right[answer.key] = await is_right(answers, task, answer.text)
        grown.append(
            TracedCandidate(
                candidate.path,
                candidate.num_tokens - lengths.get(candidate.path[:-1], 0),
                candidate.score,
                answer.key if answer else None,
                candidate.is_complete,
                bool(answer and right[answer.key]),
            )
        )
    return tuple(grown)


def _read(line: dict[str, object]) -> Trace:
    candidates = line.pop("candidates")
    grown = tuple(TracedCandidate(**each | {"path": tuple(each["path"])}) for each in candidates)  # type: ignore[attr-defined]
    return Trace(**line, candidates=grown)  # type: ignore[arg-type]
