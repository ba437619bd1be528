"""Whether the weights of a checkpoint are those of the backbone that config.json describes.

Knows what transformers makes of config.json, in shapes alone. Knows neither an engine nor architectures that
transformers lacks, and leaves weights to the engine whose names on disk are not those in the model (experts).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from models.checkpoints.checkpoint import CONFIG_FILE
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
    if config.get("model_type") in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        require_backbone(weights, config, directory, with_words=with_words)
    require_finite(weights)


def require_backbone(
    weights: Mapping[str, Weight], config: Mapping[str, Any], directory: Path, *, with_words: bool = False
) -> None:
    """See that the weights of a causal model that transformers has are there, as config.json would have them.

    Args:
        weights: Of the checkpoint.
        config: config.json.
        directory: Of the checkpoint.
        with_words: Whether the head that gives words must be there, too.

    Raises:
        CheckpointError: One is missing or of another shape, or config.json makes no model.
    """
    kind: Any = AutoModelForCausalLM if with_words else AutoModel
    try:
        with torch.device("meta"):
            model: PreTrainedModel = kind.from_config(AutoConfig.for_model(**config))
    except (StrictDataclassError, ArithmeticError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(f"{directory / CONFIG_FILE}: {' '.join(str(error).split())}") from error
    if "quantization_config" in config or get_model_conversion_mapping(model, add_legacy=False):
        return  # such weights have other names and shapes
    prefix = f"{model.base_model_prefix}."
    is_bare = not any(name.startswith(prefix) for name in weights)  # saved by the model without a head
    shapes = {name.removeprefix(prefix): tuple(weight.shape) for name, weight in model.named_parameters()}
    heads = {name for name, _ in model.named_parameters() if with_words and not name.startswith(prefix)}
    named = {name if is_bare or name in heads else prefix + name: shape for name, shape in shapes.items()}
    require_shapes(weights, named, directory)
