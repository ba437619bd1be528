"""Searches that outlive the connection of their client: in the background, or kept for an `Idempotency-Key`.

A background search runs to its end whatever its client does, and is kept for a while after it, as are its events. A
search that was asked for with a key, but not for the background, is kept so that the same request finds it again; it
stops a while after nobody waits for it any more. All are bounded: in number, for each client and in all; in age after
their end; and in bytes, where the client that holds the most loses its oldest events first and then its oldest results.

Source: draft-ietf-httpapi-idempotency-key-header-07, sections 2.6 and 2.7: 400 for a key of wrong form, 422 for one
with another body. Beyond the source: a request that comes while its search runs joins it, where the draft refuses it
with 409, since a search changes nothing that a second reader could disturb; and what fails is forgotten.
"""

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal
from uuid import uuid4

from asgi_correlation_id import correlation_id
from fastapi.responses import Response

from search.observer import Silence
from server.errors import BackgroundFullError, RequestError
from server.http.disconnect import stop
from server.http.errors import ErrorReply
from server.keys import Client
from server.settings import Settings
from server.solving.event_log import EventLog
from server.solving.events import conclude
from server.solving.searching import Outcome, Search
from server.solving.story import Story

logger = logging.getLogger(__name__)

RELIEVED = 0.9
"""Share of the most bytes down to which memory is freed, so that it is not freed event by event."""

