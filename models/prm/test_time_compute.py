"""The seed's verifier, `TestTimeCompute`: a small causal backbone and a scorer at every position, trained from nothing.

The backbone mixes positions by attention, by TTT layers, or by the two in turn. On disk it is config.json with the
options and model.safetensors in float32. Knows nothing of tokenizers, steps or engines.
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from models.checkpoints.checkpoint import CONFIG_FILE, read_config
from models.checkpoints.weights import read_weights, require_finite, require_shapes
from models.errors import CheckpointError
from models.prm.blocks import Attention, Block
from models.prm.ttt import TTTLinear

ARCHITECTURE = "TestTimeCompute"
WEIGHTS_FILE = "model.safetensors"
BACKBONES = ("attention", "ttt", "alternating")
NORM_EPS = 1e-5
EMBEDDING_STD = 0.02


@dataclass(frozen=True, slots=True)
class Options:
    """What a `TestTimeCompute` is built from.

    Attributes:
        embed_dim: Size of the input embeddings; projected to `hidden_size` where it is another.
        hidden_size: Of the backbone, a multiple of `num_heads`, by an even factor.
        num_layers: Blocks of the backbone.
        num_heads: Of the queries, a multiple of `num_kv_heads`.
        num_kv_heads: Of keys and values.
        scorer_hidden: Width of the scorer's inner layer.
        dropout: Rate while training, in [0, 1).
        vocab_size: With it the module has an embedding and takes token ids; None takes embeddings.
        backbone: "attention", "ttt" (TTT-Linear layers in its place), or "alternating" (attention first).
    """

    embed_dim: int
    hidden_size: int = 256
    num_layers: int = 4
    num_heads: int = 4
    num_kv_heads: int = 2
    scorer_hidden: int = 128
    dropout: float = 0.1
    vocab_size: int | None = None
    backbone: str = "attention"

    def __post_init__(self) -> None:
        """Refuse what makes no module."""
        for name in ("embed_dim", "hidden_size", "num_layers", "num_heads", "num_kv_heads", "scorer_hidden"):
            _require_positive(name, getattr(self, name))
        if self.vocab_size is not None:
            _require_positive("vocab_size", self.vocab_size)
        if self.num_heads % self.num_kv_heads:
            raise ValueError(f"num_kv_heads is {self.num_kv_heads}; allowed: divisors of num_heads {self.num_heads}")
        if self.hidden_size % (2 * self.num_heads):
            raise ValueError(f"hidden_size is {self.hidden_size}; allowed: multiples of {2 * self.num_heads}")
        if isinstance(self.dropout, bool) or not isinstance(self.dropout, int | float) or not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout!r}; allowed: at least 0 and below 1")
        if self.backbone not in BACKBONES:
            raise ValueError(f"backbone is {self.backbone!r}; allowed: {', '.join(BACKBONES)}")


@dataclass(frozen=True, slots=True)
class Output:
    """What a `TestTimeCompute` makes of a sequence.

    Attributes:
        backbone: Hidden states, (B, T, hidden_size).
        scores: Logits of the scorer, (B, T, 1); their sigmoid is the probability that all is right so far.
        states: Of the layers after the sequence; given back with what follows it, they stand for it.
    """

    backbone: Tensor
    scores: Tensor
    states: tuple[Any, ...]


class Backbone(nn.Module):
    """Blocks between an input projection and a norm, over an embedding if there is a vocabulary."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        size = options.hidden_size
        self.embed_tokens = None if options.vocab_size is None else nn.Embedding(options.vocab_size, options.embed_dim)
        self.input_projection = None if options.embed_dim == size else nn.Linear(options.embed_dim, size)
        self.layers = nn.ModuleList(
            Block(_mixer(options, layer), size, options.dropout) for layer in range(options.num_layers)
        )
        self.norm = nn.LayerNorm(size, eps=NORM_EPS)

    def forward(self, inputs: Tensor, states: tuple[Any, ...] | None = None) -> tuple[Tensor, tuple[Any, ...]]:
        """Hidden states, (B, T, H), of embeddings or token ids that follow `states`, and the states after them."""
        hidden = inputs if self.embed_tokens is None else self.embed_tokens(inputs)
        if self.input_projection is not None:
            hidden = self.input_projection(hidden)
        after = []
        for layer, state in zip(self.layers, states or [None] * len(self.layers), strict=True):
            hidden, state = layer(hidden, state)
            after.append(state)
        return self.norm(hidden), tuple(after)


