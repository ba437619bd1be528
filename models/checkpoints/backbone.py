"""Whether the weights of a checkpoint are those of the backbone that config.json describes.

Knows what transformers makes of config.json, in shapes alone. Does not know an engine.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, AutoModel, PreTrainedModel

from models.checkpoints.checkpoint import BACKBONES, CONFIG_FILE
from models.checkpoints.weights import Weight, read_weights, require_finite, require_shapes
from models.errors import CheckpointError


def check_weights(
    config: Mapping[str, Any],
    directory: Path,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    *,
    with_words: bool = False,
) -> None:
    """See that a checkpoint holds the weights of its backbone and those of `shapes`, all of them finite.

    Args:
        config: config.json.
        directory: Of the checkpoint.
        shapes: Of the head, by name; None for no head.
        with_words: Whether the head that gives words must be there, too.

    Raises:
        CheckpointError: One is missing, of another shape or not finite, or config.json makes no model.
    """
    weights = read_weights(directory)
    require_shapes(weights, shapes or {}, directory)
    if config.get("model_type") in BACKBONES:
        require_backbone(weights, config, directory, with_words=with_words)
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
