"""Reads the files of a checkpoint's weights: their names and shapes, and whether each number in them is one.

Knows safetensors files and PyTorch's .bin files (two of the published reward models have no other), whole or in shards
that an index lists. Files are mapped into memory: a shape costs nothing, and a look at all numbers what it takes to
read the file once. Does not know what the weights are for.
"""

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from models.checkpoints.checkpoint import PICKLE_PATTERN, read_json
from models.errors import CheckpointError

INDEX_FILES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
EXPONENTS: dict[torch.dtype, tuple[torch.dtype, int]] = {
    torch.bfloat16: (torch.uint16, 0x7F80),
    torch.float16: (torch.uint16, 0x7C00),
    torch.float32: (torch.uint32, 0x7F80_0000),
    torch.float64: (torch.uint64, 0x7FF0_0000_0000_0000),
}
"""Unsigned type of the same width, and the bits of the exponent: all of them are set in NaN and infinity alone."""
CHUNK = 1 << 16
"""Numbers looked at in one go, so that they stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Weight:
    """A weight of a checkpoint.

    Attributes:
        file: Where it lies.
        tensor: Mapped from the file.
    """

    file: Path
    tensor: torch.Tensor


def read_weights(directory: Path) -> dict[str, Weight]:
    """Map the weights of a checkpoint into memory, by their names.

    Raises:
        CheckpointError: A file is missing or damaged, or a shard lacks a weight that the index says it has.
    """
    index = next((directory / name for name in INDEX_FILES if (directory / name).exists()), None)
    if index is None:
        files = sorted(directory.glob("*.safetensors")) or sorted(directory.glob(PICKLE_PATTERN))
        if not files:
            raise CheckpointError(f"{directory}: no *.safetensors file, and no {PICKLE_PATTERN} file")
        return {name: Weight(file, tensor) for file in files for name, tensor in _read(file)}
    weights: dict[str, Weight] = {}
    listed = _read_index(index)
    for file in sorted(set(listed.values())):
        weights |= {name: Weight(file, tensor) for name, tensor in _read(file)}
    for name, file in listed.items():
        if name not in weights:
            raise CheckpointError(f"{file}: {name} is missing, though {index.name} lists it")
    return weights


def require_shapes(weights: Mapping[str, Weight], shapes: Mapping[str, tuple[int, ...]], directory: Path) -> None:
    """See that each of `shapes` is there.

    Raises:
        CheckpointError: One is missing or of another shape.
    """
    for name, shape in shapes.items():
        if name not in weights:
            raise CheckpointError(f"{directory}: {name} is missing from the weights")
        found = tuple(weights[name].tensor.shape)
        if found != shape:
            raise CheckpointError(f"{weights[name].file}: {name} is {found}, not {shape} as config.json says")


def require_finite(weights: Mapping[str, Weight]) -> None:
    """See that no weight holds NaN or infinity. About 10 GB/s, if the disk is as fast.

    Raises:
        CheckpointError: One does.
    """
    for name, weight in weights.items():
        if not _is_finite(weight.tensor):
            raise CheckpointError(f"{weight.file}: {name} holds NaN or infinity")


def size_of_weights(directory: Path, dtype: str = "auto") -> tuple[int, int]:
    """Return the bytes that the weights of a checkpoint take, and those of the widest number among them.

    Args:
        directory: Of the checkpoint.
        dtype: What they are read as; "auto" leaves them as they are.

    Raises:
        CheckpointError: They cannot be read.
    """
    tensors = [weight.tensor for weight in read_weights(directory).values()]
    kind: torch.dtype | None = None if dtype == "auto" else getattr(torch, dtype)
    total = sum(tensor.numel() * (kind or tensor.dtype).itemsize for tensor in tensors)
    return total, kind.itemsize if kind else max((tensor.dtype.itemsize for tensor in tensors), default=1)


def _is_finite(tensor: torch.Tensor) -> bool:
    """In NumPy, not torch: torch's threads would outlive this, and engines are forked."""
    if tensor.dtype not in EXPONENTS:
        return True  # whole numbers and 8-bit formats, which quantised checkpoints hold
    bits_type, mask = EXPONENTS[tensor.dtype]
    bits = tensor.reshape(-1).view(bits_type).numpy()
    exponent = bits.dtype.type(mask)
    return not any(np.max(bits[start : start + CHUNK] & exponent) == exponent for start in range(0, len(bits), CHUNK))


def _read(file: Path) -> Iterator[tuple[str, torch.Tensor]]:
    try:
        if file.suffix == ".safetensors":
            with safe_open(file, "pt") as weights:
                for name in weights.keys():  # noqa: SIM118 - no mapping
                    yield name, weights.get_tensor(name)
        else:
            yield from torch.load(file, map_location="cpu", mmap=True, weights_only=True).items()
    except (OSError, SafetensorError, RuntimeError, EOFError, AttributeError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split()[:30])  # torch explains at length
        raise CheckpointError(f"{file}: cannot be read ({reason})") from error


def _read_index(index: Path) -> dict[str, Path]:
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise CheckpointError(f"{index}: weight_map is {names!r}, not a table of file names")
    return {name: index.parent / file for name, file in names.items()}
