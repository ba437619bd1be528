"""Waiting for what has no event, and not for ever."""

import asyncio
from collections.abc import Callable


async def until(is_so: Callable[[], object], within_s: float = 10.0) -> None:
    """Let the event loop run until `is_so` returns something true; a TimeoutError where that takes too long."""
    async with asyncio.timeout(within_s):
        while not is_so():  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.001)
