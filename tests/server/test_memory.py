"""What a burst of requests leaves of the memory that it took."""

import asyncio
import ctypes

import psutil
import pytest

from server.memory import trimmed
from tests.server.services import service, world_of
from tests.server.sockets import connected
from tests.waiting import until

BODY = b" " * 1_800_000
HEAD = b"POST /solve HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 1900000\r\n\r\n"


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="needs glibc")
async def test_bodies_that_never_end_leave_no_memory_behind() -> None:
    process = psutil.Process()
    async with trimmed(0.1), service(world_of("1"), max_unfinished_body_bytes=200_000_000) as client:
        await client.get("/healthz")
        before = process.memory_info().rss
        readers = await asyncio.gather(*(connected(client, HEAD + BODY) for _ in range(60)))
        await until(lambda: process.memory_info().rss - before > 100e6)
        for reader in readers:
            reader.close()
        await until(lambda: process.memory_info().rss - before < 40e6)
