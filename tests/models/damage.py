"""How a checkpoint goes wrong: each of these makes a change to a directory."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

Change = Callable[[Path], Any]


def config(**changes: Any) -> Change:
    """None takes a field away."""

    def change(directory: Path) -> None:
        file = directory / "config.json"
        fields = json.loads(file.read_text()) | changes
        file.write_text(json.dumps({name: value for name, value in fields.items() if value is not None}))

    return change


def without(name: str) -> Change:
    return lambda directory: (directory / name).unlink()


def holding(name: str, text: str) -> Change:
    return lambda directory: (directory / name).write_text(text)


def halved(name: str) -> Change:
    def change(directory: Path) -> None:
        data = (directory / name).read_bytes()
        (directory / name).write_bytes(data[: len(data) // 2])

    return change


def lacking(name: str) -> Change:
    """Without a weight, of which an index knows nothing either."""

    def change(directory: Path) -> None:
        _rewrite(directory, name, lambda weights: {each: weights[each] for each in weights if each != name})
        for index in directory.glob("*.index.json"):
            fields = json.loads(index.read_text())
            fields["weight_map"].pop(name)
            index.write_text(json.dumps(fields))

    return change


def lost(name: str) -> Change:
    """Without a weight that an index lists."""
    return lambda directory: _rewrite(
        directory, name, lambda weights: {each: weights[each] for each in weights if each != name}
    )


def resized(name: str) -> Change:
    return lambda directory: _rewrite(directory, name, lambda weights: weights | {name: weights[name][:-1].clone()})


def spoilt(name: str, value: float = float("nan")) -> Change:
    """With one number that is none."""

    def spoil(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        weight = weights[name].clone()
        weight.view(-1)[-1] = value
        return {**weights, name: weight}

    return lambda directory: _rewrite(directory, name, spoil)


def _rewrite(directory: Path, name: str, change: Callable[[dict[str, Tensor]], Mapping[str, Tensor]]) -> None:
    for file in [*directory.glob("*.safetensors"), *directory.glob("*.bin")]:
        weights = load_file(file) if file.suffix == ".safetensors" else torch.load(file)
        if name in weights:
            changed = dict(change(weights))
            if file.suffix == ".safetensors":
                save_file(changed, file)
            else:
                torch.save(changed, file)
