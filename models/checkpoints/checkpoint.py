"""Reads model directories before an engine does: quickly, and with an error that names the file and the field.

Knows Hugging Face checkpoints on disk: config.json, the weights of the usual backbones, the tokenizer's file names.
Does not know what an engine makes of them, nor the heads of reward models (`models/prm/head.py`).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, AutoModel, PreTrainedModel

from models.checkpoints.weights import PICKLE_PATTERN, Weight, read_json, read_weights, require_finite, require_shapes
from models.errors import CheckpointError

CONFIG_FILE = "config.json"
TOKENIZER_FILE = "tokenizer.json"
CAUSAL_SUFFIXES = ("ForCausalLM", "LMHeadModel")
BACKBONES = ("llama", "mistral", "qwen2")
"""The `model_type`s whose weights have the same names on disk, in transformers and in vLLM."""
TEXTS = ["*.json", "*.jinja", "*.model"]
WEIGHTS = ["*.safetensors"]


def find_model(name: str | Path, *, with_weights: bool = True) -> Path:
    """Return the directory of a checkpoint; a Hub name (`owner/model`) is downloaded, or taken from the Hub's cache.

    Args:
        name: Of a directory or on the Hub.
        with_weights: Whether weights are downloaded, too.

    Raises:
        CheckpointError: There is no such directory, and no such name on the Hub.
    """
    directory = Path(name)
    if directory.is_dir():
        return directory
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", str(name)):
        raise CheckpointError(f"{directory}: no such directory")
    try:
        wanted = [*TEXTS, *(WEIGHTS if with_weights else ())]
        directory = Path(snapshot_download(str(name), allow_patterns=wanted))
        if with_weights and not list(directory.glob("*.safetensors")):
            snapshot_download(str(name), allow_patterns=[*wanted, PICKLE_PATTERN])
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{name}: neither a directory nor to be had from the Hub ({error})") from error
    return directory


def check_causal_model(directory: Path, *, with_weights: bool = True) -> None:
    """See that a directory holds a causal language model; without `with_weights`, what it says of one.

    Raises:
        CheckpointError: It does not; the message names the file and the field.
    """
    config = read_config(directory)
    if not config["architectures"][0].endswith(CAUSAL_SUFFIXES):
        raise CheckpointError(
            f"{directory / CONFIG_FILE}: architectures is {config['architectures']}, not a causal language model"
        )
    if not with_weights:
        return
    weights = read_weights(directory)
    if config.get("model_type") in BACKBONES:
        require_backbone(weights, config, directory, with_words=True)
    require_finite(weights)


def require_backbone(
    weights: Mapping[str, Weight], config: Mapping[str, Any], directory: Path, *, with_words: bool = False
) -> None:
    """See that the weights of one of `BACKBONES` are there, as config.json would have them.

    Args:
        weights: Of the checkpoint.
        config: config.json.
        directory: Of the checkpoint.
        with_words: Whether the head that gives words must be there, too.

    Raises:
        CheckpointError: One is missing or of another shape, or config.json makes no model.
    """
    try:
        with torch.device("meta"):
            model: PreTrainedModel = AutoModel.from_config(AutoConfig.for_model(**config))  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    except (StrictDataclassError, ArithmeticError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(f"{directory / CONFIG_FILE}: {' '.join(str(error).split())}") from error
    if "quantization_config" in config:
        return  # such weights have other names and shapes
    shapes = {f"model.{name}": tuple(weight.shape) for name, weight in model.named_parameters()}
    if with_words and not model.config.tie_word_embeddings:
        shapes["lm_head.weight"] = shapes["model.embed_tokens.weight"]
    require_shapes(weights, shapes, directory)


def read_config(directory: Path) -> dict[str, Any]:
    """Read config.json, in which `architectures` is a list of at least one name.

    Raises:
        CheckpointError: The file is missing or says something else.
    """
    config = read_json(directory / CONFIG_FILE)
    names = config.get("architectures")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise CheckpointError(f"{directory / CONFIG_FILE}: architectures is {names!r}, not a list of names")
    return config
