"""RLHFlow's published reward models as verifiers: a chat in which the user says a step and the assistant says "+".

The score of a step is the probability of "+" against "-" where the assistant answers it. A chat only grows at its end,
so every step already judged comes from the engine's prefix cache. The history says "+" to all earlier steps, whatever
the model thought of them: so it was trained.

Source: RLHFlow/RLHF-Reward-Modeling (math-rm), and Hugging Face's search-and-learn.
Beyond the source: one request for each step, of which only the two log-probabilities come back, in place of the logits
of all words at all positions.

Tested on a seeded checkpoint of the same architecture and chat format against plain transformers; not run on the
published weights.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from vllm import SamplingParams

from models.checkpoint import check_causal_model
from models.engine import Engine, EngineSettings, start_engine
from models.errors import ContextOverflowError
from models.interfaces import Meter, Problem, Step
from models.prompt import PromptBuilder
from models.tokenizer import ChatTokenizer, Message

RIGHT, WRONG = "+", "-"


class RLHFlowPRM:
    """A process reward model that judges in words.

    Args:
        engine: Runs the model.
        tokenizer: The model's own.

    Raises:
        CheckpointError: A verdict is not one token.
    """

    def __init__(self, engine: Engine, tokenizer: ChatTokenizer) -> None:
        self.engine = engine
        self._tokenizer = tokenizer
        self._right, self._wrong = tokenizer.id_of(RIGHT), tokenizer.id_of(WRONG)
        self._params = SamplingParams(
            max_tokens=1, temperature=0, logprob_token_ids=[self._right, self._wrong], detokenize=False
        )

    async def score(
        self, problem: Problem, prefix: Sequence[Step], steps: Sequence[Step], meter: Meter
    ) -> tuple[float, ...]:
        """Judge `steps`, which follow `prefix` in a response. The tokens of a call that is cancelled are not counted.

        Raises:
            ContextOverflowError: The response is longer than the verifier's context.
            EngineUnavailableError: The engine died or refused the request.
        """
        texts = [step.text.strip() for step in (*prefix, *steps)]
        chats = [self._chat(problem, texts[: num_read + 1]) for num_read in range(len(prefix), len(texts))]
        if len(chats[-1]) >= self.engine.max_model_len:
            raise ContextOverflowError(len(chats[-1]) + 1, self.engine.max_model_len)
        return tuple(await asyncio.gather(*(self._score(chat, meter) for chat in chats)))

    async def check(self) -> None:
        """Return when the engine answers.

        Raises:
            EngineUnavailableError: It does not.
        """
        await self.engine.check()

    def _chat(self, problem: Problem, texts: Sequence[str]) -> tuple[int, ...]:
        messages: list[Message] = [("user", f"{problem.text} {texts[0]}")]
        for text in texts[1:]:
            messages += [("assistant", RIGHT), ("user", text)]
        return self._tokenizer.encode_chat(messages)

    async def _score(self, chat: tuple[int, ...], meter: Meter) -> float:
        output = await self.engine.complete(chat, self._params)
        num_cached = output.num_cached_tokens or 0
        meter.verifier_cached_tokens += num_cached
        meter.verifier_tokens += len(chat) - num_cached
        logprobs = (output.outputs[0].logprobs or [{}])[0] or {}
        return 1 / (1 + math.exp(logprobs[self._wrong].logprob - logprobs[self._right].logprob))


def open_verifier(settings: EngineSettings, prompts: PromptBuilder) -> AbstractAsyncContextManager[RLHFlowPRM]:
    """Check the checkpoint now; run the verifier while the returned context lasts. It has prompts of its own.

    Raises:
        CheckpointError: The checkpoint cannot be served.
        EngineUnavailableError: The engine did not start (raised on entering the context).
    """
    check_causal_model(settings.model)
    tokenizer = ChatTokenizer(settings.model)
    for verdict in (RIGHT, WRONG):
        tokenizer.id_of(verdict)
    return _run(settings, tokenizer)


@asynccontextmanager
async def _run(settings: EngineSettings, tokenizer: ChatTokenizer) -> AsyncIterator[RLHFlowPRM]:
    async with start_engine(settings, "generate") as engine:
        yield RLHFlowPRM(engine, tokenizer)