class TestTimeCompute(nn.Module):
    """Causal backbone and scorer, of the `Options` embed_dim and whatever others are given.

    Raises:
        ValueError: An option is unknown or not allowed.

    Source: `Edifice.Meta.TestTimeCompute`.
    Beyond the source: token ids through an embedding; TTT layers; states that stand for what was read before.
    """

    __test__ = False  # no test, whatever its name

    def __init__(self, embed_dim: int, **options: Any) -> None:
        super().__init__()
        self.options = read_options({"embed_dim": embed_dim, **options})
        self.model = Backbone(self.options)
        self.scorer = nn.Sequential(
            nn.Linear(self.options.hidden_size, self.options.scorer_hidden),
            nn.SiLU(),
            nn.Dropout(self.options.dropout),
            nn.Linear(self.options.scorer_hidden, 1),
        )
        self.apply(_initialise)

    def forward(self, inputs: Tensor, states: tuple[Any, ...] | None = None) -> Output:
        """Score every position.

        Args:
            inputs: Embeddings, (B, T, embed_dim), or with a `vocab_size` token ids, (B, T); padded on the right.
            states: Of an earlier output, whose sequence `inputs` goes on; None starts anew.

        Raises:
            ValueError: `inputs` are neither.
        """
        self._require_inputs(inputs)
        hidden, states = self.model(inputs, states)
        return Output(hidden, self.scorer(hidden), states)

    def encode(self, token_ids: Tensor) -> Tensor:
        """Hidden states of the backbone, (B, T, H), of token ids (B, T)."""
        hidden: Tensor = self.model(token_ids)[0]
        return hidden

    def judge(self, hidden: Tensor) -> Tensor:
        """Logits of the scorer, (...), of hidden states (..., H)."""
        logits: Tensor = self.scorer(hidden)
        return logits.squeeze(-1)

    def output_size(self) -> int:
        """Size of the backbone's hidden states."""
        return self.options.hidden_size

    @staticmethod
    def recommended_defaults() -> dict[str, Any]:
        """The seed's options, without `embed_dim`, which has no default."""
        names = ("hidden_size", "num_layers", "num_heads", "num_kv_heads", "scorer_hidden", "dropout")
        return {field.name: field.default for field in fields(Options) if field.name in names}

    @staticmethod
    def select_best_of_n(scores: Tensor) -> Tensor:
        """Index of the best of N candidates, (B,), by their scores (N, B); the first of those that are equal.

        Raises:
            ValueError: The scores have another shape, or none are given.
        """
        if scores.ndim != 2 or not len(scores):
            raise ValueError(f"scores are {tuple(scores.shape)}; allowed: (N, batch), N at least 1")
        return scores.argmax(dim=0)

    def _require_inputs(self, inputs: Tensor) -> None:
        if self.options.vocab_size is None:
            is_fit = inputs.ndim == 3 and inputs.shape[-1] == self.options.embed_dim and inputs.is_floating_point()
            allowed = f"embeddings (batch, seq_len, {self.options.embed_dim})"
        else:
            is_fit = inputs.ndim == 2 and not inputs.is_floating_point()
            allowed = f"token ids (batch, seq_len) below {self.options.vocab_size}"
        if not is_fit:
            raise ValueError(f"inputs are {tuple(inputs.shape)} of {inputs.dtype}; allowed: {allowed}")


def save_test_time_compute(model: TestTimeCompute, directory: Path) -> None:
    """Write the checkpoint, in float32."""
    directory.mkdir(parents=True, exist_ok=True)
    config = {"architectures": [ARCHITECTURE], **asdict(model.options)}
    (directory / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n")
    weights = {name: weight.detach().float().contiguous() for name, weight in model.state_dict().items()}
    save_file(weights, directory / WEIGHTS_FILE, metadata={"format": "pt"})


def load_test_time_compute(directory: Path) -> TestTimeCompute:
    """Read a checkpoint in float32.

    Raises:
        CheckpointError: A file is missing or damaged, or its contents do not fit together.
    """
    model = TestTimeCompute(**asdict(check_test_time_compute(directory)))
    model.load_state_dict({name: weight.tensor for name, weight in read_weights(directory).items()})
    return model.eval()


def check_test_time_compute(directory: Path) -> Options:
    """Read the options of a checkpoint, and see that its weights fit them and are numbers.

    Raises:
        CheckpointError: They do not; the message names the file and the field.
    """
    file, config = directory / CONFIG_FILE, read_config(directory)
    if (architectures := config.pop("architectures")) != [ARCHITECTURE]:
        raise CheckpointError(f"{file}: architectures is {architectures}, not [{ARCHITECTURE!r}]")
    try:
        options = read_options(config)
    except ValueError as error:
        raise CheckpointError(f"{file}: {error}") from error
    with torch.device("meta"):
        shapes = {name: tuple(weight.shape) for name, weight in TestTimeCompute(**config).state_dict().items()}
    weights = read_weights(directory)
    require_shapes(weights, shapes, directory)
    if extra := sorted(weights.keys() - shapes.keys()):
        raise CheckpointError(f"{weights[extra[0]].file}: {extra[0]} has no place in the model of {CONFIG_FILE}")
    require_finite(weights)
    return options


def read_options(given: dict[str, Any]) -> Options:
    """Options by name.

    Raises:
        ValueError: One is unknown, missing or not allowed.
    """
    names = [field.name for field in fields(Options)]
    if unknown := sorted(given.keys() - set(names)):
        raise ValueError(f"{unknown[0]} is no option; allowed: {', '.join(names)}")
    if "embed_dim" not in given:
        raise ValueError("embed_dim is missing")
    return Options(**given)


def _mixer(options: Options, layer: int) -> nn.Module:
    is_ttt = options.backbone == "ttt" or (options.backbone == "alternating" and layer % 2 == 1)
    return (TTTLinear if is_ttt else Attention)(options.hidden_size, options.num_heads, options.num_kv_heads)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=EMBEDDING_STD)


def _require_positive(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} is {value!r}; allowed: whole numbers of at least 1")
