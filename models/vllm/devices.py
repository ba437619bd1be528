"""What the installed vLLM runs on, and the GPUs that it would find."""

from collections.abc import Mapping

import torch
from vllm.platforms import current_platform


def device_type() -> str:
    """Return what it is built for: "cpu", "cuda", or a word of its own; "none" where it finds no device."""
    return current_platform.device_type or "none"


def gpus() -> list[tuple[str, int]]:
    """Return the name and the memory, in bytes, of each GPU, in the order of their numbers."""
    found = (torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count()))
    return [(each.name, each.total_memory) for each in found]


def multiplies_16_bits(capabilities: Mapping[str, object] | None = None) -> bool:
    """Say whether this processor multiplies matrices of bfloat16 about as fast as those of float32.

    On x86-64 that takes AVX-512, or the conversions of newer AVX2: else vLLM falls back to kernels of torch that take
    several times as long. Of other architectures nothing is known, and True is said.

    Args:
        capabilities: Of the processor, as `torch.cpu.get_capabilities` names them; None asks it.
    """
    known = torch.cpu.get_capabilities() if capabilities is None else capabilities
    return known.get("architecture") != "x86_64" or bool(known.get("avx512_bw") or known.get("avx_ne_convert"))


def has_kernels_of_4_bits() -> bool:
    """Say whether vLLM's CPU build has kernels for weights of 4 bits here: it loads another library without AVX-512."""
    current_platform.import_kernels()
    return hasattr(torch.ops._C, "cpu_gemm_wna16")
