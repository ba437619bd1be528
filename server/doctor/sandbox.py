"""Checks whether this machine can give the sandbox in which programs are tested: it starts one."""

import asyncio
from collections.abc import Iterator

from search.code.sandbox import MIB, SandboxError, SandboxLimits, open_sandbox
from server.doctor.finding import Finding, fine, stops
from server.settings import Settings


def check_sandbox(settings: Settings) -> Iterator[Finding]:
    """Start a sandbox and let it be attacked, where the settings want one."""
    if settings.sandbox == "none":
        return
    limits = SandboxLimits(settings.tests_timeout_s, settings.tests_memory_mib * MIB)
    try:
        asyncio.run(_open(limits))
    except SandboxError as error:
        yield stops("sandbox", error.seen, error.remedy)
    else:
        yield fine("sandbox", "bubblewrap holds: no network, no files, no other processes, bounded memory")


async def _open(limits: SandboxLimits) -> None:
    async with open_sandbox(limits, num_workers=1):
        pass
