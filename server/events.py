"""A search as a stream of Server-Sent Events, from which its tree can be rebuilt as it grows.

`round` comes when the tree gets deeper; `step` with a node's step, and again when its score is known; `candidate` with
a node's score and state, again at every change; last comes `result`, or `error`. A later event on the same thing
replaces an earlier one. Events wait in a queue, so a slow reader does not hold up the search.
"""

import asyncio
from collections.abc import AsyncIterator

from pydantic import BaseModel
from sse_starlette import ServerSentEvent

from search.candidate import Candidate
from search.observer import Loss
from server.errors import error_reply
from server.replies import name_of, state_of
from server.schemas import CandidateEvent, RoundEvent, StepEvent
from server.searching import Search


class Events:
    """The observer that turns growth into events; `stream` yields them."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[ServerSentEvent | None] = asyncio.Queue()
        self._num_sent = 0
        self._round = 0
        self._candidates: dict[tuple[int, ...], Candidate] = {}
        self._last: dict[tuple[str, int | None], BaseModel] = {}

    def on_growth(self, candidate: Candidate) -> None:
        """Tell what is new about a candidate."""
        path = candidate.path
        if len(path) > self._round:
            self._round = len(path)
            self._send("round", RoundEvent(round=self._round))
        self._candidates[path] = candidate
        parent = self._candidates.get(path[:-1])
        first = len(parent.steps) if parent else 0
        scores = (*candidate.step_scores, *[None] * len(candidate.steps))
        for index, step in enumerate(candidate.steps[first:], first):
            if not step.is_blank:
                event = StepEvent(node=name_of(path), index=index, text=step.text, score=scores[index])
                self._send_news("step", (event.node, index), event)
        state = CandidateEvent(
            id=name_of(path),
            parent=name_of(parent.path) if parent else None,
            score=candidate.score,
            state=state_of(candidate),
            answer=candidate.stated.text if candidate.stated else None,
            verified=candidate.stated.is_verified if candidate.stated else None,
            tokens=candidate.num_tokens,
        )
        self._send_news("candidate", (state.id, None), state)

    def on_loss(self, loss: Loss) -> None:
        """Tell that a candidate is lost, and its node with it."""
        self._candidates.pop(loss.path, None)
        parent = self._candidates.get(loss.path[:-1])
        lost = CandidateEvent(
            id=name_of(loss.path), parent=name_of(parent.path) if parent else None, state="lost", tokens=0
        )
        self._send("candidate", lost)

    async def stream(self, search: Search) -> AsyncIterator[ServerSentEvent]:
        """Run `search` and yield its events; closing the iterator stops it."""
        task = asyncio.create_task(self._run(search))
        try:
            while event := await self._queue.get():
                yield event
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self, search: Search) -> None:
        try:
            self._send("result", await search.run(self))
        except Exception as error:  # noqa: BLE001 - whatever it is, the reader must learn of it
            self._send("error", error_reply(error))
        self._queue.put_nowait(None)

    def _send_news(self, name: str, key: tuple[str, int | None], data: BaseModel) -> None:
        if self._last.get(key) != data:
            self._last[key] = data
            self._send(name, data)

    def _send(self, name: str, data: BaseModel) -> None:
        self._num_sent += 1
        self._queue.put_nowait(ServerSentEvent(data.model_dump_json(), event=name, id=str(self._num_sent)))
