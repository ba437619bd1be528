"""What the installed vLLM runs on, and the GPUs that it would find."""

import torch
from vllm.platforms import current_platform


def device_type() -> str:
    """Return what it is built for: "cpu", "cuda", or a word of its own; "none" where it finds no device."""
    return current_platform.device_type or "none"


def gpus() -> list[tuple[str, int]]:
    """Return the name and the memory, in bytes, of each GPU, in the order of their numbers."""
    found = (torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count()))
    return [(each.name, each.total_memory) for each in found]
