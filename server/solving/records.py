"""What gateways write about searches for each other, in Redis. Knows nothing of how a search runs.

`winnow:search:ID` is a hash with what is known of a search, and `winnow:events:ID` a stream of its events, several to
an entry, whose id is the number of the last. `winnow:kept`, and `winnow:kept:CLIENT`, say which searches there are and
when they are forgotten; `winnow:spare` which of them may make room for others; `winnow:bytes` how much each holds.
`winnow:key:...` leads from an `Idempotency-Key` to its search, `winnow:gateway:OWNER` is there as long as a gateway
lives, and `winnow:inbox:OWNER` has what others want of it. Everything expires, also what those who die leave behind.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from server.errors import BackgroundFullError, StoreUnavailableError
from server.solving.kept import Record

T = TypeVar("T")
Argument = bytes | bytearray | memoryview | str | int | float

KEPT, SPARE, BYTES = "winnow:kept", "winnow:spare", "winnow:bytes"
MAX_CONNECTIONS = 32
MAX_ENTRIES = 64
"""Of a stream, read at once."""
MAX_WORDS = 1000
INBOX_S = 60

RECORD = TypeAdapter(Record)

FORGET = """
local function forget(id)
  local search = 'winnow:search:' .. id
  local client, name = unpack(redis.call('HMGET', search, 'client', 'name'))
  redis.call('DEL', search, 'winnow:events:' .. id)
  redis.call('HDEL', 'winnow:bytes', id)
  for _, set in ipairs({'winnow:kept', 'winnow:spare'}) do
    redis.call('ZREM', set, id)
    if client then redis.call('ZREM', set .. ':' .. client, id) end
  end
  if name and redis.call('GET', name) == id then redis.call('DEL', name) end
end
"""

FORGET_ONE = f"{FORGET} forget(ARGV[1])"

RESERVE = f"""
{FORGET}
local id, owner, client, name, record, now, hold_ms, lease_ms, most, most_own = unpack(ARGV)
local known = name ~= '' and redis.call('GET', name)
if known and redis.call('EXISTS', 'winnow:search:' .. known) == 1 then return {{'known', known}} end
for _, place in ipairs({{{{':' .. client, most_own, 'own'}}, {{'', most, 'all'}}}}) do
  local kept, spare = 'winnow:kept' .. place[1], 'winnow:spare' .. place[1]
  redis.call('ZREMRANGEBYSCORE', kept, '-inf', now)
  while redis.call('ZCARD', kept) >= tonumber(place[2]) do
    local unneeded = redis.call('ZPOPMIN', spare)[1]
    if not unneeded then return {{'full', place[3], redis.call('ZRANGE', kept, 0, 0, 'WITHSCORES')[2]}} end
    if redis.call('ZSCORE', kept, unneeded) then forget(unneeded) end
  end
end
local search = 'winnow:search:' .. id
redis.call('HSET', search, 'client', client, 'name', name, 'owner', owner, 'record', record, 'first', 1, 'last', 0)
redis.call('PEXPIRE', search, hold_ms)
if name ~= '' then redis.call('SET', name, id, 'PX', hold_ms) end
for _, kept in ipairs({{'winnow:kept', 'winnow:kept:' .. client}}) do
  redis.call('ZADD', kept, now + hold_ms / 1000, id)
