"""What a gateway takes: modules, memory, and time until it is ready, with policy and verifier on servers elsewhere.

    python -m tests.bench.gateway [--repeats 5] [--tree DIRECTORY] [--set deploy/requirements/gateway.txt]

The servers are stand-ins that answer at once. `--tree` measures another checkout with the same packages; `--set`
hides all packages but those of a set of requirements, which takes a second of its own.
"""

import argparse
import asyncio
import os
import signal
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import httpx
import psutil

from tests.models.remote.stage import Actor
from tests.server.processes import free_port

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "deploy" / "requirements" / "gateway.txt"
READY_WITHIN_S = 60.0


class Taken(NamedTuple):
    """By one start."""

    ready_s: float
    rss_mb: float
    num_modules: int


async def start(
    port: int, policy: str, verifier: str, tree: Path, lock: str, listing: Path
) -> asyncio.subprocess.Process:
    """Start a gateway."""
    command = [sys.executable, "-P", str(ROOT / "tests" / "gateway.py"), lock, "serve", f"--port={port}"]
    variables = {"PYTHONPATH": str(tree), "GATEWAY_MODULES": str(listing)}
    environment = os.environ | variables  # noqa: TID251 - of another process
    flags = [f"--policy-url={policy}", f"--verifier-url={verifier}", "--log-level=error"]
    return await asyncio.create_subprocess_exec(*command, *flags, cwd=tree, env=environment)


async def until_ready(port: int, process: asyncio.subprocess.Process) -> None:
    """Return when it says that it is ready."""
    async with asyncio.timeout(READY_WITHIN_S), httpx.AsyncClient() as client:
        while process.returncode is None:
            try:
                if (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.02)
    raise RuntimeError(f"the gateway ended with {process.returncode}")


async def measure(tree: Path, lock: str) -> Taken:
    """Start one, and stop it when it is ready."""
    policy, verifier, port = Actor(), Actor(), free_port()
    with TemporaryDirectory() as directory:
        listing = Path(directory) / "modules"
        async with policy.playing(), verifier.playing():
            began = time.perf_counter()
            process = await start(port, policy.url, verifier.url, tree, lock, listing)
            await until_ready(port, process)
            ready_s = time.perf_counter() - began
            rss = psutil.Process(process.pid).memory_info().rss
            process.send_signal(signal.SIGTERM)
            await process.wait()
        return Taken(ready_s, rss / 1e6, len(listing.read_text().splitlines()))


async def main(repeats: int, tree: Path, lock: str) -> None:
    """Measure and print."""
    taken = [await measure(tree, lock) for _ in range(repeats)]
    for name, values in zip(Taken._fields, zip(*taken, strict=True), strict=True):
        print(f"{name:12} {statistics.median(values):9.2f}   {min(values):.2f} to {max(values):.2f}")  # noqa: T201


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tree", type=Path, default=ROOT)
    parser.add_argument("--set", default="all", dest="lock", help="Requirements, for what lacks everything else.")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.repeats, arguments.tree.resolve(), arguments.lock))
