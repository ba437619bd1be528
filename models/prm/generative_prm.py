"""What the reward models that judge in words have in common: the next token would be one of two verdicts.

One request for each step, of which only the two log-probabilities come back, in place of the logits of all words at all
positions. A request extends the one for the step before it, which comes from the engine's prefix cache.

Knows nothing of formats: a subclass writes the request.
"""

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

from models.engine_client import EngineClient, require_room
from models.errors import EngineUnavailableError
from models.generation import Generation
from models.interfaces import Meter, Problem, Step

RIGHT, WRONG = "+", "-"


class GenerativePRM(ABC):
    """A process reward model that judges in words.

    Args:
        engine: Runs the model.
        right: Id of the verdict `RIGHT`.
        wrong: Id of the verdict `WRONG`.
    """

    def __init__(self, engine: EngineClient, right: int, wrong: int) -> None:
        self.engine = engine
        self._right, self._wrong = right, wrong
        self._asked = Generation(max_tokens=1, temperature=0, logprob_ids=(right, wrong))

    @abstractmethod
    def ask(self, problem: Problem, texts: Sequence[str]) -> tuple[int, ...]:
        """Write the request whose next token is the verdict on the last of `texts`, which are those of the steps."""

    async def score(
        self, problem: Problem, prefix: Sequence[Step], steps: Sequence[Step], meter: Meter
    ) -> tuple[float, ...]:
        """Judge `steps`, which follow `prefix` in a response. The tokens of a call that is cancelled are not counted.

        Raises:
            ContextOverflowError: The response is longer than the verifier's context.
            EngineUnavailableError: The engine died or refused the request.
        """
        texts = [step.text.strip() for step in (*prefix, *steps)]
        requests = [self.ask(problem, texts[: num_read + 1]) for num_read in range(len(prefix), len(texts))]
        require_room(self.engine, len(requests[-1]) + 1)
        return tuple(await asyncio.gather(*(self._score(problem, request, meter) for request in requests)))

    async def _score(self, problem: Problem, request: tuple[int, ...], meter: Meter) -> float:
        output = await self.engine.complete(request, self._asked, affinity=problem.opening)
        num_cached = output.num_cached_tokens or 0
        meter.verifier_cached_tokens += num_cached
        meter.verifier_tokens += len(request) - num_cached
        logprobs = output.logprobs or {}
        if self._right not in logprobs or self._wrong not in logprobs:
            raise EngineUnavailableError("the verifier gives no verdict")
        return sigmoid(logprobs[self._right] - logprobs[self._wrong])


def sigmoid(logit: float) -> float:
    """Return the probability that a logit stands for.

    Raises:
        EngineUnavailableError: It is not a number.
    """
    if math.isnan(logit):
        raise EngineUnavailableError("the verifier says NaN")
    odds = math.exp(-abs(logit))
    return 1 / (1 + odds) if logit >= 0 else odds / (1 + odds)
