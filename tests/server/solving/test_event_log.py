"""The log of a search's events: numbered, bounded, and read by many from any number on."""

import asyncio
import json

import pytest

from server.errors import RequestError
from server.solving.event_log import EventLog

SIZE = len(b'id: 1\r\nevent: step\r\ndata: {"k":1}\r\n\r\n')


def filled(num_events: int, max_bytes: int = 1 << 20, *, is_read_once: bool = False) -> EventLog:
    log = EventLog(max_bytes, is_read_once=is_read_once)
    for number in range(1, num_events + 1):
        log.append("step", f'{{"k":{number}}}')
    return log


async def read(log: EventLog, after: int = 0) -> list[int]:
    """The numbers that a follower reads to the end."""
    text = b"".join([piece async for piece in log.follow(after)]).decode()
    return [int(line.removeprefix("id: ")) for line in text.splitlines() if line.startswith("id: ")]


@pytest.mark.parametrize("after", [0, 1, 4, 5])
async def test_a_follower_reads_what_is_behind_a_number(after: int) -> None:
    log = filled(5)
    log.conclude()
    assert await read(log, after) == [*range(after + 1, 6)]


async def test_many_followers_read_the_same_each_at_its_own_pace() -> None:
    log = filled(2)
    followers = [asyncio.create_task(read(log, after)) for after in (0, 1, 2)]
    await asyncio.sleep(0)
    idle = log.follow()  # and one that never reads
    log.append("step", '{"k":3}')
    await asyncio.sleep(0)
    log.append("result", "{}")
    log.conclude()
    assert [await follower for follower in followers] == [[1, 2, 3, 4], [2, 3, 4], [3, 4]]
    assert await anext(idle)


async def test_what_waits_goes_out_as_one_write() -> None:
    log = filled(3)
    assert (await anext(log.follow())).count(b"event: step") == 3


@pytest.mark.parametrize("num_events", [3, 4, 100])
def test_the_oldest_events_make_room_and_the_latest_stays(num_events: int) -> None:
    log = filled(num_events, max_bytes=3 * SIZE)
    assert 2 * SIZE < log.num_bytes <= 4 * SIZE + 3
    assert log.last == num_events
    assert log.first >= num_events - 3
    log.append("result", '{"text":"' + "x" * 10 * SIZE + '"}')
    assert log.last - log.first >= 2  # what a follower may not have read yet
    assert json.loads(log.latest)["text"].startswith("xxx")


def test_what_it_holds_is_reported() -> None:
    held = [0]

    def add(change: int) -> None:
        held[0] += change

    log = EventLog(3 * SIZE, on_change=add)
    for _ in range(10):
        log.append("step", '{"k":1}')
        assert held[0] == log.num_bytes <= 4 * SIZE + 1
    log.drop()
    assert 0 < held[0] == log.num_bytes < 2 * SIZE


@pytest.mark.parametrize(("after", "status", "words"), [(11, 422, "beyond the latest"), (6, 410, "start after 7")])
def test_a_number_that_cannot_be_followed_is_refused_by_name(after: int, status: int, words: str) -> None:
    log = filled(10, max_bytes=2 * SIZE + 2)
    with pytest.raises(RequestError, match=words) as refused:
        log.require(after, "last-event-id")
    assert (refused.value.status, refused.value.param) == (status, "last-event-id")
    log.require(10, "last-event-id")


async def test_a_result_of_any_size_reaches_who_has_read_all_before_it() -> None:
    log = filled(3, max_bytes=4 * SIZE)
    follower = log.follow(2)
    log.append("result", f'"{"x" * 100 * SIZE}"')
    log.conclude()
    assert await read(log) == [1, 2, 3, 4]
    assert b"xxx" in await anext(follower)


async def test_a_follower_that_falls_behind_is_told_and_sees_no_gap() -> None:
    log = filled(2, max_bytes=2 * SIZE)
    follower = log.follow()
    await anext(follower)
    for number in range(3, 10):
        log.append("step", f'{{"k":{number}}}')
    told = await anext(follower)
    assert b"event: error" in told
    assert b"events_gone" in told
    assert [piece async for piece in follower] == []


async def test_what_is_read_once_is_not_kept() -> None:
    log = filled(100, is_read_once=True)
    follower = log.follow()
    assert (await anext(follower)).count(b"event: step") == 100
    assert log.num_bytes < 2 * SIZE
