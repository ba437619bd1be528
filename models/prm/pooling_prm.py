"""What the reward models with a head have in common: one request gives the scores at the positions where steps end.

What the engine has read before comes from its prefix cache: a step costs its own tokens and, where that knows whole
blocks alone, what is left of one (16 tokens). The cache holds no scores: where a step to be judged lies in the cached
prefix itself, since another candidate had it too, a request that ends with it computes its end again.

Knows nothing of formats: a subclass lays out the tokens.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

from models.checkpoints.head import Head, check_headed_model
from models.engine_client import EngineClient, require_room
from models.engines.running import ModelSettings
from models.errors import EngineUnavailableError
from models.interfaces import Meter, Problem, Step
from models.prm.layout import Layout
from models.prm.served import Served
from models.vllm.settings import ARCHITECTURE


class PoolingPRM(ABC):
    """A process reward model with a head.

    Args:
        engine: Runs the model.
    """

    def __init__(self, engine: EngineClient) -> None:
        self.engine = engine

    @abstractmethod
    def lay_out(self, problem: Problem, steps: Sequence[Step]) -> Layout:
        """Write a response as the model was trained to read it; another step only appends tokens."""

    async def score(
        self, problem: Problem, prefix: Sequence[Step], steps: Sequence[Step], meter: Meter
    ) -> tuple[float, ...]:
        """Judge `steps`, which follow `prefix` in a response. The tokens of a call that is cancelled are not counted.

        Raises:
            ContextOverflowError: The response is longer than the verifier's context.
            EngineUnavailableError: The engine died or refused the request.
        """
        layout = self.lay_out(problem, (*prefix, *steps))
        require_room(self.engine, len(layout.token_ids))
        ends = layout.ends[len(prefix) :]
        scores: dict[int, float] = {}
        while missing := [end for end in ends if end not in scores]:
            scores |= await self._score_at(problem, missing, layout.token_ids[: missing[-1] + 1], meter)
        return tuple(scores[end] for end in ends)

    async def _score_at(
        self, problem: Problem, positions: list[int], token_ids: Sequence[int], meter: Meter
    ) -> Mapping[int, float]:
        """Scores at those of `positions` that lie behind the cached prefix; the last token always does.

        Raises:
            EngineUnavailableError: There is none at the last token, or one that is no score.
        """
        output = await self.engine.score(token_ids, positions, affinity=problem.opening)
        meter.verifier_cached_tokens += output.num_cached_tokens
        meter.verifier_tokens += len(token_ids) - output.num_cached_tokens
        if positions[-1] not in output.scores or not all(0 <= score <= 1 for score in output.scores.values()):
            raise EngineUnavailableError("the verifier gives no score from 0 to 1 where it was asked to")
        return output.scores


def check_reward_model(settings: ModelSettings, head: Head) -> None:
    """See that the directory of a verifier holds a reward model with `head`, and that an engine here can run it.

    Raises:
        CheckpointError: It does not, or no engine can; the message names the file and the field.
    """
    if settings.has_weights:
        from models.vllm.backbones import require_backbone  # vLLM, which a gateway does without

        require_backbone(settings.model)
    check_headed_model(settings.model, head, with_weights=settings.has_weights)


def pooled(head: Head, build: Callable[[EngineClient], PoolingPRM]) -> Served:
    """Have the project's own model class run a head, whatever architecture config.json names."""
    return Served("pooling", build, {"architectures": [ARCHITECTURE], "winnow_head": head.to_json()})
