"""Reward models as vLLM runs them, incrementally: a causal backbone and the head that the configuration describes.

A pooling model whose requests name positions and get the scores there. vLLM's own pooling of all tokens returns what
it has just computed and no more, so it reads the prefix cache only when told to; here it is told, and the result says
which of the positions it holds: those behind the cached prefix. The score of the last token alone is there for whoever
asks with vLLM's own words, `/classify`.

The backbone is any causal class of vLLM's registry (`backbones.py`). Knows nothing of steps.
"""

from collections.abc import Iterable, Iterator, Set

import torch
from torch import Tensor, nn
from vllm.config import VllmConfig
from vllm.model_executor.layers.pooler import DispatchPooler
from vllm.model_executor.layers.pooler.abstract import Pooler
from vllm.model_executor.model_loader.utils import configure_quant_config
from vllm.model_executor.model_loader.weight_utils import default_weight_loader
from vllm.model_executor.models.adapters import as_embedding_model
from vllm.model_executor.models.interfaces_base import default_pooling_type
from vllm.pooling_params import PoolingParams
from vllm.tasks import PoolingTask
from vllm.v1.outputs import PoolerOutput
from vllm.v1.pool.metadata import PoolingMetadata

from models.checkpoints.head import Activation, Head, scorer_head
from models.vllm.backbones import as_trained, causal_class
from models.vllm.settings import ARCHITECTURE

