"""Searches that outlive their connection, kept in Redis, so that any of several gateways answers for any of them.

A search runs in the memory of one gateway, its owner, as without a store. Several times a second the owner writes what
is new of its searches, and reads what others want of it: that one be stopped, or that somebody still waits for it.
Other gateways look as often. Followers at the owner read its memory; others are a fraction of a second behind.

An owner that dies stops writing, and its lease runs out. The next who looks at one of its searches ends it: it has
failed, its error says that the request can be sent again, and its key is free. While Redis does not answer, searches
run on and are written when it is back; what needs it is refused, and the rest goes on. All that is kept is bounded as
in memory, but for all gateways together; a client that holds too many bytes loses its oldest searches that have ended.
"""

import asyncio
import logging
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar
from uuid import uuid4

from fastapi.responses import Response

from server.errors import RequestError, StoreUnavailableError
from server.http.disconnect import stop
from server.http.errors import LOST, reply_to
from server.keys import Client
from server.settings import Settings
from server.solving.background import Background, KeptSearch, record_of
from server.solving.event_log import encoded, gone, require_kept
from server.solving.kept import Amount, IdempotencyKey, Kept, Record, not_found
from server.solving.records import Change, Records, Seen
from server.solving.searching import Search

logger = logging.getLogger(__name__)

T = TypeVar("T")