end
redis.call('SET', 'winnow:gateway:' .. owner, '', 'PX', lease_ms)
return {{'new', id}}
"""
"""Keeps a search unless its key has one already, or as many as allowed are kept; replies make room for new ones."""

RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"
"""Lets a key name another search."""

BURY = """
local id, before, last, after, event, hold_ms = unpack(ARGV)
local search, events = 'winnow:search:' .. id, 'winnow:events:' .. id
if redis.call('HGET', search, 'record') ~= before or redis.call('HGET', search, 'last') ~= last then return end
redis.call('HSET', search, 'record', after, 'last', last + 1)
redis.call('XADD', events, (last + 1) .. '-0', 'events', event)
redis.call('PEXPIRE', search, hold_ms)
redis.call('PEXPIRE', events, hold_ms)
local name = redis.call('HGET', search, 'name')
if redis.call('GET', name) == id then redis.call('DEL', name) end
"""
"""Ends a search whose owner died, unless it is no longer as it was seen."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is new of a search.

    Attributes:
        record: As it is now.
        first: Number of the oldest event that is kept.
        last: Number of the latest event.
        events: That are new, encoded.
        num_bytes: Of all that are kept.
        is_whole: Whether the events are all there are, whatever was written before.
    """

    record: Record
    first: int
    last: int
    events: bytes
    num_bytes: int
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """A search as it was written last.

    Attributes:
        record: Of it.
        owner: The gateway that runs it.
        first: Number of the oldest event that is kept.
        last: Number of the latest event.
        latest: The data of that event; empty before the end.
        is_left: Whether it has not ended and its owner has died.
    """

    record: Record
    owner: str
    first: int
    last: int
    latest: bytes
    is_left: bool


@dataclass(frozen=True, slots=True)
class Held:
    """The bytes of a search."""

    id: str
    client: str
    num_bytes: int
    created: float
    has_ended: bool
    owner: str


class Records:
    """Searches in Redis.

    Args:
        url: Of Redis.
        hold_s: How long a search is remembered after it was written last, until it has ended.
        lease_s: How long a gateway is thought alive after it wrote last.
        within_s: Longest time of a call.
    """

    def __init__(self, url: str, hold_s: float, lease_s: float, within_s: float) -> None:
        self._hold_s, self._lease_s, self._within_s = hold_s, lease_s, within_s
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            timeout=within_s,
            socket_timeout=within_s,
            socket_connect_timeout=within_s,
            retry=Retry(NoBackoff(), 1),  # a connection that broke while it was idle
        )
        self._redis: Redis = Redis.from_pool(pool)
        self._reserve = self._redis.register_script(RESERVE)
        self._forget = self._redis.register_script(FORGET_ONE)
        self._bury = self._redis.register_script(BURY)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def reserve(self, record: Record, owner: str, most: int, most_own: int) -> str:
        """Keep a search that has not begun, or return the id of the one that its client began with the same key.

        Raises:
            BackgroundFullError: As many as allowed are kept, in all or of this client.
            StoreUnavailableError: Redis does not answer.
        """
        now, name = time.time(), _name(record)
        limits: list[Argument] = [now, _ms(self._hold_s), _ms(self._lease_s), most, most_own]
        asked: list[Argument] = [record.id, owner, record.client, name, RECORD.dump_json(record), *limits]
        answer, *rest = await self._call(self._reserve(args=asked))
        if answer == b"full":
            whose, expires = rest
            full = f"{most} searches are kept for all clients"
            if whose == b"own":
                full = f"{most_own} searches of yours are kept; DELETE those that you no longer need"
            raise BackgroundFullError(max(round(float(expires) - now), 1), full)
        return str(rest[0].decode())

    async def write(self, owner: str, changes: Sequence[Change]) -> list[str]:
        """Write what is new of an owner's searches, and that it lives; return what others want of it.

        Raises:
            StoreUnavailableError: Redis does not answer; nobody knows what was written.
        """
        pipe = self._redis.pipeline(transaction=True)
        pipe.lpop(f"winnow:inbox:{owner}", MAX_WORDS)
        pipe.set(f"winnow:gateway:{owner}", b"", px=_ms(self._lease_s))
        for change in changes:
            self._put(pipe, change, owner)
        heard, *_ = await self._call(pipe.execute())
        return [word.decode() for word in heard or ()]

    def _put(self, pipe: Pipeline, change: Change, owner: str) -> None:
        record, name = change.record, _name(change.record)
        search, events, now = _search(record.id), _events(record.id), time.time()
        hold_s = max(record.expires - now, 0.001) if record.expires else self._hold_s
        if change.is_whole:
            pipe.delete(events)
        fields: dict[Argument, Argument] = {"client": record.client, "name": name, "owner": owner}
        fields |= {"first": change.first, "last": change.last, "record": RECORD.dump_json(record)}
        pipe.hset(search, mapping=fields)
        if change.events:
            pipe.xadd(events, {"events": change.events}, id=f"{change.last}-0")
        pipe.xtrim(events, minid=f"{change.first}-0", approximate=False)
        for key in (search, events):
            pipe.pexpire(key, _ms(hold_s))
        for kept in (KEPT, f"{KEPT}:{record.client}"):
            pipe.zadd(kept, {record.id: now + hold_s})
            pipe.pexpire(kept, _ms(2 * self._hold_s))
        held = [record.client, change.num_bytes, record.created, record.has_ended, owner]
        pipe.hset(BYTES, record.id, json.dumps(held))
        if name and record.failure is None:
            pipe.set(name, record.id, nx=True)
            pipe.pexpire(name, _ms(hold_s))
        elif name:
            pipe.eval(RELEASE, 1, name, record.id)
        if record.has_ended and not record.is_background:
            for spare in (SPARE, f"{SPARE}:{record.client}"):
                pipe.zadd(spare, {record.id: record.created})

    async def load(self, id: str) -> Seen | None:
        """Return a search as it was written last; None where there is none.

        Raises:
            StoreUnavailableError: Redis does not answer.
        """
        fields = ("record", "owner", "first", "last")
        record_json, owner, first, last = await self._call(_awaited(self._redis.hmget(_search(id), fields)))
        if record_json is None:
            return None
        record, latest, is_left = RECORD.validate_json(record_json), b"", False
        if record.has_ended:
            entries = await self._call(_awaited(self._redis.xrevrange(_events(id), count=1)))
            latest = entries[0][1][b"events"].rpartition(b"\r\ndata: ")[2].rstrip() if entries else b""
        else:
            is_left = not await self._call(_awaited(self._redis.exists(f"winnow:gateway:{owner.decode()}")))
        return Seen(record, owner.decode(), int(first), int(last), latest, is_left)

    async def events(self, id: str, after: int) -> list[tuple[int, bytes]]:
        """Return events behind number `after`: the number of the last of each piece, and the piece; not all at once.

        Raises:
            StoreUnavailableError: Redis does not answer.
        """
        found = await self._call(
            _awaited(self._redis.xrange(_events(id), min=f"({after}-0", max="+", count=MAX_ENTRIES))
        )
        pieces = []
        for entry, fields in found:
            last, piece = int(entry.partition(b"-")[0]), fields[b"events"]
            begins = b"id: %d\r\n" % (after + 1)
            if not piece.startswith(begins) and b"\r\n\r\n" + begins in piece:
                piece = begins + piece.partition(b"\r\n\r\n" + begins)[2]
            pieces.append((last, piece))
            after = last
        return pieces

    async def bury(self, seen: Seen, record: Record, event: bytes) -> None:
        """End a search whose owner died, with its last event, unless it is no longer as it was seen.

        Raises:
            StoreUnavailableError: Redis does not answer.
        """
        before, after = RECORD.dump_json(seen.record), RECORD.dump_json(record)
        hold_ms = _ms(max((record.expires or 0.0) - time.time(), 0.001))
        await self._call(self._bury(args=[record.id, before, seen.last, after, event, hold_ms]))

    async def forget(self, id: str) -> None:
        """Forget a search.

        Raises:
            StoreUnavailableError: Redis does not answer.
        """
        await self._call(self._forget(args=[id]))

    async def tell(self, owner: str, word: str) -> None:
        """Tell a gateway what is wanted of it.

        Raises:
            StoreUnavailableError: Redis does not answer.
        """
        pipe = self._redis.pipeline(transaction=True)
        pipe.rpush(f"winnow:inbox:{owner}", word)
        pipe.ltrim(f"winnow:inbox:{owner}", -MAX_WORDS, -1)
        pipe.expire(f"winnow:inbox:{owner}", INBOX_S)
        await self._call(pipe.execute())

    async def leave(self, owner: str) -> None:
        """Say that a gateway lives no longer.

        Raises:
            StoreUnavailableError: Redis does not answer.
        """
        await self._call(_awaited(self._redis.delete(f"winnow:gateway:{owner}", f"winnow:inbox:{owner}")))

    async def held(self) -> list[Held]:
        """Return the bytes of all searches, the oldest first; those that are forgotten by now are left out for good.

        Raises:
            StoreUnavailableError: Redis does not answer.
        """
        pipe = self._redis.pipeline(transaction=True)
        pipe.hgetall(BYTES)
        pipe.zrangebyscore(KEPT, time.time(), "+inf")
        sizes, kept = await self._call(pipe.execute())
        if stale := set(sizes) - set(kept):
            await self._call(_awaited(self._redis.hdel(BYTES, *stale)))
        held = [
            Held(id.decode(), client, num_bytes, created, has_ended, owner)
            for id, size in sizes.items()
            if id not in stale
            for client, num_bytes, created, has_ended, owner in [json.loads(size)]
        ]
        return sorted(held, key=lambda each: each.created)

    async def _call(self, work: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._within_s):
                return await work
        except (RedisError, OSError, TimeoutError) as error:
            raise StoreUnavailableError(f"Redis does not answer: {error or type(error).__name__}") from error


def _awaited(reply: object) -> Awaitable[Any]:
    return cast(Awaitable[Any], reply)  # redis-py types its commands for both its clients


def _search(id: str) -> str:
    return f"winnow:search:{id}"


def _events(id: str) -> str:
    return f"winnow:events:{id}"


def _name(record: Record) -> str:
    """Return where the key of a search leads to it; "" for one without."""
    if record.key is None:
        return ""
    return f"winnow:key:{record.client}:{blake2b(record.key.text.encode(), digest_size=16).hexdigest()}"


def _ms(seconds: float) -> int:
    return max(round(seconds * 1000), 1)
