"""Sandboxes for tests, and what their runs may have left; where a machine cannot give one, its tests are skipped."""

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import psutil
import pytest

from search.code.sandbox import MIB, Sandbox, SandboxError, SandboxLimits, open_sandbox

LIMITS = SandboxLimits(timeout_s=20, memory_bytes=256 * MIB + os.getpid())
"""By these bytes the runs of this process are known among the processes of the machine."""


@asynccontextmanager
async def opened(limits: SandboxLimits = LIMITS) -> AsyncIterator[Sandbox]:
    """Yield a sandbox, or skip the test and say why the machine cannot give one; one that does not hold is an error."""
    async with AsyncExitStack() as stack:
        try:
            sandbox = await stack.enter_async_context(open_sandbox(limits, num_workers=2))
        except SandboxError as error:
            if "does not hold" in error.seen:
                raise
            pytest.skip(str(error))
        yield sandbox


def running(limits: SandboxLimits = LIMITS) -> list[int]:
    """Return the processes of the sandboxes with these limits."""
    words = (process.info["cmdline"] or () for process in psutil.process_iter(["cmdline"]))
    return [len(each) for each in words if str(limits.memory_bytes) in each]


def mounts() -> list[str]:
    return sorted(Path("/proc/self/mountinfo").read_text().splitlines())


def files() -> list[str]:
    """Return what lies where programs could leave things."""
    scratch = Path(tempfile.gettempdir()).glob("winnow-sandbox-*/scratch/*")
    return sorted(map(str, (*scratch, *Path("/").iterdir())))
