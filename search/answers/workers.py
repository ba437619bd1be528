"""The near end of the worker processes: starts their host, asks it, starts it again should it die."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from enum import Enum
from itertools import count
from pathlib import Path
from typing import Any, cast

_PROGRAM = "from search.answers.host import main; main()"
_ROOT = Path(__file__).parents[2]


class Job(Enum):
    """What workers do with an answer."""

    CANONICALISE = "canonicalise"  # a text: its key
    CHECK = "check"  # a problem and a text: whether the text solves it


class JobStatus(Enum):
    """Whether a worker did its job."""

    DONE = "done"
    TIMEOUT = "timeout"  # the worker was killed at its limit of time
    FAILURE = "failure"  # the worker died, or ran out of memory


Reply = tuple[JobStatus, Any]
"""What became of a request, and the result; None where there is none."""


class Workers:
    """Processes that do one job, an answer at a time; they start when the first is asked for.

    Args:
        job: What they do.
        num_workers: How many.
        timeout_s: CPU time that one answer may take.
        memory_bytes: Address space of each.
        stop_within_s: Time in which they end by themselves, after which they are killed.
    """

    def __init__(
        self, job: Job, num_workers: int, timeout_s: float, memory_bytes: int, stop_within_s: float = 2.0
    ) -> None:
        self._arguments = [job.value, str(num_workers), str(timeout_s), str(memory_bytes)]
        self._stop_within_s = stop_within_s
        self._is_open = False
        self._launching = asyncio.Lock()
        self._host: Process | None = None
        self._listener: asyncio.Task[None] | None = None
        self._numbers = count()
        self._waiting: dict[int, asyncio.Future[Reply | None]] = {}

    def open(self) -> None:
        """Let the processes start when they are needed."""
        self._is_open = True

    async def start(self, *probe: str) -> None:
        """Start the processes and wait until one has done its job on `probe`.

        Raises:
            RuntimeError: None does.
        """
        self.open()
        outcome, _ = await self.ask(*probe)
        if outcome is not JobStatus.DONE:
            await self.stop()
            raise RuntimeError("the answer workers do not start; their own error stands above")

    async def stop(self) -> None:
        """End the processes and wait until they are gone."""
        self._is_open = False
        if self._host is not None and self._listener is not None:
            _send(self._host, None)
            await asyncio.wait([self._listener], timeout=self._stop_within_s)
            if self._host is not None:
                self._host.kill()
                await self._listener

    async def ask(self, *args: str) -> Reply:
        """Return what became of the job on `args`, and its result; ask again, once, if the host dies over it.

        Raises:
            RuntimeError: The workers are not open, or stopped.
        """
        return await self._ask(args) or await self._ask(args) or (JobStatus.FAILURE, None)

    async def _ask(self, args: tuple[str, ...]) -> Reply | None:
        host = await self._running_host()
        number = next(self._numbers)
        reply: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
        self._waiting[number] = reply
        try:
            _send(host, [number, args])
            return await reply
        finally:
            del self._waiting[number]

    async def _running_host(self) -> Process:
        async with self._launching:
            if not self._is_open:
                raise RuntimeError("the answer workers are not running")
            if self._host is None:
                command = [sys.executable, "-c", _PROGRAM, *self._arguments]
                self._host = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, cwd=_ROOT)
                self._listener = asyncio.create_task(self._listen(self._host))
            return self._host

    async def _listen(self, host: Process) -> None:
        """Hand out replies until the host is gone; those that still wait get none."""
        async for line in cast(asyncio.StreamReader, host.stdout):
            number, outcome, result = json.loads(line)
            self._settle(number, (JobStatus(outcome), result))
        await host.wait()
        self._host = None
        for number in list(self._waiting):
            self._settle(number, None)

    def _settle(self, number: int, reply: Reply | None) -> None:
        waiting = self._waiting.get(number)
        if waiting is not None:
            with suppress(asyncio.InvalidStateError):  # its reader was cancelled just now
                waiting.set_result(reply)


def _send(host: Process, request: Any) -> None:
    cast(asyncio.StreamWriter, host.stdin).write(json.dumps(request).encode() + b"\n")
