"""A search as a stream of Server-Sent Events, from which its tree can be rebuilt as it grows.

`round` comes when the tree gets deeper; `step` with a node's step, and again when its score is known; `candidate` with
a node's score and state, again at every change; last comes `result`, or `error`. A later event on the same thing
replaces an earlier one. Events wait in a queue, so a slow reader does not hold up the search.
"""

import asyncio
from collections.abc import AsyncIterator

from pydantic import BaseModel
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from search.candidate import Candidate
from search.observer import Loss
from server.errors import response_to
from server.replies import name_of, state_of
from server.schemas import CandidateEvent, RoundEvent, StepEvent
from server.searching import Outcome, Search

HEARTBEAT_S = 15
SEND_TIMEOUT_S = 60.0


class Events:
    """The observer of a search that turns growth into events; `of` begins the search, and `stream` yields them."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[ServerSentEvent | None] = asyncio.Queue()
        self._num_sent = 0
        self._round = 0
        self._candidates: dict[tuple[int, ...], Candidate] = {}
        self._last: dict[tuple[str, int | None], BaseModel] = {}
        self._task: asyncio.Task[Outcome] | None = None

    def on_growth(self, candidate: Candidate) -> None:
        """Tell what is new about a candidate."""
        path = candidate.path
        if len(path) > self._round:
            self._round = len(path)
            self._send("round", RoundEvent(round=self._round).model_dump_json())
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
        self._send("candidate", lost.model_dump_json())

    @classmethod
    async def of(cls, search: Search) -> "Events":
        """Begin a search, and return its events when it has a place in the queue.

        Raises:
            FullError: The queue is full.
            ContextOverflowError: The problem leaves no room for a response.
        """
        events, has_joined = cls(), asyncio.Event()
        events._task = asyncio.create_task(search.run(events, has_joined.set))
        events._task.add_done_callback(lambda _: has_joined.set())
        try:
            await has_joined.wait()
            if events._task.done():
                events._task.result()
        except BaseException:
            await events.close()
            raise
        events._task.add_done_callback(events._conclude)
        return events

    async def stream(self) -> AsyncIterator[ServerSentEvent]:
        """Yield the events; the last is the result, or the error."""
        while event := await self._queue.get():
            yield event

    async def close(self) -> None:
        """Stop the search if it still goes on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _conclude(self, task: asyncio.Task[Outcome]) -> None:
        if task.cancelled():
            return
        if isinstance(error := task.exception(), Exception):
            self._send("error", bytes(response_to(error).body).decode())
        else:
            self._send("result", task.result().reply.model_dump_json())
        self._queue.put_nowait(None)

    def _send_news(self, name: str, key: tuple[str, int | None], data: BaseModel) -> None:
        if self._last.get(key) != data:
            self._last[key] = data
            self._send(name, data.model_dump_json())

    def _send(self, name: str, data: str) -> None:
        self._num_sent += 1
        self._queue.put_nowait(ServerSentEvent(data, event=name, id=str(self._num_sent)))


class EventStream(EventSourceResponse):
    """The events as a reply; a client that closes the connection, or takes nothing for a minute, stops the search."""

    def __init__(self, events: Events) -> None:
        super().__init__(events.stream(), ping=HEARTBEAT_S, send_timeout=SEND_TIMEOUT_S)
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events as they come."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._events.close()
