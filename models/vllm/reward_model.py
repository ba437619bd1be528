"""Reward models as vLLM runs them, incrementally: a causal backbone and the head that the configuration describes.

A pooling model whose requests name positions and get the scores there. vLLM's own pooling of all tokens returns what
it has just computed and no more, so it reads the prefix cache only when told to; here it is told, and the result says
which of the positions it holds: those behind the cached prefix. The score of the last token alone is there for whoever
asks with vLLM's own words, `/classify`.

With `endpoint.py` the only file under `models/prm/` that imports vLLM's internal modules. Knows nothing of steps.
"""

from collections.abc import Callable, Iterable, Set

import torch
from torch import Tensor, nn
from vllm.config import VllmConfig
from vllm.model_executor.layers.pooler import DispatchPooler
from vllm.model_executor.layers.pooler.abstract import Pooler
from vllm.model_executor.models.interfaces_base import default_pooling_type
from vllm.model_executor.models.llama import LlamaModel
from vllm.model_executor.models.mistral import MistralModel
from vllm.model_executor.models.qwen2 import Qwen2Model
from vllm.model_executor.models.utils import AutoWeightsLoader, WeightsMapper, maybe_prefix
from vllm.pooling_params import PoolingParams
from vllm.sequence import IntermediateTensors
from vllm.tasks import PoolingTask
from vllm.v1.outputs import PoolerOutput
from vllm.v1.pool.metadata import PoolingMetadata

from models.checkpoints.head import Activation, Head, scorer_head

TASK: PoolingTask = "token_classify"
LAST: PoolingTask = "classify"
BACKBONES: dict[str, Callable[..., nn.Module]] = {"llama": LlamaModel, "mistral": MistralModel, "qwen2": Qwen2Model}
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
    """Causal backbone and head; a configuration without `winnow_head` has that of `models.prm.reward_model`."""

    is_pooling_model = True

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__()
        config = vllm_config.model_config.hf_config
        described = getattr(config, "winnow_head", None)
        head = scorer_head(config.scorer_hidden) if described is None else Head.from_json(described)
        self.model = BACKBONES[config.model_type](vllm_config=vllm_config, prefix=maybe_prefix(prefix, "model"))
        self.head = build_head(head, config.hidden_size)
        self._names = {f"{name}.": f"head.{2 * index}." for index, (name, _) in enumerate(head.layers)}
        self.pooler = DispatchPooler({TASK: PositionPooler(self.head), LAST: LastPooler(self.head)})

    def embed_input_ids(self, input_ids: Tensor) -> Tensor:
        """Embeddings (T, H) of token ids (T,)."""
        embeddings: Tensor = self.model.get_submodule("embed_tokens")(input_ids)
        return embeddings

    def forward(
        self,
        input_ids: Tensor | None,
        positions: Tensor,
        intermediate_tensors: IntermediateTensors | None = None,
        inputs_embeds: Tensor | None = None,
    ) -> Tensor | IntermediateTensors:
        """Hidden states (T, H) of token ids (T,)."""
        hidden: Tensor | IntermediateTensors = self.model(input_ids, positions, intermediate_tensors, inputs_embeds)
        return hidden

    def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> set[str]:
        """Take the checkpoint's weights, but for an `lm_head` that has no use here; return the names of those taken."""
        loader = AutoWeightsLoader(self, ignore_unexpected_prefixes=["lm_head."])
        return loader.load_weights(weights, mapper=WeightsMapper(orig_to_new_prefix=self._names))


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
