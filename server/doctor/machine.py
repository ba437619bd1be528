"""The resources of this machine, and the device that the installed engine is built for.

A container has the memory of its control group, not of its host.
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
    """Resources of a machine.

    Attributes:
        device: What the installed engine is built for: "cpu" or "cuda".
        num_cores: Available to this process.
        memory_bytes: Available to this process and its children in all.
        free_bytes: Of these, free ones.
        shared_bytes: Size of the shared memory.
        num_files: Limit of open files.
        gpus: In the order of their numbers.
        multiplies_16_bits: Whether its cores multiply bfloat16 about as fast as float32.
    """

    device: str
    num_cores: int
    memory_bytes: int
    free_bytes: int
    shared_bytes: int
    num_files: int
    gpus: tuple[GPU, ...] = ()
    multiplies_16_bits: bool = True


def look_at_machine(*, runs_engines: bool = True) -> Machine:
    """Inspect this machine.

    Args:
        runs_engines: Whether engines run here; otherwise none is loaded, and the device is "none".

    Raises:
        ImportError: The engine, or a library that it needs, is missing.
    """
    device, gpus, multiplies_16_bits = _devices() if runs_engines else ("none", (), True)
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
        multiplies_16_bits=multiplies_16_bits,
    )


def memory_of(group: Path) -> tuple[int, int]:
    """Return the total and free bytes of a control group, or of the machine if it has no limit."""
    machine = psutil.virtual_memory()
    try:
        limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
    except (OSError, ValueError):  # no control group of version 2, or "max": it has no limit
        return machine.total, machine.available
    return min(limit, machine.total), min(max(limit - used, 0), machine.available)


def _devices() -> tuple[str, tuple[GPU, ...], bool]:
    from models.vllm.devices import device_type, gpus, multiplies_16_bits

    device = device_type()
    found = tuple(GPU(name, memory) for name, memory in gpus()) if device == "cuda" else ()
    return device, found, multiplies_16_bits()