ID = re.compile(r"[0-9a-f]{32}")
ATTEND, DROP, STOP = "attend", "drop", "stop"
"""What gateways want of each other for a search: somebody waits for it, its events take too much room, it is to end."""
ATTEND_EVERY_S = 1.0
AWAY_S = 1.0
"""Between two tries to reach a store that does not answer."""
RELIEVE_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast gateways learn of each other.

    Attributes:
        tick_s: How often an owner writes and others look.
        lease_s: How long an owner is thought alive after it wrote last.
        within_s: Longest time of a call to the store.
        patience_s: How long those who follow a search wait for a store that does not answer.
    """

    tick_s: float = 0.2
    lease_s: float = 10.0
    within_s: float = 2.0
    patience_s: float = 30.0


PACE = Pace()


class SharedBackground:
    """The kept searches of several gateways: a store in Redis.

    Attributes:
        shared: What all gateways keep, when this one looked last.

    Args:
        local: Those that run here.
        url: Of Redis.
        settings: Their bounds.
        has_keys: Whether clients have keys.
        pace: How fast others learn of them.
    """

    def __init__(self, local: Background, url: str, settings: Settings, *, has_keys: bool, pace: Pace = PACE) -> None:
        self.pace = pace
        self.shared: Amount | None = Amount()
        self.records = Records(url, max(settings.background_keep_s, 2 * pace.lease_s), pace.lease_s, pace.within_s)
        self._local = local
        self._settings = settings
        self._has_keys = has_keys
        self._owner = uuid4().hex
        self._written: dict[str, _Written] = {}
        self._writing = asyncio.Lock()  # what is forgotten is not written again
        self._news = asyncio.Event()
        self._mirroring: asyncio.Task[None] | None = None
        self._relieving: asyncio.Task[None] | None = None
        self._is_open = True
        self._stopping: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._local)

    @property
    def num_bytes(self) -> int:
        return self._local.num_bytes

    async def open(self) -> None:
        self._mirroring = asyncio.create_task(self._mirror())
        self._mirroring.add_done_callback(_report)
        self._relieving = asyncio.create_task(self._keep_relieving())
        self._relieving.add_done_callback(_report)

    async def begin(self, search: Search, key: IdempotencyKey | None) -> Kept:
        if kept := self._local.known(search.client, key):
            return await self._local.start(kept, search)
        record = record_of(search, key)
        if elsewhere := await self._reserve(record):
            elsewhere.record.require_body(key)
            return elsewhere
        try:
            kept = self._local.add(search, key, record.id)
            self._written[record.id] = _Written(kept)
            self._news.set()
            return await self._local.start(kept, search)
        except Exception:
            with suppress(StoreUnavailableError):  # it expires
                await self._forget(record.id)
            raise

    async def _reserve(self, record: Record) -> Kept | None:
        """Keep a search that has not begun, or return the one that its client began with the same key."""
        settings = self._settings
        limits = settings.max_background, settings.max_background_per_client
        if any(each.is_over for each in self._written.values()):
            await self._write()  # which frees the keys of what failed, and says what may make room
        while (known := await self.records.reserve(record, self._owner, *limits)) != record.id:
            with suppress(RequestError):  # it was forgotten just now
                kept = await self._find(known)
                if kept.record.failure is None:
                    return kept
            await asyncio.sleep(self.pace.tick_s)  # until its key is free
        return None

    async def find(self, id: str, client: Client) -> Kept:
        kept = await self._find(id)
        kept.record.require_client(client, has_keys=self._has_keys)
        return kept

    async def _find(self, id: str) -> Kept:
        if kept := self._local.get(id):
            return kept
        seen = await self.look(id) if ID.fullmatch(id) else None
        if seen is None:
            raise not_found()
        return DistantSearch(self, seen)

    async def look(self, id: str) -> Seen | None:
        """Return a search of any gateway as it was written last; what its owner left behind is ended.

        Raises:
            StoreUnavailableError: Nobody can say.
        """
        seen = await self.records.load(id)
        if seen is None or not seen.is_left:
            return seen
        expires = round(time.time() + self._settings.background_keep_s, 3)
        record = replace(seen.record, progress="failed", failure=LOST, expires=expires)
        logger.warning("the gateway that ran search %s has gone", id)
        told = LOST.whole.model_copy(update={"request_id": id})
        await self.records.bury(seen, record, encoded("error", told.model_dump_json(), seen.last + 1))
        return await self.records.load(id)

    async def patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask the store, again and again while it does not answer.

        Raises:
            StoreUnavailableError: It does not for long.
        """
        since = time.monotonic()
        while True:
            try:
                return await ask()
            except StoreUnavailableError:
                if time.monotonic() - since > self.pace.patience_s:
                    raise
                await asyncio.sleep(self.pace.tick_s)

    async def forget(self, kept: Kept) -> None:
        await self._forget(kept.record.id)

    async def _forget(self, id: str) -> None:
        async with self._writing:
            self._local.discard(id)
            self._written.pop(id, None)
            await self.records.forget(id)

    async def close(self) -> None:
        self._is_open = False
        for task in (self._mirroring, self._relieving):
            if task is not None:
                await stop(task)
        try:
            await self._write()
            await self.records.leave(self._owner)  # what runs on is told as lost
        except StoreUnavailableError as error:
            logger.warning("what was new of background searches is lost: %s", error)
        await self._local.close()
        await self.records.close()

    async def _mirror(self) -> None:
        """Write what is new, as long as anything is kept here."""
        while self._is_open:
            if not self._written:
                self._news.clear()
                await self._news.wait()
            try:
                await self._write()
            except StoreUnavailableError as error:
                logger.warning("background searches run on, but are not written: %s", error)
                for written in self._written.values():
                    written.forget()
                await asyncio.sleep(AWAY_S)
            await asyncio.sleep(self.pace.tick_s)

    async def _write(self) -> None:
        """Write what is new, and do what others want.

        Raises:
            StoreUnavailableError: Nobody knows what was written.
        """
        async with self._writing:
            changes = [(each, each.change(self.pace.lease_s / 3)) for each in self._written.values()]
            new = [(each, change) for each, change in changes if change is not None]
            heard = await self.records.write(self._owner, [change for _, change in new])
            for each, change in new:
                each.note(change)
                if change.record.has_ended:
                    self._local.discard(change.record.id)
                    del self._written[change.record.id]
        for word in heard:
            self._hear(*word.split())

    def _hear(self, wish: str, id: str) -> None:
        kept = self._local.get(id)
        if kept is None:
            return
        if wish == ATTEND:
            kept.note_attended(max(self._settings.resume_within_s, 3 * ATTEND_EVERY_S))
        elif wish == DROP:
            kept.log.drop()
        elif wish == STOP:
            stopping = asyncio.create_task(kept.stop())
            self._stopping.add(stopping)
            stopping.add_done_callback(self._stopping.discard)

    async def _keep_relieving(self) -> None:
        while True:
            with suppress(StoreUnavailableError):  # who writes says so
                await self._relieve()
            await asyncio.sleep(RELIEVE_EVERY_S)

    async def _relieve(self) -> None:
        """Free memory of the store: the client that holds the most loses its oldest searches that have ended.

        One whose searches all run loses their oldest events.

        Raises:
            StoreUnavailableError: Redis does not answer.
        """
        held = await self.records.held()
        most, num_bytes = self._settings.max_background_bytes, sum(each.num_bytes for each in held)
        while held and num_bytes > most:
            by_client = Counter[str]()
            for each in held:
                by_client[each.client] += each.num_bytes
            (client, _), *_ = by_client.most_common(1)
            own = [each for each in held if each.client == client]
            oldest = next((each for each in own if each.has_ended), own[0])
            if oldest.has_ended:
                await self._forget(oldest.id)
            else:
                await self.records.tell(oldest.owner, f"{DROP} {oldest.id}")
            held.remove(oldest)
            num_bytes -= oldest.num_bytes
        self.shared = Amount(len(held), num_bytes)


