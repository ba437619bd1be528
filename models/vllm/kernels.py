"""RMS norm by a kernel that vLLM's CPU build has, and leaves to PyTorch's single operations.

The kernel takes a tenth to a half of their time, and rounds once where they round twice: its results are within one
rounding of bfloat16 of them. vLLM chooses by the priorities that an engine is started with (`releases.py`).
"""

import torch
from torch import Tensor
from vllm import ir

from models.vllm.settings import KERNELS_OF

LANES = 16
"""Numbers that the kernel reads at once."""


def register() -> None:
    """Give vLLM the choice; once in a process."""
    if KERNELS_OF not in ir.ops.rms_norm.impls:
        ir.ops.rms_norm.register_impl(KERNELS_OF, supports_args=_fits)(rms_norm)
        ir.ops.fused_add_rms_norm.register_impl(KERNELS_OF, supports_args=_fit, inplace=True)(fused_add_rms_norm)


def rms_norm(x: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None) -> Tensor:
    """Return x (..., H) over its root mean square, times `weight` (H,)."""
    output = torch.empty(x.shape, dtype=x.dtype)
    torch.ops._C.rms_norm(output, x.contiguous(), weight, epsilon)
    return output


def fused_add_rms_norm(
    x: Tensor, x_residual: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None
) -> tuple[Tensor, Tensor]:
    """Write the sum of both (..., H) in the place of the second, and its norm in that of the first."""
    torch.ops._C.fused_add_rms_norm(x, x_residual, weight, epsilon)
    return x, x_residual


def _fits(x: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None) -> bool:
    is_plain = variance_size is None and weight is not None and weight.dtype == x.dtype
    return is_plain and x.shape[-1] % LANES == 0


def _fit(
    x: Tensor, x_residual: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None
) -> bool:
    are_alike = x_residual.dtype == x.dtype and x_residual.is_contiguous() and x.is_contiguous()
    return are_alike and _fits(x, weight, epsilon, variance_size)
