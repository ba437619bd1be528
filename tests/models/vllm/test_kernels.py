"""RMS norm by vLLM's own kernel for CPUs; that engines with it answer as PyTorch does is in every other test."""

from functools import partial

import pytest
import torch
import vllm.kernels  # noqa: F401 - which loads them
from vllm import ir

from models.vllm import kernels
from models.vllm.launch import engine_args
from models.vllm.settings import KERNELS_OF, EngineSettings
from tests.conftest import DEMO

EPSILON = 1e-6
OPS = (ir.ops.rms_norm, ir.ops.fused_add_rms_norm)
ROUNDINGS = {torch.bfloat16: 2**-7, torch.float16: 2**-9, torch.float32: 2**-20}
"""Twice that of a number between 1 and 2: vLLM rounds the normalised number and its product with the weight."""


@pytest.fixture(autouse=True)
def preferred() -> None:
    kernels.register()


@pytest.mark.parametrize("dtype", ROUNDINGS, ids=str)
@pytest.mark.parametrize("shape", [(1, 16), (7, 192), (3, 5, 64)], ids=str)
def test_norms_are_those_of_pytorch(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x, residual, weight = (torch.randn(each, dtype=dtype) for each in (shape, shape, shape[-1:]))
    expected = torch.nn.functional.rms_norm(x.double(), shape[-1:], weight.double(), EPSILON)
    of_sum = torch.nn.functional.rms_norm((x.double() + residual.double()), shape[-1:], weight.double(), EPSILON)
    near = partial(torch.testing.assert_close, rtol=ROUNDINGS[dtype], atol=ROUNDINGS[dtype] / 8)
    near(kernels.rms_norm(x, weight, EPSILON).double(), expected)
    total = (x.float() + residual.float()).to(dtype)
    norm, added = kernels.fused_add_rms_norm(x, residual, weight, EPSILON)
    near(norm.double(), of_sum)
    torch.testing.assert_close(added, total)


def test_what_the_kernel_cannot_read_is_left_to_pytorch() -> None:
    x, weight = torch.randn(4, 64, dtype=torch.bfloat16), torch.ones(64, dtype=torch.bfloat16)
    strided = torch.randn(4, 128, dtype=torch.bfloat16)[:, ::2]

    def chosen(*args: object) -> str:
        op = OPS[len(args) > 4]
        with op.set_priority([KERNELS_OF, "native"]):
            return str(op.dispatch(*args).provider)

    assert chosen(x, weight, EPSILON, None) == chosen(strided, weight, EPSILON, None) == KERNELS_OF
    assert chosen(x, x.clone(), weight, EPSILON, None) == KERNELS_OF
    for args in (
        (x, None, EPSILON, None),
        (x, weight.float(), EPSILON, None),
        (x, weight, EPSILON, 32),
        (x[:, :5].contiguous(), weight[:5], EPSILON, None),
        (x, strided, weight, EPSILON, None),
    ):
        assert chosen(*args) == "native"


def test_a_view_is_normalised_as_its_copy() -> None:
    x, weight = torch.randn(4, 128)[:, ::2], torch.ones(64)
    torch.testing.assert_close(kernels.rms_norm(x, weight, EPSILON), kernels.rms_norm(x.clone(), weight, EPSILON))


def test_engines_on_a_cpu_prefer_the_kernel() -> None:
    config = engine_args(EngineSettings(DEMO / "policy", "policy"), "generate", "cpu").create_engine_config()
    for op in OPS:
        assert getattr(config.kernel_config.ir_op_priority, op.name) == [KERNELS_OF, "native"]
