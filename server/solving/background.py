"""Searches that outlive their connection, kept where they run: in the background, or for an `Idempotency-Key`.

A background search runs to its end whatever its client does, and is kept for a while after it, as are its events. A
search that was asked for with a key, but not for the background, is kept so that the same request finds it again; it
stops a while after nobody waits for it any more. All are bounded: in number, for each client and in all; in age after
their end; and in bytes, where the client that holds the most loses its oldest events first and then its oldest results.

Source: draft-ietf-httpapi-idempotency-key-header-07, sections 2.6 and 2.7: 400 for a key of wrong form, 422 for one
with another body. Beyond the source: a request that comes while its search runs joins it, where the draft refuses it
with 409, since a search changes nothing that a second reader could disturb; and what fails is forgotten.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from uuid import uuid4

from asgi_correlation_id import correlation_id
from fastapi.responses import Response

from search.observer import Silence
from server.errors import BackgroundFullError, RequestError
from server.http.disconnect import stop
from server.keys import Client
from server.settings import Settings
from server.solving.event_log import EventLog
from server.solving.events import conclude
from server.solving.kept import Amount, IdempotencyKey, Kept, Progress, Record, not_found
from server.solving.searching import Outcome, Search
from server.solving.story import Story

logger = logging.getLogger(__name__)

RELIEVED = 0.9
"""Share of the most bytes down to which memory is freed, so that it is not freed event by event."""


class KeptSearch:
    """A search that runs here and outlives its connection.

    Args:
        record: What is known of it at first.
        log: Of its events.
    """

    def __init__(self, record: Record, log: EventLog) -> None:
        self.record = record
        self.log = log
        self.forgetting: asyncio.TimerHandle | None = None
        self._num_attending = 0
        self._attended_until = 0.0  # elsewhere
        self._giving_up: asyncio.TimerHandle | None = None
        self._beginning: asyncio.Task[None] | None = None
        self._search: asyncio.Task[Outcome] | None = None
        self._ended = asyncio.Event()

    async def begin(self, search: Search, on_end: Callable[["KeptSearch"], None]) -> None:
        """Begin the search unless it has begun, and return once it has a place in the queue.

        Raises:
            RequestError: It cannot be served.
            FullError: The queue is full.
            ContextOverflowError: The problem leaves no room for a response.
        """
        if self._beginning is None:
            with _named(self.record.id):
                self._beginning = asyncio.create_task(self._begin(search, on_end))
        await asyncio.shield(self._beginning)  # others may wait for it, too

    async def _begin(self, search: Search, on_end: Callable[["KeptSearch"], None]) -> None:
        is_followed = search.request.stream or self.record.is_background
        story = Story(search, self.log) if is_followed else None
        self._search = await search.begin(story or Silence(), story, self._note_start)
        self._search.add_done_callback(lambda task: self._end(task, on_end))

    def _note_start(self) -> None:
        self.record = replace(self.record, progress="running")

    def _end(self, search: asyncio.Task[Outcome], on_end: Callable[["KeptSearch"], None]) -> None:
        failure = conclude(self.log, search)
        progress: Progress = "cancelled" if search.cancelled() else "failed" if failure else "complete"
        self.record = replace(self.record, progress=progress, failure=failure)
        self._search = None  # it holds every candidate
        self._ended.set()
        on_end(self)

    async def attend(self, patience_s: float) -> None:
        self._num_attending += 1
        if self._giving_up is not None:
            self._giving_up.cancel()
        try:
            await self._ended.wait()
        finally:
            self._num_attending -= 1
            self._be_patient(patience_s)

    def note_attended(self, patience_s: float) -> None:
        """Go on for that long at least although nobody attends here: somebody does elsewhere."""
        self._attended_until = asyncio.get_running_loop().time() + patience_s
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._be_patient(patience_s)

    def _be_patient(self, patience_s: float) -> None:
        loop = asyncio.get_running_loop()
        if self._search is not None and not (self._num_attending or self.record.is_background):
            at = max(loop.time() + patience_s, self._attended_until)
            self._giving_up = loop.call_at(at, self._search.cancel)

    async def stop(self) -> None:
        if self._beginning is not None and not self._beginning.done():
            await stop(self._beginning)
        if self._search is not None:
            if not self._search.cancelling():
                self._search.cancel()
            await self._ended.wait()

    def response(self) -> Response:
        return self.record.response(self.log.latest)

    def json(self) -> str:
        return self.record.json(self.log.latest if self.record.progress == "complete" else b"")


class Background:
    """The kept searches of a service that is one process: a store in its memory.

    Args:
        settings: Their bounds.
        has_keys: Whether clients have keys; without, the id of a search is all that is needed to see it.

    Attributes:
        num_bytes: Of all events and results.
        shared: Nothing is.
    """

    def __init__(self, settings: Settings, *, has_keys: bool) -> None:
        self.num_bytes = 0
        self.shared: Amount | None = None
        self._settings = settings
        self._has_keys = has_keys
        self._searches: dict[str, KeptSearch] = {}  # the oldest first
        self._by_key: dict[tuple[str, str], KeptSearch] = {}

    def __len__(self) -> int:
        return len(self._searches)

    async def open(self) -> None:
        pass  # memory is there

    async def begin(self, search: Search, key: IdempotencyKey | None) -> KeptSearch:
        if self._settings.workers > 1:
            name = "idempotency-key" if key else "background"
            message = f"{name}: needs a store that the processes of this service share (store_url); omit it"
            raise RequestError(message, name, code="no_store")
        return await self.start(self.known(search.client, key) or self.add(search, key), search)

    async def start(self, kept: KeptSearch, search: Search) -> KeptSearch:
        """Begin a search that is kept unless it has begun, and return once it is in the queue.

        Raises:
            RequestError: It cannot be served.
            FullError: The queue is full.
            ContextOverflowError: The problem leaves no room for a response.
        """
        try:
            await kept.begin(search, self._note_end)
        except Exception:
            self.discard(kept.record.id)
            raise
        return kept

    async def find(self, id: str, client: Client) -> KeptSearch:
        kept = self.get(id)
        if kept is None:
            raise not_found()
        kept.record.require_client(client, has_keys=self._has_keys)
        return kept

    def get(self, id: str) -> KeptSearch | None:
        """Return a search by its id, whoever asked for it."""
        return self._searches.get(id)

    async def forget(self, kept: Kept) -> None:
        self.discard(kept.record.id)

    def discard(self, id: str) -> None:
        """Forget a search that has ended or was refused, unless that was done."""
        kept = self._searches.pop(id, None)
        if kept is None:
            return
        self._release(kept)
        self.num_bytes -= kept.log.num_bytes
        if kept.forgetting is not None:
            kept.forgetting.cancel()

    async def close(self) -> None:
        running = [kept for kept in self._searches.values() if not kept.record.has_ended]
        if running:
            logger.info("stopping background searches: %d", len(running))
        await asyncio.gather(*(kept.stop() for kept in running))
        for kept in [*self._searches.values()]:
            self.discard(kept.record.id)

    def known(self, client: Client, key: IdempotencyKey | None) -> KeptSearch | None:
        """Return the search that the client began with the same key.

        Raises:
            RequestError: The key came with another body.
        """
        kept = self._by_key.get((client.name, key.text)) if key else None
        if kept:
            kept.record.require_body(key)
        return kept

    def add(self, search: Search, key: IdempotencyKey | None, id: str | None = None) -> KeptSearch:
        """Keep a search that has not begun.

        Raises:
            BackgroundFullError: As many as allowed are kept.
        """
        name, settings = search.client.name, self._settings
        self._make_room(name)
        most = min(settings.max_events_bytes, settings.max_unread_bytes // 2)  # or a reader of all is cut off
        record = record_of(search, key, id)
        kept = KeptSearch(record, EventLog(most, on_change=self._count))
        self._searches[record.id] = kept
        if key is not None:
            self._by_key[name, key.text] = kept
        return kept

    def _make_room(self, client: str) -> None:
        """See that one more may be kept; what is kept for its key alone makes room.

        Raises:
            BackgroundFullError: There is none.
        """
        settings = self._settings
        own = [kept for kept in self._searches.values() if kept.record.client == client]
        if len(own) >= settings.max_background_per_client:
            self._spare(own, f"{len(own)} searches of yours are kept; DELETE those that you no longer need")
        if len(self) >= settings.max_background:
            self._spare([*self._searches.values()], f"{len(self)} searches are kept for all clients")

    def _spare(self, searches: list[KeptSearch], full: str) -> None:
        ended = [kept for kept in searches if kept.record.has_ended]
        unneeded = next((kept for kept in ended if not kept.record.is_background), None)
        if unneeded is None:
            left_s = min((kept.record.expires - time.time() for kept in ended if kept.record.expires), default=1.0)
            raise BackgroundFullError(max(round(left_s), 1), full)
        self.discard(unneeded.record.id)

    def _note_end(self, kept: KeptSearch) -> None:
        keep_s = self._settings.background_keep_s
        kept.record = replace(kept.record, expires=round(time.time() + keep_s, 3))
        kept.forgetting = asyncio.get_running_loop().call_later(keep_s, self.discard, kept.record.id)
        if kept.record.failure is not None:
            self._release(kept)

    def _release(self, kept: KeptSearch) -> None:
        """Let the key of a search name another."""
        client, key = kept.record.client, kept.record.key
        if key and self._by_key.get((client, key.text)) is kept:
            del self._by_key[client, key.text]

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
                held[kept.record.client] += kept.log.num_bytes
            (client, _), *_ = held.most_common(1)
            own = [kept for kept in self._searches.values() if kept.record.client == client]
            for kept in own:
                if self.num_bytes > most:
                    kept.log.drop()
            for kept in own:
                if self.num_bytes > most and kept.record.has_ended:
                    self.discard(kept.record.id)
            num_freed = before - self.num_bytes


def record_of(search: Search, key: IdempotencyKey | None, id: str | None = None) -> Record:
    """Return what is known of a search that has not begun."""
    created = round(time.time(), 3)
    return Record(id or uuid4().hex, search.client.name, key, search.request.background, created)


@contextmanager
def _named(id: str) -> Iterator[None]:
    """Let what begins here have this request id, in its log lines and its reply."""
    token = correlation_id.set(id)
    try:
        yield
    finally:
        correlation_id.reset(token)
