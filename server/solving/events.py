"""The growth of a search as a stream of Server-Sent Events, from which its tree can be rebuilt.

`round` says that the tree has become deeper; `step` holds a step of a node, and comes again with its score; `candidate`
holds the score and state of a node, and comes again at every change; the last is `result` or `error`. A later event on
the same thing replaces an earlier one. They go into a log, which followers read, so that a slow one does not delay the
search.
"""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Protocol, TypeVar

from pydantic import BaseModel

from search.candidate import Candidate
from search.observer import Loss, Silence
from server.http.errors import STOPPED, ErrorReply, reply_to
from server.solving.event_log import EventLog
from server.solving.replies import name_of, state_of
from server.stream import CandidateEvent, RoundEvent, StepEvent


class Replying(Protocol):
    """The outcome of a search."""

    @property
    def reply(self) -> BaseModel:
        """What the client reads."""


R = TypeVar("R", bound=Replying)


class Events(Silence):
    """An observer that turns the growth of a search into events.

    Args:
        log: Takes the events; None: one that `follow` alone reads.
    """

    candidate_event = CandidateEvent

    def __init__(self, log: EventLog | None = None) -> None:
        self._log = EventLog(is_read_once=True) if log is None else log
        self._round = 0
        self._candidates: dict[tuple[int, ...], Candidate] = {}
        self._num_tokens: dict[tuple[int, ...], int] = {}
        self._last: dict[str, CandidateEvent] = {}

    def on_growth(self, candidate: Candidate) -> None:
        path = candidate.path
        if len(path) > self._round:
            self._round = len(path)
            self._send("round", RoundEvent(round=self._round).model_dump_json())
        parent = self._candidates.get(path[:-1])
        before = self._candidates.get(path) or parent or Candidate()
        self._candidates[path] = candidate
        self._send_steps(candidate, before)
        new = sum(len(step.token_ids) for step in candidate.steps[len(before.steps) :])
        self._num_tokens[path] = self._num_tokens.get(path, 0) + new
        state = self.candidate_event(
            id=name_of(path),
            parent=name_of(parent.path) if parent else None,
            score=candidate.score,
            state=state_of(candidate),
            answer=candidate.answer.text if candidate.answer else None,
            verified=candidate.answer.is_verified if candidate.answer else None,
            tokens=self._num_tokens[path],
        )
        if self._last.get(state.id) != state:
            self._last[state.id] = state
            self._send("candidate", state.model_dump_json())

    def _send_steps(self, candidate: Candidate, before: Candidate) -> None:
        """Send the steps and scores that are new since a candidate was last seen; a long response has many."""
        scores, num_before = candidate.step_scores, len(before.steps)
        first = len(before.step_scores) if len(scores) > len(before.step_scores) else num_before
        for index in range(first, len(candidate.steps)):
            step, score = candidate.steps[index], scores[index] if index < len(scores) else None
            if not step.is_blank and (index >= num_before or score is not None):
                self._send("step", self._step(candidate, index, score).model_dump_json())

    def _step(self, candidate: Candidate, index: int, score: float | None) -> StepEvent:
        step, node = candidate.steps[index], name_of(candidate.path)
        return StepEvent(node=node, index=index, text=step.text, score=score, thinking=step.is_thinking)

    def on_loss(self, loss: Loss) -> None:
        self._candidates.pop(loss.path, None)
        self._last.pop(name_of(loss.path), None)
        parent = self._candidates.get(loss.path[:-1])
        lost = self.candidate_event(
            id=name_of(loss.path), parent=name_of(parent.path) if parent else None, state="lost", tokens=0
        )
        self._send("candidate", lost.model_dump_json())

    def follow(self, search: asyncio.Task[R]) -> AsyncIterator[bytes]:
        """Yield the events of the observed search; the last is its result or its error."""
        search.add_done_callback(partial(conclude, self._log))
        return self._log.follow()

    def _send(self, name: str, data: str) -> None:
        self._log.append(name, data)


def conclude(log: EventLog, search: asyncio.Task[R]) -> ErrorReply | None:
    """End the events of a search with its result, or with its error, which is returned."""
    failure = None
    if search.cancelled():
        failure = STOPPED
    elif isinstance(error := search.exception(), Exception):
        failure = reply_to(error)
    if failure is None:
        log.append("result", search.result().reply.model_dump_json())
    else:
        log.append("error", failure.json())
    log.conclude()
    return failure
