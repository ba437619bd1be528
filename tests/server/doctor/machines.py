"""Machines and findings, made up."""

from collections.abc import Iterable
from typing import Any

from server.doctor.finding import Finding, Verdict
from server.doctor.machine import GIB, GPU, Machine


def machine(**fields: Any) -> Machine:
    """A machine with two cores and no GPU."""
    small: dict[str, Any] = {
        "device": "cpu",
        "num_cores": 2,
        "memory_bytes": 16 * GIB,
        "free_bytes": 8 * GIB,
        "shared_bytes": GIB,
        "num_files": 65536,
    }
    return Machine(**small | fields)


def with_gpus(count: int, gib: int = 80, **fields: Any) -> Machine:
    """A machine with GPUs."""
    return machine(device="cuda", gpus=tuple(GPU("H100", gib * GIB) for _ in range(count)), **fields)


def verdicts(findings: Iterable[Finding]) -> list[Verdict]:
    """How bad each is; whatever is wrong can be mended."""
    found = list(findings)
    assert all((finding.remedy is None) == (finding.verdict is Verdict.FINE) for finding in found)
    return [finding.verdict for finding in found]
