"""Memory that a burst leaves is given back again and again; `tests.bench.sockets` measures how much that is."""

import asyncio
import ctypes

import pytest

from server import memory
from tests.waiting import until


async def test_freed_memory_is_given_back_again_and_again() -> None:
    calls: list[int] = []

    def trim(padding: int) -> int:
        calls.append(padding)
        return 1

    trimming = asyncio.create_task(memory._keep_trimming(trim, 0.01))
    await until(lambda: len(calls) >= 3)
    trimming.cancel()
    assert set(calls) == {0}


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="needs glibc")
async def test_nothing_is_left_running_when_the_service_has_ended() -> None:
    before = asyncio.all_tasks()
    async with memory.trimmed(0.01):
        assert len(asyncio.all_tasks() - before) == 1
        await asyncio.sleep(0.05)
    await until(lambda: asyncio.all_tasks() <= before)