TASK: PoolingTask = "token_classify"
LAST: PoolingTask = "classify"
ACTIVATIONS: dict[Activation, type[nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU}


def scores_at(positions: list[int], *, read_cache: bool = True) -> PoolingParams:
    """Ask for the scores at `positions`, counted from 0 in ascending order.

    The result has a row (position, score) for each position that was computed: with `read_cache` those behind the
    cached prefix, of which the last token of the request is always one.
    """
    return PoolingParams(task=TASK, skip_reading_prefix_cache=not read_cache, extra_kwargs={"positions": positions})


class PositionPooler(Pooler):
    """Runs the head at the positions that requests ask for.

    Args:
        head: From hidden states (N, H) to logits (N, 1), or (N, 2) for the classes wrong and right; in float32.
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self._head = head

    def get_supported_tasks(self) -> Set[PoolingTask]:
        """The one task: a score for single tokens."""
        return {TASK}

    def forward(self, hidden_states: Tensor, pooling_metadata: PoolingMetadata) -> PoolerOutput:
        """Score one batch, in which a long request may be a chunk of its tokens.

        Args:
            hidden_states: Of all requests in a row, (T, H).
            pooling_metadata: Says which tokens these are, and keeps the rows of earlier chunks.

        Returns:
            For each request rows (position, score), (P, 2); None for one that is not at its end.
        """
        cursor = pooling_metadata.get_pooling_cursor()
        first_row, rows, positions, num_asked = 0, [], [], []
        for params, num_tokens, end in zip(
            pooling_metadata.pooling_params,
            cursor.num_scheduled_tokens_cpu.tolist(),
            cursor.seq_lens_cpu.tolist(),
            strict=True,
        ):
            start = end - num_tokens
            asked = [position for position in _positions(params) if start <= position < end]
            rows += [first_row + position - start for position in asked]
            positions += asked
            num_asked.append(len(asked))
            first_row += num_tokens

        scores = _scores(self._head, hidden_states[rows])  # (P, 1)
        table = torch.cat([torch.tensor(positions, dtype=torch.float32, device=scores.device)[:, None], scores], dim=1)
        output: list[Tensor | None] = []
        for chunk, state, is_finished in zip(
            torch.split(table, num_asked), pooling_metadata.pooling_states, cursor.is_finished().tolist(), strict=True
        ):
            state.hidden_states_cache.append(chunk)
            output.append(torch.cat(state.hidden_states_cache) if is_finished else None)
            if is_finished:
                state.clean()
        return output


class LastPooler(Pooler):
    """Runs the head at the last token.

    Args:
        head: As that of `PositionPooler`.
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self._head = head

    def get_supported_tasks(self) -> Set[PoolingTask]:
        """The one task: a score for the whole."""
        return {LAST}

    def forward(self, hidden_states: Tensor, pooling_metadata: PoolingMetadata) -> PoolerOutput:
        """Score one batch.

        Args:
            hidden_states: Of all requests in a row, (T, H).
            pooling_metadata: Says which tokens are the last.

        Returns:
            A score for each request, (B, 1); vLLM drops that of a request that is not at its end.
        """
        return _scores(self._head, hidden_states[pooling_metadata.get_pooling_cursor().last_token_indices_gpu])


@default_pooling_type(seq_pooling_type="LAST", tok_pooling_type="ALL")
class VLLMRewardModel(nn.Module):
    """A causal model of vLLM's registry with the head of a reward model in place of the one that gives words.

    Made by `reward_model_of` for the backbone that the configuration names. A configuration without `winnow_head` has
    the head of `models.prm.reward_model`.
    """

    is_pooling_model = True

    def __new__(cls, *, vllm_config: VllmConfig, prefix: str = "") -> nn.Module:  # type: ignore[misc]  # what it stands for
        """Make the model of the configuration's backbone, and tell the quantisation which of its layers are fused."""
        kind = reward_model_of(causal_class(vllm_config.model_config.hf_config.model_type))
        if vllm_config.quant_config is not None:
            configure_quant_config(vllm_config.quant_config, kind)
        with as_trained(vllm_config.model_config.hf_config):
            return kind(vllm_config=vllm_config, prefix=prefix)

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        """Say to vLLM what it is made of; `__new__` returns another class."""

    def embed_input_ids(self, input_ids: Tensor) -> Tensor:
        """Embeddings (T, H) of token ids (T,); vLLM looks for the method's name."""
        raise NotImplementedError

    def forward(self, input_ids: Tensor | None, positions: Tensor) -> Tensor:
        """Hidden states (T, H) of token ids (T,); vLLM looks for the arguments' names."""
        raise NotImplementedError


def reward_model_of(backbone: type[nn.Module]) -> type[nn.Module]:
    """The class of reward models with a backbone: a causal class of vLLM's, whose own head is left out."""

    class RewardModel(as_embedding_model(backbone)):  # type: ignore[misc]  # a class that is made at run time
        def _init_pooler(self, vllm_config: VllmConfig, prefix: str = "") -> DispatchPooler:
            config = vllm_config.model_config.hf_config
            described = getattr(config, "winnow_head", None)
            head = scorer_head(config.scorer_hidden) if described is None else Head.from_json(described)
            self.head = build_head(head, config.hidden_size)
            self._layers = {name: 2 * index for index, (name, _) in enumerate(head.layers)}
            return DispatchPooler({TASK: PositionPooler(self.head), LAST: LastPooler(self.head)})

        def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> set[str]:
            """Take the head's weights, leave the backbone's to vLLM; return the names of those taken."""
            taken: set[str] = set()
            backbones = self._without_head(weights, taken)
            return set(super().load_weights(backbones)) | taken

        def _without_head(self, weights: Iterable[tuple[str, Tensor]], taken: set[str]) -> Iterator[tuple[str, Tensor]]:
            for name, weight in weights:
                layer, _, part = name.rpartition(".")
                if layer in self._layers:
                    own = f"{self._layers[layer]}.{part}"
                    default_weight_loader(self.head.get_parameter(own), weight)
                    taken.add(f"head.{own}")
                else:
                    yield name, weight

    RewardModel.__name__ = RewardModel.__qualname__ = f"{ARCHITECTURE}Of{backbone.__name__}"
    return RewardModel


def build_head(head: Head, hidden_size: int) -> nn.Sequential:
    """The head in float32: linear layers at the even places, activations between them."""
    layers: list[nn.Module] = []
    for _, size in head.layers:
        layers += [nn.Linear(hidden_size, size, dtype=torch.float32), ACTIVATIONS[head.activation]()]
        hidden_size = size
    return nn.Sequential(*layers[:-1])


def _scores(head: nn.Module, hidden_states: Tensor) -> Tensor:
    """Scores (P, 1) of hidden states (P, H)."""
    logits: Tensor = head(hidden_states.float())  # (P, 1) or (P, 2)
    return logits.diff(dim=1, prepend=logits.new_zeros(len(logits), 2 - logits.shape[1])).sigmoid()


def _positions(params: PoolingParams) -> list[int]:
    positions: list[int] = (params.extra_kwargs or {}).get("positions", [])  # none in vLLM's own trial run
    return positions
