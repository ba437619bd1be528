"""The project's own process reward model as a plain PyTorch module: what is trained, and what served scores must equal.

A causal backbone, any that transformers has, and a scorer head `Linear -> SiLU -> Linear`; the sigmoid at every
position is the probability that the response is right so far, and is read where a step ends. On disk it is a Hugging
Face checkpoint: the backbone's weights have the names that they have in the causal language model (mostly `model.*`),
the scorer's are `scorer.0.*` and `scorer.2.*`, so `AutoModel` loads the backbone. Knows nothing of tokenizers, steps or
engines.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig
from transformers.core_model_loading import revert_weight_conversion
from transformers.utils.logging import disable_progress_bar, enable_progress_bar

from models.errors import CheckpointError

ARCHITECTURE = "WinnowRewardModel"
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
SCORER = "scorer."
"""What the names of the scorer's weights begin with on disk."""


class RewardModel(nn.Module):
    """Causal backbone and scorer head.

    Args:
        config: Of the backbone, with the extra key `scorer_hidden`: width of the scorer's inner layer.

    Source: the `TestTimeCompute` module of Edifice, for the head.
    """

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        self.config = config
        self.model = AutoModel.from_config(config)  # type: ignore[no-untyped-call]  # transformers leaves it untyped
        self.scorer = nn.Sequential(
            nn.Linear(config.hidden_size, config.scorer_hidden), nn.SiLU(), nn.Linear(config.scorer_hidden, 1)
        )

    def encode(self, token_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Hidden states of the backbone, (B, T, H), of token ids (B, T)."""
        output = self.model(input_ids=token_ids, attention_mask=attention_mask, use_cache=False)
        hidden: Tensor = output.last_hidden_state
        return hidden

    def judge(self, hidden: Tensor) -> Tensor:
        """Logits of the scorer, (...), of hidden states (..., H), in the scorer's precision."""
        logits: Tensor = self.scorer(hidden.to(next(self.scorer.parameters()).dtype))
        return logits.squeeze(-1)

    def forward(self, token_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Probability that the response is right up to each position.

        Args:
            token_ids: The policy's prompt and response, (B, T), padded on the right.
            attention_mask: 1 where there is a token, 0 where there is padding, (B, T); None for no padding.

        Returns:
            Scores in [0, 1], (B, T). A later token never changes an earlier score.
        """
        return self.judge(self.encode(token_ids, attention_mask)).sigmoid()


def save_reward_model(model: RewardModel, directory: Path, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write the checkpoint: the backbone in `dtype`, the scorer, which is small and decides, in float32."""
    directory.mkdir(parents=True, exist_ok=True)
    model.config.architectures = [ARCHITECTURE]
    model.config.dtype = str(dtype).removeprefix("torch.")
    model.config.save_pretrained(directory)
    backbone = revert_weight_conversion(model.model, model.model.state_dict())
    prefix = model.model.base_model_prefix
    weights = {f"{prefix}.{name}": weight.detach().to(dtype) for name, weight in backbone.items()}
    weights |= {f"{SCORER}{name}": weight.detach().float() for name, weight in model.scorer.state_dict().items()}
    weights = {name: weight.contiguous() for name, weight in weights.items()}
    save_file(weights, directory / WEIGHTS_FILE, metadata={"format": "pt"})


def load_reward_model(directory: Path) -> RewardModel:
    """Read a checkpoint in float32.

    Raises:
        CheckpointError: A file is missing or damaged, or its contents do not fit together.
    """
    model = RewardModel(_read_config(directory / CONFIG_FILE))
    weights_file = directory / WEIGHTS_FILE
    try:
        weights = load_file(weights_file)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{weights_file}: cannot be read ({error})") from error
    if broken := sorted(name for name, weight in weights.items() if not weight.isfinite().all()):
        raise CheckpointError(f"{weights_file}: {broken[0]} holds NaN or infinity")
    scorer = {name: weights.pop(name) for name in list(weights) if name.startswith(SCORER)}
    try:
        model.load_state_dict(model.model.state_dict(prefix="model.") | scorer)
        model.model, found = _load_backbone(model, weights)
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{weights_file}: does not fit {CONFIG_FILE} ({reason})") from error
    if missing := sorted(found["missing_keys"]):
        raise CheckpointError(f"{weights_file}: does not fit {CONFIG_FILE} ({missing[0]} is missing)")
    return model.eval()


def _load_backbone(model: RewardModel, weights: dict[str, Tensor]) -> tuple[Any, dict[str, Any]]:
    """The backbone with weights from disk, and what transformers found of them; without its progress bar."""
    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    try:
        found: tuple[Any, dict[str, Any]] = type(model.model).from_pretrained(
            None, config=model.config, state_dict=weights, dtype=torch.float32, output_loading_info=True
        )
        return found
    finally:
        enable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it untyped


def _read_config(file: Path) -> PretrainedConfig:
    try:
        fields = json.loads(file.read_text())
        config = AutoConfig.for_model(fields.pop("model_type"), **fields)
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{file}: cannot be read ({error})") from error
    if ARCHITECTURE not in (config.architectures or []):
        raise CheckpointError(f"{file}: architectures is {config.architectures}, not [{ARCHITECTURE!r}]")
    if not isinstance(getattr(config, "scorer_hidden", None), int):
        raise CheckpointError(f"{file}: scorer_hidden is missing")
    config.dtype = torch.float32
    return config
