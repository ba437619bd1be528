"""The deadline of a request to the policy itself."""

import asyncio
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from server.errors import RequestError

T = TypeVar("T")


class Deadline:
    """A moment, counted in seconds from now."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends = time.perf_counter() + seconds

    @property
    def left_s(self) -> float:
        """Seconds that are left; negative when it has passed."""
        return self._ends - time.perf_counter()

    async def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of `work`, cancelling it at the deadline.

        Raises:
            RequestError: The deadline passed.
        """
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait([task], timeout=max(self.left_s, 0))
            if not task.done():
                raise self.error
            return task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def end(self, events: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
        """Yield the events of a stream until it ends.

        Raises:
            RequestError: The deadline passed.
        """
        async with aclosing(events):
            while True:
                try:
                    async with asyncio.timeout(max(self.left_s, 0)):
                        event = await anext(events)
                except StopAsyncIteration:
                    return
                except TimeoutError:
                    raise self.error from None
                yield event

    @property
    def error(self) -> RequestError:
        took = f"deadline_s: the response took longer than {self._seconds:g} s"
        message = f"{took}; allow more time or ask for fewer tokens"
        return RequestError(message, "deadline_s", code="deadline_exceeded")