def _report(mirroring: asyncio.Task[None]) -> None:
    """Say that searches are no longer written, which nobody awaits."""
    if not mirroring.cancelled() and (error := mirroring.exception()):
        logger.error("background searches are no longer written", exc_info=error)


class _Written:
    """What was written of a search that runs here."""

    def __init__(self, kept: KeptSearch) -> None:
        self._kept = kept
        self.forget()

    @property
    def is_over(self) -> bool:
        """Whether it has ended, and others do not know it."""
        return self._kept.record.has_ended

    def forget(self) -> None:
        """Write all of it again: nobody knows what the store still has."""
        self._record: Record | None = None
        self._first = self._last = 0
        self._at = 0.0

    def change(self, refresh_s: float) -> Change | None:
        """Return what is new; None where nothing is, and it was written lately."""
        record, log = self._kept.record, self._kept.log
        is_known = (self._record, self._first, self._last) == (record, log.first, log.last)
        if is_known and time.monotonic() - self._at < refresh_s:
            return None
        events = log.behind(self._last)
        return Change(record, log.first, log.last, events, log.num_bytes, is_whole=self._record is None)

    def note(self, change: Change) -> None:
        """Remember that a change was written."""
        self._record, self._first, self._last = change.record, change.first, change.last
        self._at = time.monotonic()


class DistantSearch:
    """A search that runs at another gateway, or has ended, as it was seen last.

    Args:
        store: Of all gateways.
        seen: The search.

    Attributes:
        log: Its events.
    """

    def __init__(self, store: SharedBackground, seen: Seen) -> None:
        self.log = DistantLog(self)
        self.seen = seen
        self.store = store
        self._seen_at = time.monotonic()

    @property
    def record(self) -> Record:
        return self.seen.record

    async def attend(self, patience_s: float) -> None:
        told = -ATTEND_EVERY_S
        while not self.record.has_ended:
            if time.monotonic() - told >= ATTEND_EVERY_S:
                told = time.monotonic()
                with suppress(StoreUnavailableError):
                    await self.store.records.tell(self.seen.owner, f"{ATTEND} {self.record.id}")
            await asyncio.sleep(self.store.pace.tick_s)
            await self.store.patiently(self.look)

    async def stop(self) -> None:
        await self.store.records.tell(self.seen.owner, f"{STOP} {self.record.id}")
        try:
            async with asyncio.timeout(2 * self.store.pace.lease_s):
                while not self.record.has_ended:
                    await asyncio.sleep(self.store.pace.tick_s)
                    await self.look()
        except TimeoutError:
            raise StoreUnavailableError("the gateway that runs the search does not stop it") from None

    async def look(self) -> None:
        """See how it stands now; one that is not there is lost, unless its owner writes it again to an empty store.

        Raises:
            StoreUnavailableError: Nobody can say.
        """
        seen, now = await self.store.look(self.record.id), time.monotonic()
        if seen is not None:
            self.seen, self._seen_at = seen, now
        elif now - self._seen_at > self.store.pace.lease_s:
            lost = replace(self.record, progress="failed", failure=LOST, expires=self.record.created)
            self.seen = replace(self.seen, record=lost)

    def response(self) -> Response:
        return self.record.response(self.seen.latest)

    def json(self) -> str:
        return self.record.json(self.seen.latest)


class DistantLog:
    """The events of a search that runs at another gateway, or has ended.

    Args:
        search: Of which they are.
    """

    def __init__(self, search: DistantSearch) -> None:
        self._search = search

    def require(self, after: int, param: str) -> None:
        seen = self._search.seen
        is_behind = not seen.record.has_ended or seen.record.failure == LOST  # its owner had shown more than it wrote
        require_kept(after, seen.first, max(seen.last, after) if is_behind else seen.last, param)

    async def follow(self, after: int = 0) -> AsyncIterator[bytes]:
        search, read = self._search, self._search.store.records.events
        try:
            while True:
                seen = search.seen
                if after + 1 < seen.first:
                    yield encoded("error", reply_to(gone(seen.first, "starting_after")).json())
                    return
                pieces = await search.store.patiently(partial(read, seen.record.id, after)) if after < seen.last else []
                for last, piece in pieces:
                    yield piece
                    after = last
                if seen.record.has_ended and (after >= seen.last or not pieces):
                    if seen.record.failure == LOST and not pieces:
                        yield encoded("error", LOST.json())
                    return
                if not pieces:
                    await asyncio.sleep(search.store.pace.tick_s)
                await search.store.patiently(search.look)
        except StoreUnavailableError as error:
            yield encoded("error", reply_to(error).json())
