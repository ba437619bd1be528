"""Finds the directory of a checkpoint and reads its small files, with an error that names the file and the field.

Knows Hugging Face checkpoints on disk by the names of their files and by config.json, and loads torch only to look into
weights (`models/checkpoints/backbone.py`), so that a wrong directory is reported at once.
"""

import json
import re
from pathlib import Path
from typing import Any

from models.checkpoints import nature
from models.errors import CheckpointError

CONFIG_FILE = "config.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json")
CAUSAL_SUFFIXES = ("ForCausalLM", "LMHeadModel")
TEXTS = ("*.json", "*.jinja", "*.model")
WEIGHTS = "*.safetensors"
PICKLE_PATTERN = "pytorch_model*.bin"
"""Weights of models that have no safetensors."""


def find_directory(name: str | Path) -> Path | None:
    """Return the directory of a checkpoint; None for a Hub name (`owner/model`).

    Raises:
        CheckpointError: There is no such directory, and it is no Hub name.
    """
    directory = Path(name)
    if directory.is_dir():
        return directory
    if directory.is_file() or not re.fullmatch(r"[\w.-]+/[\w.-]+", str(name)):
        raise CheckpointError(f"{directory}: {nature.other_than_folder(directory) or 'no such directory'}")
    return None


def find_model(name: str | Path, *, with_weights: bool = True) -> Path:
    """Return the directory of a checkpoint; a Hub name (`owner/model`) is downloaded, or taken from the Hub's cache.

    Args:
        name: Of a directory or on the Hub.
        with_weights: Whether weights are downloaded, too.

    Raises:
        CheckpointError: There is no such directory, and no such name on the Hub.
    """
    if (found := find_directory(name)) is not None:
        return found
    from models.checkpoints.hub import download_model  # 90 modules that a folder does without

    return download_model(str(name), with_weights=with_weights)


def require_files(directory: Path, *, with_weights: bool = True) -> None:
    """See that a directory holds the files of a checkpoint: config.json, a tokenizer and weights.

    Raises:
        CheckpointError: One is missing or config.json cannot be used.
    """
    read_config(directory)
    if not any((directory / name).exists() for name in TOKENIZER_FILES):
        raise CheckpointError(f"{directory / TOKENIZER_FILES[0]}: No such file or directory")
    if with_weights and not any(any(directory.glob(pattern)) for pattern in (WEIGHTS, PICKLE_PATTERN)):
        raise CheckpointError(f"{directory}: no {WEIGHTS} file, and no {PICKLE_PATTERN} file")


def check_causal_model(directory: Path, *, with_weights: bool = True) -> None:
    """See that a directory holds a causal language model; without `with_weights`, what it says of one.

    Raises:
        CheckpointError: It does not; the message names the file and the field.
    """
    config = read_config(directory)
    if not config["architectures"][0].endswith(CAUSAL_SUFFIXES):
        raise CheckpointError(f"{directory / CONFIG_FILE}: {nature.unable_to_write(config)}")
    if not with_weights:
        return
    from models.checkpoints.backbone import check_weights  # torch, which a gateway does without

    check_weights(config, directory, with_words=True)


def read_config(directory: Path) -> dict[str, Any]:
    """Read config.json, in which `architectures` is a list of at least one name.

    Raises:
        CheckpointError: The file is missing or says something else.
    """
    if not (directory / CONFIG_FILE).exists() and (what := nature.without_config(directory)) is not None:
        raise CheckpointError(f"{directory}: {what}")
    config = read_json(directory / CONFIG_FILE)
    names = config.get("architectures")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise CheckpointError(f"{directory / CONFIG_FILE}: architectures is {names!r}, not a list of names")
    return config


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CheckpointError: The file is missing or holds something else.
    """
    try:
        fields = json.loads(file.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file}: is not JSON ({error})") from error
    if not isinstance(fields, dict):
        raise CheckpointError(f"{file}: is not a JSON object")
    return fields
