"""What this machine has: cores, memory, GPUs, and the device that the installed engine is built for.

A container has the memory of its control group, not that of its host.
"""

import os
import resource
from dataclasses import dataclass
from pathlib import Path

import psutil

GIB = 1 << 30
CGROUP = Path("/sys/fs/cgroup")
MIN_FILES = 4096
MIN_SHARED_BYTES = 512 << 20
"""vLLM's processes that share a model pass messages through shared memory; Docker gives 64 MiB."""


@dataclass(frozen=True, slots=True)
class GPU:
    """A graphics processor and its memory, in bytes."""

    name: str
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is.

    Attributes:
        device: What the installed engine is built for: "cpu" or "cuda".
        num_cores: That this process may use.
        memory_bytes: That this process and its children may have in all.
        free_bytes: Of it, what nothing holds.
        shared_bytes: Size of the shared memory.
        num_files: That a process may have open.
        gpus: In the order of their numbers.
    """

    device: str
    num_cores: int
    memory_bytes: int
    free_bytes: int
    shared_bytes: int
    num_files: int
    gpus: tuple[GPU, ...] = ()


def look_at_machine(*, runs_engines: bool = True) -> Machine:
    """Look at this machine.

    Args:
        runs_engines: Whether an engine is to run here; without one nothing of it is loaded, and the device is "none".

    Raises:
        ImportError: The engine cannot be loaded: it is missing, or a library that it is linked with.
    """
    device, gpus = _devices() if runs_engines else ("none", ())
    memory, free = memory_of(CGROUP)
    shared = os.statvfs("/dev/shm")
    return Machine(
        device=device,
        num_cores=len(os.sched_getaffinity(0)),
        memory_bytes=memory,
        free_bytes=free,
        shared_bytes=shared.f_frsize * shared.f_blocks,
        num_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        gpus=gpus,
    )


def memory_of(group: Path) -> tuple[int, int]:
    """Return all memory of a control group and what is free of it, in bytes: the machine's where it has no limit."""
    machine = psutil.virtual_memory()
    try:
        limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
    except (OSError, ValueError):  # no control group of version 2, or "max": it has no limit
        return machine.total, machine.available
    return min(limit, machine.total), min(max(limit - used, 0), machine.available)


def _devices() -> tuple[str, tuple[GPU, ...]]:
    from models.vllm.devices import device_type, gpus

    device = device_type()
    return device, tuple(GPU(name, memory) for name, memory in gpus()) if device == "cuda" else ()
