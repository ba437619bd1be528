"""The growth of a search as a stream of Server-Sent Events, from which its tree can be rebuilt.

`round` says that the tree has become deeper; `step` holds a step of a node, and comes again with its score; `candidate`
holds the score and state of a node, and comes again at every change; the last is `result` or `error`. A later event on
the same thing replaces an earlier one. Events wait in a queue, so that a slow reader does not delay the search; those
that wait go out together, since to send costs more than to write.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol, TypeVar

from pydantic import BaseModel

from search.candidate import Candidate
from search.observer import Loss, Silence
from server.http.errors import reply_to
from server.solving.replies import name_of, state_of
from server.stream import CandidateEvent, RoundEvent, StepEvent


class Replying(Protocol):
    """The outcome of a search."""

    @property
    def reply(self) -> BaseModel:
        """What the client reads."""


R = TypeVar("R", bound=Replying)


class Events(Silence):
    """An observer that turns the growth of a search into events; `follow` yields them."""

    candidate_event = CandidateEvent

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._num_sent = 0
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

    async def follow(self, search: asyncio.Task[R]) -> AsyncIterator[bytes]:
        """Yield the events of the observed search; the last is its result or its error."""
        search.add_done_callback(self._conclude)
        while event := await self._queue.get():
            waiting = [event]
            while not self._queue.empty() and (event := self._queue.get_nowait()):
                waiting.append(event)
            yield b"".join(waiting)
            if event is None:
                return

    def _conclude(self, search: asyncio.Task[R]) -> None:
        if search.cancelled():
            return
        if isinstance(error := search.exception(), Exception):
            self._send("error", reply_to(error).json())
        else:
            self._send("result", search.result().reply.model_dump_json())
        self._queue.put_nowait(None)

    def _send(self, name: str, data: str) -> None:
        self._num_sent += 1
        self._queue.put_nowait(encoded(self._num_sent, name, data))


def encoded(number: int, name: str, data: str) -> bytes:
    """Return an event as it crosses the wire; its data is JSON, which has no line breaks."""
    return f"id: {number}\r\nevent: {name}\r\ndata: {data}\r\n\r\n".encode()
