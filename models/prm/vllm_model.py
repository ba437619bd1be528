"""The project's reward model as vLLM runs it: the weights of `reward_model.py`, incrementally.

A pooling model whose requests name positions and get the scores there. vLLM's own pooling of all tokens returns what
it has just computed and no more, so it reads the prefix cache only when told to; here it is told, and the result says
which of the positions it holds: those behind the cached prefix.

The only file under `models/prm/` that imports vLLM's internal modules. Knows nothing of steps.
"""

from collections.abc import Callable, Iterable, Set

import torch
from torch import Tensor, nn
from vllm.config import VllmConfig
from vllm.model_executor.layers.pooler import DispatchPooler
from vllm.model_executor.layers.pooler.abstract import Pooler
from vllm.model_executor.models.interfaces_base import default_pooling_type
from vllm.model_executor.models.llama import LlamaModel
from vllm.model_executor.models.qwen2 import Qwen2Model
from vllm.model_executor.models.utils import AutoWeightsLoader, maybe_prefix
from vllm.pooling_params import PoolingParams
from vllm.sequence import IntermediateTensors
from vllm.tasks import PoolingTask
from vllm.v1.outputs import PoolerOutput
from vllm.v1.pool.metadata import PoolingMetadata

TASK: PoolingTask = "token_classify"
BACKBONES: dict[str, Callable[..., nn.Module]] = {"llama": LlamaModel, "qwen2": Qwen2Model}


def scores_at(positions: list[int], *, read_cache: bool = True) -> PoolingParams:
    """Ask for the scores at `positions`, counted from 0 in ascending order.

    The result has a row (position, score) for each position that was computed: with `read_cache` those behind the
    cached prefix, of which the last token of the request is always one.
    """
    return PoolingParams(task=TASK, skip_reading_prefix_cache=not read_cache, extra_kwargs={"positions": positions})


class PositionPooler(Pooler):
    """Runs the scorer at the positions that requests ask for.

    Args:
        scorer: From hidden states (N, H) to logits (N, 1), in float32.
    """

    def __init__(self, scorer: nn.Module) -> None:
        super().__init__()
        self._scorer = scorer

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

        scores = self._scorer(hidden_states[rows].float()).sigmoid()  # (P, 1)
        table = torch.cat([torch.tensor(positions, dtype=torch.float32, device=scores.device)[:, None], scores], dim=1)
        output: list[Tensor | None] = []
        for chunk, state, is_finished in zip(
            torch.split(table, num_asked), pooling_metadata.pooling_states, cursor.get_finished_mask(), strict=True
        ):
            state.hidden_states_cache.append(chunk)
            output.append(torch.cat(state.hidden_states_cache) if is_finished else None)
            if is_finished:
                state.clean()
        return output


@default_pooling_type(tok_pooling_type="ALL")
class VLLMRewardModel(nn.Module):
    """Causal backbone and scorer head, as `models.prm.reward_model.RewardModel` writes them."""

    is_pooling_model = True

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__()
        config = vllm_config.model_config.hf_config
        self.model = BACKBONES[config.model_type](vllm_config=vllm_config, prefix=maybe_prefix(prefix, "model"))
        self.scorer = nn.Sequential(
            nn.Linear(config.hidden_size, config.scorer_hidden, dtype=torch.float32),
            nn.SiLU(),
            nn.Linear(config.scorer_hidden, 1, dtype=torch.float32),
        )
        self.pooler = DispatchPooler({TASK: PositionPooler(self.scorer)})

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
        """Take the checkpoint's weights; return the names of those taken."""
        return AutoWeightsLoader(self).load_weights(weights)


def _positions(params: PoolingParams) -> list[int]:
    positions: list[int] = (params.extra_kwargs or {}).get("positions", [])  # none in vLLM's own trial run
    return positions
