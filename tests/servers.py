"""vLLM servers of the demo pair, as processes on loopback: as vLLM starts them, and as `winnow engine` does."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from tests.server.processes import free_port

CPU_FLAGS = (
    "--no-enable-chunked-prefill",
    "--enforce-eager",
    "--distributed-executor-backend=uni",
    "--disable-uvicorn-access-log",
)
CPU_VARIABLES = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "OMP_NUM_THREADS": "1",
    "TORCHDYNAMO_DISABLE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
}
POOLING = ("--runner=pooling", "--enable-chunked-prefill")
START_WITHIN_S = 240.0


def start_server(
    model: Path,
    *flags: str,
    port: int,
    kv_cache_mib: int = 64,
    variables: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
) -> subprocess.Popen[bytes]:
    """Start a server that is called "theirs", whatever winnow calls its model; `prefix` says on which network host."""
    from models.vllm.launch import block_size  # which imports vLLM
    from models.vllm.releases import SERVER

    command = [*prefix, sys.executable, "-m", SERVER, "--host=127.0.0.1", f"--port={port}", f"--model={model}"]
    settings = ["--served-model-name=theirs", f"--kv-cache-memory-bytes={kv_cache_mib << 20}"]
    settings += [f"--block-size={block_size()}", *CPU_FLAGS, *flags]
    environment = os.environ | CPU_VARIABLES | dict(variables or {})  # noqa: TID251 - of another process
    return subprocess.Popen([*command, *settings], env=environment)


def start_engine_server(*flags: str, port: int) -> subprocess.Popen[bytes]:
    """Start the demo verifier's server by `winnow engine`."""
    command = [str(Path(sys.executable).with_name("winnow")), "engine", "verifier", f"--port={port}", *flags]
    return subprocess.Popen(command)


def await_server(
    process: subprocess.Popen[bytes],
    port: int,
    address: str = "127.0.0.1",
    path: str = "/health",
    within_s: float = START_WITHIN_S,
) -> str:
    """Return the server's URL when this path of it answers."""
    url, deadline = f"http://{address}:{port}", time.monotonic() + within_s
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}{path}").status_code == 200:
                return url
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError(f"no server within {within_s} s; exit code {process.poll()}")


class Fleet(NamedTuple):
    """URLs of the servers of each model."""

    policies: tuple[str, ...]
    verifiers: tuple[str, ...]


@contextmanager
def demo_servers(models: Path, number: int) -> Iterator[Fleet]:
    """So many plain servers of the policy, and as many of the verifier, which start together."""
    ports = [free_port() for _ in range(2 * number)]
    processes = [start_server(models / "policy", port=port) for port in ports[:number]]
    processes += [start_engine_server("--verifier-kv-cache-mib=64", port=port) for port in ports[number:]]
    try:
        urls = tuple(map(await_server, processes, ports))
        yield Fleet(urls[:number], urls[number:])
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(30)
