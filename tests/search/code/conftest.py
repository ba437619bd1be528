"""The sandbox of a test run; where the machine cannot give one, its tests are skipped, and pytest says why."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest

from search.code.sandbox import MIB, Sandbox, SandboxError, SandboxLimits, open_sandbox

LIMITS = SandboxLimits(timeout_s=20, memory_bytes=256 * MIB + os.getpid())
"""By these bytes a run of these tests is known among the processes of the machine."""


@pytest.fixture(scope="session")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with _opened(LIMITS) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
async def hasty(sandbox: Sandbox) -> AsyncIterator[Sandbox]:
    """A sandbox whose runs may take a second."""
    async with _opened(replace(LIMITS, timeout_s=1)) as hasty:
        yield hasty


@asynccontextmanager
async def _opened(limits: SandboxLimits) -> AsyncIterator[Sandbox]:
    async with AsyncExitStack() as stack:
        try:
            yield await stack.enter_async_context(open_sandbox(limits, num_workers=2))
        except SandboxError as error:
            if "does not hold" in str(error):
                raise
            pytest.skip(str(error))
