"""Numbers that are none are found in every format of number, wherever they stand; all others pass."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from models.checkpoints.weights import CHUNK, read_weights, require_finite
from models.errors import CheckpointError

DTYPES = (torch.bfloat16, torch.float16, torch.float32, torch.float64)


def save(directory: Path, tensor: torch.Tensor) -> Path:
    save_file({"weight": tensor}, directory / "model.safetensors")
    return directory


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_largest_and_smallest_numbers_pass(tmp_path: Path, dtype: torch.dtype) -> None:
    limits = torch.finfo(dtype)
    tensor = torch.tensor([limits.max, limits.min, limits.tiny, -limits.tiny, 0.0, -0.0, 1.0], dtype=dtype)
    require_finite(read_weights(save(tmp_path, tensor)))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("place", [0, CHUNK - 1, CHUNK, 2 * CHUNK])
def test_one_number_that_is_none_is_found(tmp_path: Path, value: float, dtype: torch.dtype, place: int) -> None:
    tensor = torch.ones(2 * CHUNK + 1, dtype=dtype)
    tensor[place] = value
    with pytest.raises(CheckpointError, match=r"model\.safetensors: weight holds NaN or infinity"):
        require_finite(read_weights(save(tmp_path, tensor)))


def test_whole_numbers_and_single_and_no_numbers_pass(tmp_path: Path) -> None:
    tensors = {"a": torch.full((3,), -1, dtype=torch.int32), "b": torch.tensor(1.0), "c": torch.ones(0, 4)}
    save_file(tensors, tmp_path / "model.safetensors")
    require_finite(read_weights(tmp_path))
