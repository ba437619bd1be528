"""The sandboxes of a test run."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from search.code.sandbox import Sandbox
from tests.sandboxes import LIMITS, opened


@pytest.fixture(scope="session")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with opened() as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
async def hasty() -> AsyncIterator[Sandbox]:
    """A sandbox whose runs may take a second."""
    async with opened(replace(LIMITS, timeout_s=1)) as hasty:
        yield hasty