Progress = Literal["queued", "running", "complete", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """What a client names a request by.

    Attributes:
        text: Of the header.
        body: Digest of the request that came with it.
    """

    text: str
    body: bytes


class KeptSearch:
    """A search that outlives its connection.

    Args:
        client: Name of the client that asked.
        key: That it was asked for with.
        is_background: Whether it runs on without anybody who waits for it.
        log: Of its events.

    Attributes:
        id: Unguessable; also the request id of its log lines and its reply.
        created: Unix time.
        expires: Unix time at which it is forgotten; None until it has ended.
        progress: How far it is.
        failure: What it ended with, unless it is complete.
    """

    def __init__(self, client: str, key: IdempotencyKey | None, log: EventLog, *, is_background: bool) -> None:
        self.id = uuid4().hex
        self.client = client
        self.key = key
        self.log = log
        self.is_background = is_background
        self.created = round(time.time(), 3)
        self.expires: float | None = None
        self.progress: Progress = "queued"
        self.failure: ErrorReply | None = None
        self.forgetting: asyncio.TimerHandle | None = None
        self._num_attending = 0
        self._giving_up: asyncio.TimerHandle | None = None
        self._beginning: asyncio.Task[None] | None = None
        self._search: asyncio.Task[Outcome] | None = None
        self._ended = asyncio.Event()

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it runs."""
        return self._ended.is_set()

    async def begin(self, search: Search, on_end: Callable[["KeptSearch"], None]) -> None:
        """Begin the search unless it has begun, and return once it has a place in the queue.

        Raises:
            RequestError: It cannot be served.
            FullError: The queue is full.
            ContextOverflowError: The problem leaves no room for a response.
        """
        if self._beginning is None:
            with _named(self.id):
                self._beginning = asyncio.create_task(self._begin(search, on_end))
        await asyncio.shield(self._beginning)  # others may wait for it, too

    async def _begin(self, search: Search, on_end: Callable[["KeptSearch"], None]) -> None:
        is_followed = search.request.stream or self.is_background
        story = Story(search, self.log) if is_followed else None
        self._search = await search.begin(story or Silence(), story, self._note_start)
        self._search.add_done_callback(lambda task: self._end(task, on_end))

    def _note_start(self) -> None:
        self.progress = "running"

    def _end(self, search: asyncio.Task[Outcome], on_end: Callable[["KeptSearch"], None]) -> None:
        self.failure = conclude(self.log, search)
        self.progress = "cancelled" if search.cancelled() else "failed" if self.failure else "complete"
        self._search = None  # it holds every candidate
        self._ended.set()
        on_end(self)

    async def attend(self, patience_s: float) -> None:
        """Wait for the end.

        Args:
            patience_s: How long a search that is not in the background goes on once nobody attends.
        """
        self._num_attending += 1
        if self._giving_up is not None:
            self._giving_up.cancel()
        try:
            await self._ended.wait()
        finally:
            self._num_attending -= 1
            if self._search is not None and not (self._num_attending or self.is_background):
                self._giving_up = asyncio.get_running_loop().call_later(patience_s, self._search.cancel)

    async def stop(self) -> None:
        """Stop it, and the engines' work for it, and return when it has ended."""
        if self._beginning is not None and not self._beginning.done():
            await stop(self._beginning)
        if self._search is not None:
            if not self._search.cancelling():
                self._search.cancel()
            await self._ended.wait()

    def response(self) -> Response:
        """Return what `POST /solve` replies without `background`; it has ended."""
        return self.failure.response() if self.failure else Response(self.log.latest, media_type="application/json")

    def json(self) -> str:
        """Return it as `GET /solve/{id}` shows it: a `BackgroundOut`, whose result is written already."""
        error = self.failure.body.model_dump() if self.failure and self.progress == "failed" else None
        shown = {"id": self.id, "state": self.progress, "created": self.created, "expires": self.expires}
        result = self.log.latest.decode() if self.progress == "complete" else "null"
        return f'{json.dumps(shown | {"error": error})[:-1]}, "result": {result}}}'


class Background:
    """The kept searches of a service.

    Args:
        settings: Their bounds.
        has_keys: Whether clients have keys; without, the id of a search is all that is needed to see it.

    Attributes:
        num_bytes: Of all events and results.
    """

    def __init__(self, settings: Settings, *, has_keys: bool) -> None:
        self.num_bytes = 0
        self._settings = settings
        self._has_keys = has_keys
        self._searches: dict[str, KeptSearch] = {}  # the oldest first
        self._by_key: dict[tuple[str, str], KeptSearch] = {}

    def __len__(self) -> int:
        return len(self._searches)

    async def begin(self, search: Search, key: IdempotencyKey | None) -> KeptSearch:
        """Begin a search, or join the one that the client began with the same key; return once it is in the queue.

        Raises:
            RequestError: It cannot be served, or the key came with another body.
            BackgroundFullError: As many as allowed are kept.
            FullError: The queue is full.
            ContextOverflowError: The problem leaves no room for a response.
        """
        kept = self._known(search.client, key) or self._add(search, key)
        try:
            await kept.begin(search, self._note_end)
        except Exception:
            self.forget(kept)
            raise
        return kept

    def find(self, id: str, client: Client) -> KeptSearch:
        """Return a search by its id.

        Raises:
            RequestError: There is none, or another client asked for it.
        """
        kept = self._searches.get(id)
        if kept is None or (self._has_keys and kept.client != client.name):
            message = "id: there is no such search; it may have been forgotten, or belong to another key"
            raise RequestError(message, "id", 404, "search_not_found")
        return kept

    def forget(self, kept: KeptSearch) -> None:
        """Forget a search that has ended or was refused."""
        if self._searches.pop(kept.id, None) is None:
            return
        self._release(kept)
        self.num_bytes -= kept.log.num_bytes
        if kept.forgetting is not None:
            kept.forgetting.cancel()

    async def close(self) -> None:
        """Stop all searches, and return when the engines no longer work for them."""
        running = [kept for kept in self._searches.values() if not kept.has_ended]
        if running:
            logger.info("stopping background searches: %d", len(running))
        await asyncio.gather(*(kept.stop() for kept in running))
        for kept in [*self._searches.values()]:
            self.forget(kept)

    def _known(self, client: Client, key: IdempotencyKey | None) -> KeptSearch | None:
        kept = self._by_key.get((client.name, key.text)) if key else None
        if kept and kept.key != key:
            message = "idempotency-key: came with another body before; send a new key with a new request"
            raise RequestError(message, "idempotency-key", code="idempotency_key_reused")
        return kept

    def _add(self, search: Search, key: IdempotencyKey | None) -> KeptSearch:
        name, settings = search.client.name, self._settings
        self._make_room(name)
        most = min(settings.max_events_bytes, settings.max_unread_bytes // 2)  # or a reader of all is cut off
        log = EventLog(most, on_change=self._count)
        kept = KeptSearch(name, key, log, is_background=search.request.background)
        self._searches[kept.id] = kept
        if key is not None:
            self._by_key[name, key.text] = kept
        return kept

    def _make_room(self, client: str) -> None:
        """See that one more may be kept; what is kept for its key alone makes room.

        Raises:
            BackgroundFullError: There is none.
        """
        settings = self._settings
        own = [kept for kept in self._searches.values() if kept.client == client]
        if len(own) >= settings.max_background_per_client:
            self._spare(own, f"{len(own)} searches of yours are kept; DELETE those that you no longer need")
        if len(self) >= settings.max_background:
            self._spare([*self._searches.values()], f"{len(self)} searches are kept for all clients")

    def _spare(self, searches: list[KeptSearch], full: str) -> None:
        ended = [kept for kept in searches if kept.has_ended]
        unneeded = next((kept for kept in ended if not kept.is_background), None)
        if unneeded is None:
            left_s = min((kept.expires - time.time() for kept in ended if kept.expires), default=1.0)
            raise BackgroundFullError(max(round(left_s), 1), full)
        self.forget(unneeded)

    def _note_end(self, kept: KeptSearch) -> None:
        keep_s = self._settings.background_keep_s
        kept.expires = round(time.time() + keep_s, 3)
        kept.forgetting = asyncio.get_running_loop().call_later(keep_s, self.forget, kept)
        if kept.failure is not None:
            self._release(kept)

    def _release(self, kept: KeptSearch) -> None:
        """Let the key of a search name another."""
        if kept.key and self._by_key.get((kept.client, kept.key.text)) is kept:
            del self._by_key[kept.client, kept.key.text]

    def _count(self, change: int) -> None:
        self.num_bytes += change
        most = self._settings.max_background_bytes
        if change > 0 and self.num_bytes > most:
            self._relieve(most * RELIEVED)

    def _relieve(self, most: float) -> None:
        """Free memory: the client that holds the most loses its oldest events, then its oldest results."""
        num_freed = -1
        while self.num_bytes > most and num_freed:
            before = self.num_bytes
            held = Counter[str]()
            for kept in self._searches.values():
                held[kept.client] += kept.log.num_bytes
            (client, _), *_ = held.most_common(1)
            for kept in [kept for kept in self._searches.values() if kept.client == client]:
                if self.num_bytes > most:
                    kept.log.drop()
            for kept in [kept for kept in self._searches.values() if kept.client == client and kept.has_ended]:
                if self.num_bytes > most:
                    self.forget(kept)
            num_freed = before - self.num_bytes


@contextmanager
def _named(id: str) -> Iterator[None]:
    """Let what begins here have this request id, in its log lines and its reply."""
    token = correlation_id.set(id)
    try:
        yield
    finally:
        correlation_id.reset(token)
