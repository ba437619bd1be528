"""The project's own reward model as a verifier, on an embedded vLLM engine that judges each token once.

A response reaches the verifier as the policy's own token ids, and only the ends of the steps in question are scored.
What the engine has read before comes from its prefix cache: a step costs its own tokens and what is left of a cached
block (32 tokens on a CPU). The cache holds no scores: where a step to be judged lies in the cached prefix itself, since
another candidate had it too, a request that ends with it computes it again, from the block it lies in.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from models.checkpoint import TOKENIZER_FILE, check_reward_model
from models.engine import Engine, EngineSettings, start_engine
from models.errors import CheckpointError, ContextOverflowError
from models.interfaces import Meter, Problem, Step
from models.prm.vllm_model import scores_at
from models.prompt import PromptBuilder
from models.tokenizer import ChatTokenizer


class VLLMVerifier:
    """The process reward model.

    Args:
        engine: Runs the model.
        prompts: The policy's.
    """

    def __init__(self, engine: Engine, prompts: PromptBuilder) -> None:
        self.engine = engine
        self._prompts = prompts

    async def score(
        self, problem: Problem, prefix: Sequence[Step], steps: Sequence[Step], meter: Meter
    ) -> tuple[float, ...]:
        """Judge `steps`, which follow `prefix` in a response. The tokens of a call that is cancelled are not counted.

        Raises:
            ContextOverflowError: The response is longer than the verifier's context.
            EngineUnavailableError: The engine died or refused the request.
        """
        token_ids = [*self._prompts.build(problem), *(token_id for step in prefix for token_id in step.token_ids)]
        ends = []
        for step in steps:
            token_ids += step.token_ids
            ends.append(len(token_ids) - 1)
        if len(token_ids) > self.engine.max_model_len:
            raise ContextOverflowError(len(token_ids), self.engine.max_model_len)
        scores: dict[int, float] = {}
        while missing := [end for end in ends if end not in scores]:
            scores |= await self._score_at(missing, token_ids[: missing[-1] + 1], meter)
        return tuple(scores[end] for end in ends)

    async def check(self) -> None:
        """Return when the engine answers.

        Raises:
            EngineUnavailableError: It does not.
        """
        await self.engine.check()

    async def _score_at(self, positions: list[int], token_ids: list[int], meter: Meter) -> dict[int, float]:
        """Scores at those of `positions` that lie behind the cached prefix; the last token always does."""
        output = await self.engine.pool(token_ids, scores_at(positions))
        meter.verifier_cached_tokens += output.num_cached_tokens
        meter.verifier_tokens += len(token_ids) - output.num_cached_tokens
        return {int(position): score for position, score in output.outputs.data.tolist()}


def open_verifier(settings: EngineSettings, prompts: PromptBuilder) -> AbstractAsyncContextManager[VLLMVerifier]:
    """Check the checkpoint now; run the verifier while the returned context lasts.

    Raises:
        CheckpointError: The checkpoint cannot be served, or reads other token ids than the policy writes.
        EngineUnavailableError: The engine did not start (raised on entering the context).
    """
    check_reward_model(settings.model)
    if ChatTokenizer(settings.model).vocabulary != prompts.tokenizer.vocabulary:
        raise CheckpointError(f"{settings.model / TOKENIZER_FILE}: the vocabulary is not the policy's")
    return _run(settings, prompts)


@asynccontextmanager
async def _run(settings: EngineSettings, prompts: PromptBuilder) -> AsyncIterator[VLLMVerifier]:
    async with start_engine(settings, "pooling") as engine:
        yield VLLMVerifier(engine, prompts)
