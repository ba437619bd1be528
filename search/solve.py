"""Runs a strategy on a problem, against a deadline, and settles what it found.

A search that is out of time is not lost: the complete candidates that exist by then vote. A search that lost some of
its candidates to a failing model is degraded and says so; one to which a dead engine left no complete candidate fails.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from models.errors import DeadlyPromptError, EngineUnavailableError
from models.interfaces import Meter, Problem, ReadsConfidences, Sampling
from search.aggregation import Aggregation
from search.candidate import Candidate
from search.diagnostics import Diagnostics, diagnose
from search.expander import Expander, Models
from search.observer import Choice, Decision, Loss, Observer, Silence
from search.stopping import total
from search.strategy import Strategy
from search.tournament import comparer_for, decide
from search.voting import Ballot, Selection, Tally, Vote, kept


class Status(Enum):
    """Whether a search could do all it wanted."""

    COMPLETE = "complete"
    DEADLINE = "deadline"  # time was up: the best so far
    DEGRADED = "degraded"  # a failing model took candidates


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found and what it spent.

    Attributes:
        chosen: The candidate whose response and answer are returned; None when nothing was grown.
        votes: The elected answer first, those without an answer last.
        candidates: Every candidate grown, at its last growth, in the order of the paths: the whole tree.
        losses: Candidates that a failing model took.
        status: Whether the search could do all it wanted.
        diagnostics: How far the result can be trusted.
        meter: Tokens spent.
        decision: The last one of the strategy; None of a strategy that decides nothing.
    """

    chosen: Candidate | None
    votes: tuple[Vote[Candidate], ...]
    candidates: tuple[Candidate, ...]
    losses: tuple[Loss, ...]
    status: Status
    diagnostics: Diagnostics
    meter: Meter
    decision: Decision | None = None

    @property
    def final_candidates(self) -> tuple[Candidate, ...]:
        """Those that grew to an end: complete or truncated."""
        return tuple(candidate for candidate in self.candidates if candidate.is_final)

    @property
    def rounds(self) -> int:
        """Expansions, one after the other, on the longest way through the tree."""
        return max((len(candidate.path) for candidate in self.candidates), default=0)


async def solve(
    problem: Problem,
    strategy: Strategy,
    models: Models,
    sampling: Sampling,
    *,
    aggregation: Aggregation = Aggregation.LAST,
    judges_thoughts: bool = False,
    thinks: bool | None = None,
    deadline_s: float | None = None,
    observer: Observer | None = None,
    meter: Meter | None = None,
) -> SearchResult:
    """Search for the answer of a problem.

    Args:
        problem: What is asked.
        strategy: How the budget is spent.
        models: What proposes, judges and reads answers.
        sampling: For a whole response.
        aggregation: From step scores to a score.
        judges_thoughts: Whether thoughts are judged like the answer behind them.
        thinks: Whether the policy is asked to think; None: as the problem says.
        deadline_s: Seconds after which the best so far is returned; None waits.
        observer: Who is told of everything as it happens.
        meter: Where tokens are counted; None takes a new one.

    Raises:
        EngineUnavailableError: An engine failed and no candidate is complete.
        DeadlyPromptError: The problem took the engine down twice, and no candidate is complete.
        HyperparameterError: The answer is to be chosen by a tournament, and the verifier cannot compare.
    """
    comparer = comparer_for(strategy.selection, models.verifier)
    if not strategy.needs_verifier:
        models = replace(models, verifier=None)
    if isinstance(models.verifier, ReadsConfidences):
        sampling = replace(sampling, num_logprobs=models.verifier.num_logprobs)
    record = Recorder(observer or Silence())
    expander = Expander(
        problem,
        models,
        sampling,
        aggregation,
        record,
        meter or Meter(),
        judges_thoughts=judges_thoughts,
        thinks=thinks,
    )
    ballot = ballot_of(strategy, models, record.on_votes)
    status = Status.COMPLETE
    try:
        async with asyncio.timeout(deadline_s) as clock:
            await strategy.search(expander, ballot)
            if comparer and not await decide(expander, ballot, comparer):
                status = Status.DEGRADED
    except TimeoutError:
        if not clock.expired():
            raise
        status = Status.DEADLINE
    finally:
        await expander.close()
    if status is Status.DEADLINE or models.examiner is not None:
        ballot = record.voted(ballot_of(strategy, models), getattr(strategy, "keep", 1.0))
    if ballot.num_cast == 0:
        record.raise_engine_error()
    if record.losses and status is Status.COMPLETE:
        status = Status.DEGRADED
    record.on_votes(ballot.tally)
    return _settle(record, ballot, status, expander)


