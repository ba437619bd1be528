"""Seeded checkpoints whose linear layers are quantised by hand in the published formats, and as they read back."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

GROUP = 32
"""Weights that share a scale."""
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
"""Where AWQ puts eight neighbours in a word."""
FP8_MOST = 448.0

Quantised = tuple[Mapping[str, Tensor], Tensor]
"""What a layer is in the file, by the end of its name, and the weight (out, in) that it stands for."""


def _nibbles(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Values from 0 to 15, of which 8 is nought, and scales: (in, out), (in / GROUP, out)."""
    groups = weight.T.reshape(-1, GROUP, weight.shape[0])
    scales = (groups.abs().amax(1) / 7).clamp(min=1e-6).half()
    values = (groups / scales[:, None].float()).round().clamp(-8, 7) + 8
    return values.reshape(weight.T.shape).int(), scales


def _read_back(values: Tensor, scales: Tensor) -> Tensor:
    return ((values - 8) * scales.float().repeat_interleave(GROUP, 0)).T.contiguous()


def _packed(values: Tensor, order: tuple[int, ...] = tuple(range(8))) -> Tensor:
    """Eight values of four bits a word, along the last dimension."""
    eights = values.reshape(*values.shape[:-1], -1, 8).long()
    words = sum((eights[..., place] << 4 * index for index, place in enumerate(order)), torch.zeros(1).long())
    return words.to(torch.int64).bitwise_and(0xFFFFFFFF).to(torch.uint32).view(torch.int32)


def awq(weight: Tensor) -> Quantised:
    values, scales = _nibbles(weight)
    noughts = torch.full(scales.shape, 8)
    stored = {"qweight": _packed(values, AWQ_ORDER), "qzeros": _packed(noughts, AWQ_ORDER), "scales": scales}
    return stored, _read_back(values, scales)


def gptq(weight: Tensor) -> Quantised:
    values, scales = _nibbles(weight)
    stored = {
        "qweight": _packed(values.T.contiguous()).T.contiguous(),
        "qzeros": _packed(torch.full(scales.shape, 7)),  # it stores one less
        "scales": scales,
        "g_idx": (torch.arange(weight.shape[1]) // GROUP).int(),
    }
    return stored, _read_back(values, scales)


def w4a16(weight: Tensor) -> Quantised:
    values, scales = _nibbles(weight)
    stored = {
        "weight_packed": _packed(values.T.contiguous()),
        "weight_scale": scales.T.contiguous(),
        "weight_shape": torch.tensor(weight.shape),
    }
    return stored, _read_back(values, scales)


def w8a8(weight: Tensor) -> Quantised:
    scale = (weight.abs().amax(1, keepdim=True) / 127).clamp(min=1e-6)
    values = (weight / scale).round().clamp(-127, 127)
    return {"weight": values.to(torch.int8), "weight_scale": scale}, values * scale


def fp8(weight: Tensor) -> Quantised:
    scale = (weight.abs().amax(1, keepdim=True) / FP8_MOST).clamp(min=1e-6)
    values = (weight / scale).to(torch.float8_e4m3fn)
    return {"weight": values, "weight_scale": scale}, values.float() * scale


def _compressed(form: str, weights: dict[str, Any], activations: dict[str, Any] | None) -> dict[str, Any]:
    group = {"targets": ["Linear"], "weights": weights, "input_activations": activations, "output_activations": None}
    return {
        "quant_method": "compressed-tensors",
        "format": form,
        "quantization_status": "compressed",
        "config_groups": {"group_0": group},
        "ignore": ["lm_head"],
    }


def _each(kind: str, bits: int, strategy: str, *, dynamic: bool = False, **others: Any) -> dict[str, Any]:
    return {"num_bits": bits, "type": kind, "symmetric": True, "strategy": strategy, "dynamic": dynamic} | others


SCHEMES: dict[str, tuple[Callable[[Tensor], Quantised], dict[str, Any]]] = {
    "awq": (awq, {"quant_method": "awq", "bits": 4, "group_size": GROUP, "zero_point": True, "version": "gemm"}),
    "gptq": (
        gptq,
        {"quant_method": "gptq", "bits": 4, "group_size": GROUP, "desc_act": False, "sym": True, "lm_head": False},
    ),
    "w4a16": (w4a16, _compressed("pack-quantized", _each("int", 4, "group", group_size=GROUP), None)),
    "w8a8": (w8a8, _compressed("int-quantized", _each("int", 8, "channel"), _each("int", 8, "token", dynamic=True))),
    "fp8": (
        fp8,
        _compressed("float-quantized", _each("float", 8, "channel"), _each("float", 8, "token", dynamic=True)),
    ),
}


def save_quantised(checkpoint: Path, scheme: str, directory: Path) -> tuple[Path, Path]:
    """Write a checkpoint quantised, and the one that it stands for."""
    quantise, described = SCHEMES[scheme]
    stored, read = directory / scheme, directory / f"{scheme}-read-back"
    weights = load_file(checkpoint / "model.safetensors")
    kept: dict[str, Tensor] = {}
    back: dict[str, Tensor] = {}
    for name, weight in weights.items():
        layer, _, part = name.rpartition(".")
        if not layer.endswith("_proj") or part != "weight":
            kept[name] = back[name] = weight
            continue
        pieces, back[name] = quantise(weight.float())
        kept |= {f"{layer}.{end}": piece.contiguous() for end, piece in pieces.items()}
        back[name] = back[name].to(weight.dtype)
    for folder, tensors in ((stored, kept), (read, back)):
        shutil.copytree(checkpoint, folder)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((stored / "config.json").read_text())
    (stored / "config.json").write_text(json.dumps(config | {"quantization_config": described}))
    return stored, read
