"""Reads model directories before an engine does: quickly, and with an error that names the file and the field.

Knows Hugging Face checkpoints on disk: config.json, the headers of safetensors files, the tokenizer's files. Loads no
weights and does not know what an engine makes of them.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from safetensors import SafetensorError, safe_open

from models.errors import CheckpointError

CONFIG_FILE = "config.json"
INDEX_FILE = "model.safetensors.index.json"
TOKENIZER_FILE = "tokenizer.json"
CAUSAL_SUFFIXES = ("ForCausalLM", "LMHeadModel")
REWARD_ARCHITECTURE = "WinnowRewardModel"
REWARD_BACKBONES = ("llama", "qwen2")

Shapes = Mapping[str, tuple[int, ...]]


def find_model(name: str | Path) -> Path:
    """Return the directory of a checkpoint; a Hub name (`owner/model`) is downloaded, or taken from the Hub's cache.

    Raises:
        CheckpointError: There is no such directory, and no such name on the Hub.
    """
    directory = Path(name)
    if directory.is_dir():
        return directory
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", str(name)):
        raise CheckpointError(f"{directory}: no such directory")
    try:
        return Path(snapshot_download(str(name), allow_patterns=["*.json", "*.safetensors", "*.jinja", "*.model"]))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{name}: neither a directory nor to be had from the Hub ({error})") from error


def check_causal_model(directory: Path) -> None:
    """See that a directory holds a causal language model.

    Raises:
        CheckpointError: It does not; the message names the file and the field.
    """
    config = read_config(directory)
    if not config["architectures"][0].endswith(CAUSAL_SUFFIXES):
        raise CheckpointError(
            f"{directory / CONFIG_FILE}: architectures is {config['architectures']}, not a causal language model"
        )
    read_shapes(directory)


def check_reward_model(directory: Path) -> None:
    """See that a directory holds the project's own reward model: a known backbone and a whole scorer head.

    Raises:
        CheckpointError: It does not; the message names the file and the field.
    """
    file, config = directory / CONFIG_FILE, read_config(directory)
    if config["architectures"] != [REWARD_ARCHITECTURE]:
        raise CheckpointError(f"{file}: architectures is {config['architectures']}, not [{REWARD_ARCHITECTURE!r}]")
    if config.get("model_type") not in REWARD_BACKBONES:
        known = " or ".join(REWARD_BACKBONES)
        raise CheckpointError(f"{file}: model_type is {config.get('model_type')!r}, not {known}")
    for field in ("hidden_size", "scorer_hidden"):
        if not isinstance(config.get(field), int) or config[field] < 1:
            raise CheckpointError(f"{file}: {field} is {config.get(field)!r}, not a positive whole number")
    hidden, inner = config["hidden_size"], config["scorer_hidden"]
    head = {
        "scorer.0.weight": (inner, hidden),
        "scorer.0.bias": (inner,),
        "scorer.2.weight": (1, inner),
        "scorer.2.bias": (1,),
    }
    shapes = read_shapes(directory)
    for name, shape in head.items():
        if name not in shapes:
            raise CheckpointError(f"{directory}: {name} is missing from the weights")
        if shapes[name] != shape:
            raise CheckpointError(f"{directory}: {name} is {shapes[name]}, not {shape} as {CONFIG_FILE} says")


def read_config(directory: Path) -> dict[str, Any]:
    """Read config.json, in which `architectures` is a list of at least one name.

    Raises:
        CheckpointError: The file is missing or says something else.
    """
    config = _read_json(directory / CONFIG_FILE)
    names = config.get("architectures")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise CheckpointError(f"{directory / CONFIG_FILE}: architectures is {names!r}, not a list of names")
    return config


def read_shapes(directory: Path) -> Shapes:
    """Read the shapes of all weights from the headers of the safetensors files.

    Raises:
        CheckpointError: A file is missing or damaged.
    """
    files = _weight_files(directory)
    if not files:
        raise CheckpointError(f"{directory}: no *.safetensors file")
    shapes: dict[str, tuple[int, ...]] = {}
    for file in files:
        try:
            with safe_open(file, "pt") as weights:
                shapes |= {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118 - no mapping
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{file}: cannot be read ({error})") from error
    return shapes


def _weight_files(directory: Path) -> list[Path]:
    index = directory / INDEX_FILE
    if not index.exists():
        return sorted(directory.glob("*.safetensors"))
    names = _read_json(index).get("weight_map")
    if not isinstance(names, dict):
        raise CheckpointError(f"{index}: weight_map is {names!r}, not a table of file names")
    return sorted({directory / name for name in names.values()})


def _read_json(file: Path) -> dict[str, Any]:
    try:
        fields = json.loads(file.read_text())
    except OSError as error:
        raise CheckpointError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise CheckpointError(f"{file}: is not JSON ({error})") from error
    if not isinstance(fields, dict):
        raise CheckpointError(f"{file}: is not a JSON object")
    return fields