def ballot_of(
    strategy: Strategy,
    models: Models,
    watch: Callable[[Callable[[], Tally[Candidate]]], None] = lambda tally: None,
) -> Ballot[Candidate]:
    """Return an empty ballot: of the strategy's own selection, or of one for programs, whose tests decide.

    Programs that pass are one answer, for which the best-ranked speaks. Without scores the first that is cast is that.
    """
    if models.examiner is None:
        return Ballot(strategy.selection, watch=watch)
    is_ranked = models.verifier is not None
    return Ballot(Selection.BEST, lambda votes: not is_ranked, watch)


def _settle(record: "Recorder", ballot: Ballot[Candidate], status: Status, expander: Expander) -> SearchResult:
    candidates = tuple(sorted(record.candidates.values(), key=lambda candidate: candidate.path))
    votes = ballot.votes()
    return SearchResult(
        chosen=ballot.winner() or _best_without_answer(candidates, ballot),
        votes=votes,
        candidates=candidates,
        losses=tuple(record.losses),
        status=status,
        diagnostics=diagnose(
            votes,
            [candidate for candidate in candidates if candidate.is_final],
            expander.first_steps,
            wants_programs=expander.models.examiner is not None,
            is_structured=expander.sampling.grammar is not None,
            stopping=None if status is Status.DEADLINE else total(expander.stops),
        ),
        meter=expander.meter,
        decision=record.decision,
    )


def _best_without_answer(candidates: Sequence[Candidate], ballot: Ballot[Candidate]) -> Candidate | None:
    complete = [candidate for candidate in candidates if candidate.is_complete]
    return next(iter(ballot.rank(complete or candidates)), None)


class Recorder:
    """The observer that remembers the tree, and passes everything on."""

    def __init__(self, observer: Observer) -> None:
        self.candidates: dict[tuple[int, ...], Candidate] = {}
        self.losses: list[Loss] = []
        self.decision: Decision | None = None
        self._observer = observer

    def on_growth(self, candidate: Candidate) -> None:
        """Remember the candidate as it is now."""
        self.candidates[candidate.path] = candidate
        self._observer.on_growth(candidate)

    def on_loss(self, loss: Loss) -> None:
        """Remember what was lost."""
        self.candidates.pop(loss.path, None)
        self.losses.append(loss)
        self._observer.on_loss(loss)

    def on_choice(self, choice: Choice) -> None:
        """Pass it on: what is dropped stays in the tree."""
        self._observer.on_choice(choice)

    def on_votes(self, tally: Callable[[], Tally[Candidate]]) -> None:
        """Pass it on."""
        self._observer.on_votes(tally)

    def on_decision(self, decision: Decision) -> None:
        """Remember the last one."""
        self.decision = decision
        self._observer.on_decision(decision)

    def raise_engine_error(self) -> None:
        """Raise the first error of an engine, if there was one."""
        for loss in self.losses:
            if isinstance(loss.error, EngineUnavailableError | DeadlyPromptError):
                raise loss.error

    def voted(self, ballot: Ballot[Candidate], keep: float = 1.0) -> Ballot[Candidate]:
        """Return a ballot with the votes of all candidates complete by now, or of the share with the highest scores."""
        for candidate in kept(sorted(self.candidates.values(), key=lambda candidate: candidate.path), keep):
            ballot.cast(candidate)
        return ballot
