"""Memory that a burst of requests leaves behind, given back to the system.

glibc keeps every freed block that lies below one in use: 400 unfinished bodies would leave 150 MiB for good. Trimming
costs 0.1 ms where there is nothing to give back, and 50 ms for 175 MiB.

And how rarely Python looks for cycles, which stops the event loop.
"""

import asyncio
import ctypes
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

TRIM_EVERY_S = 10.0
YOUNG_OBJECTS = 20_000
"""After so many new objects Python looks for cycles among them. With its 700 that took a fifth of the event loop's time
under load, at up to 0.3 s at once, and hardly found any: requests are freed as they end."""


def collect_rarely() -> None:
    """Have Python look for cycles rarely, and not among what is there now."""
    gc.collect()
    gc.freeze()  # looking through all that the imports left holds the event loop up for half a second
    gc.set_threshold(YOUNG_OBJECTS)


@asynccontextmanager
async def trimmed(every_s: float = TRIM_EVERY_S) -> AsyncIterator[None]:
    """Give freed memory back again and again while the context lasts; a C library that cannot do that is left alone."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    trimming = asyncio.create_task(_keep_trimming(trim, every_s)) if trim else None
    try:
        yield
    finally:
        if trimming:
            trimming.cancel()


async def _keep_trimming(trim: Callable[[int], int], every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        await asyncio.to_thread(trim, 0)  # up to 50 ms, in which the event loop goes on
