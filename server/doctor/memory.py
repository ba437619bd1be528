"""Checks whether the engines fit into memory, and a response of full length into each KV cache."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from server.doctor.finding import Finding, caution, fine, stops
from server.doctor.machine import GIB, Machine
from server.settings import Settings

MIB = 1 << 20
ENGINE_BYTES = 1 * GIB
SERVICE_BYTES = GIB // 2
"""Memory of a process besides weights and cache: measured with the demo pair on a CPU, rounded up."""


@dataclass(frozen=True, slots=True)
class Size:
    """Memory that an engine needs.

    Attributes:
        name: Of the model: policy or verifier.
        weight_bytes: In the type used for serving.
        cache_bytes: KV cache of one response of full length; None if config.json does not say.
        itemsize: Bytes of a number.
    """

    name: str
    weight_bytes: int
    cache_bytes: int | None
    itemsize: int


def check_memory(settings: Settings, machine: Machine, sizes: Sequence[Size]) -> Iterator[Finding]:
    """Check the memory for the engines of `sizes`."""
    for size in sizes:
        if machine.device == "cuda":
            yield from _on_gpu(settings, machine, size)
        else:
            yield from _cache(settings, size)
    if machine.device == "cpu" and sizes:
        yield _on_cpu(settings, machine, sizes)


def _cache_mib(settings: Settings, name: str) -> int:
    return {"policy": settings.policy_kv_cache_mib, "verifier": settings.verifier_kv_cache_mib}[name]


def _cache(settings: Settings, size: Size) -> Iterator[Finding]:
    given = _cache_mib(settings, size.name)
    needed = -(-(size.cache_bytes or 0) // MIB)
    if needed > given:
        seen = (
            f"the KV cache of the {size.name} has {given} MiB, and one response as long as its context takes {needed}"
        )
        remedy = f"set {size.name}_kv_cache_mib to {needed} or more, or a shorter {size.name}_context"
        yield stops("memory", seen, remedy)


def _on_cpu(settings: Settings, machine: Machine, sizes: Sequence[Size]) -> Finding:
    engines = (ENGINE_BYTES + size.weight_bytes + _cache_mib(settings, size.name) * MIB for size in sizes)
    needed = SERVICE_BYTES + sum(engines)
    free = f"{machine.free_bytes / GIB:.1f} of {machine.memory_bytes / GIB:.1f} GiB are free"
    seen = f"about {needed / GIB:.1f} GiB are needed, {free}"
    remedy = "smaller policy_kv_cache_mib and verifier_kv_cache_mib, a smaller model, or more memory"
    if needed > machine.memory_bytes:
        return stops("memory", seen, remedy)
    if needed > machine.free_bytes:
        return caution("memory", seen, f"stop what else runs here, or: {remedy}")
    return fine("memory", seen)


def _on_gpu(settings: Settings, machine: Machine, size: Size) -> Iterator[Finding]:
    gpus = machine.gpus[: settings.num_gpus(size.name)]
    if not gpus:
        return
    share = {"policy": settings.policy_memory, "verifier": settings.verifier_memory}[size.name]
    given = share * min(gpu.memory_bytes for gpu in gpus)
    needed = (size.weight_bytes + (size.cache_bytes or 0)) / len(gpus)
    seen = f"the {size.name} and one response take {needed / GIB:.1f} GiB of each GPU, of {given / GIB:.1f} it is given"
    if needed > given:
        remedy = f"a larger {size.name}_memory, a shorter {size.name}_context, a smaller model, or a GPU of its own"
        yield stops("memory", seen, remedy)
    else:
        yield fine("memory", seen)
