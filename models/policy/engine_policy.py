"""A policy that an engine runs, in a process of this service or on servers elsewhere.

Token ids from end to end: the prompt is tokenised once, and a response is extended with the ids that the engine
sampled. A response is one request of the engine, read as it comes, so that its tokens are counted even when it is
cancelled: that costs 2 % of the throughput of 16 responses and 12 % of that of 64 (tests/bench/engines.py). A step is a
request that ends with a token that holds the delimiter. Where the delimiter comes in pieces, the response is left there
by an engine of this service, after a token or two too many; a server elsewhere decodes what it generates and stops by
itself, since what is left there costs a connection and what was on its way.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import replace

from models.checkpoints.checkpoint import check_causal_model
from models.checkpoints.prompt import PromptBuilder
from models.engine_client import EngineClient
from models.engines.running import ModelSettings, running_engine
from models.errors import ContextOverflowError, EngineDiedError, EngineUnavailableError
from models.generation import Generation, Stop
from models.interfaces import DELIMITER, Finish, Meter, Problem, Sampling, Step
from models.policy.steps import StepSplitter
from models.remote.settings import RemoteSettings

FINISHES = {None: None, "stop": Finish.END, "length": Finish.LENGTH}
"""By the engine's finish reason; "stop" is the end of the sequence where it was not the delimiter."""

MOST_STOPS = 32
"""The engine compares every token of every row with each; large vocabularies have hundreds, most hardly ever used."""


class EnginePolicy:
    """The model searched over.

    Args:
        engine: Runs the model.
        prompts: Makes its prompts.
        decodes: Whether the engine is to look for delimiters in the text, too.
    """

    def __init__(self, engine: EngineClient, prompts: PromptBuilder, *, decodes: bool = False) -> None:
        self.engine = engine
        self.prompts = prompts
        prompts.tokenizer.prepare()
        self._step_ends: tuple[Stop, ...] = (DELIMITER,) if decodes else prompts.tokenizer.delimiter_ids[:MOST_STOPS]

    @property
    def context(self) -> int:
        """Longest prompt and response, in tokens."""
        return self.engine.max_model_len

    def count_prompt_tokens(self, problem: Problem) -> int:
        """Tokens of the problem after the chat template.

        Raises:
            ContextOverflowError: The problem leaves no room in the context for a response.
        """
        num_tokens = len(self.prompts.build(problem))
        self._room_after(num_tokens)
        return num_tokens

    async def propose(self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter) -> Step:
        """Sample the step that follows `prefix` (empty: the first one). One that spends the token limit is cut there.

        Raises:
            ContextOverflowError: `prefix` leaves no room for another token.
            EngineUnavailableError: The engine died or refused the request.
        """
        async with aclosing(self._respond(problem, prefix, sampling, meter, self._step_ends)) as steps:
            async for step in steps:
                return step  # none where the delimiter came before anything visible: that ends no step
        async with aclosing(self.respond(problem, prefix, sampling, meter)) as steps:
            return await anext(steps)

    def respond(
        self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter
    ) -> AsyncGenerator[Step, None]:
        """Sample every step that follows `prefix` in one generation, each yielded as soon as it ends.

        Where the engine dies, the response goes on from its last whole step when the engine is back; once.

        Raises:
            ContextOverflowError: `prefix` leaves no room for another token.
            EngineUnavailableError: The engine died twice, or refused the request.
        """
        return self._respond(problem, prefix, sampling, meter)

    async def _respond(
        self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter, stops: tuple[Stop, ...] = ()
    ) -> AsyncGenerator[Step, None]:
        steps = list(prefix)
        try:
            async with aclosing(self._sample(problem, prefix, sampling, meter, stops)) as sampled:
                async for step in sampled:
                    steps.append(step)
                    yield step
            return
        except EngineDiedError:
            num_tokens = sum(len(step.token_ids) for step in steps[len(prefix) :])
            if num_tokens >= sampling.max_tokens:
                raise  # nothing is left to ask for, and nobody said why the response ends
            await self.engine.recovered()
        rest = replace(sampling, max_tokens=sampling.max_tokens - num_tokens)
        async with aclosing(self._sample(problem, steps, rest, meter, stops)) as sampled:
            async for step in sampled:
                yield step

    async def _sample(
        self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter, stops: tuple[Stop, ...]
    ) -> AsyncGenerator[Step, None]:
        prompt = self.prompts.build(problem)
        token_ids = [*prompt, *(token_id for step in prefix for token_id in step.token_ids)]
        asked = Generation(
            max_tokens=min(sampling.max_tokens, self._room_after(len(token_ids))),
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            seed=sampling.seed,
            stops=stops,
            num_continued=len(token_ids) - len(prompt),
        )

        def count(num_tokens: int) -> None:
            meter.completion_tokens += num_tokens

        splitter, num_tokens = StepSplitter(self.prompts.tokenizer, prefix), 0
        async with aclosing(self.engine.generate(token_ids, asked, count, affinity=problem.opening)) as outputs:
            async for generated in outputs:
                num_tokens += len(generated.token_ids)
                if generated.finish_reason not in FINISHES:
                    raise EngineUnavailableError(f"the engine gave up on a request: {generated.finish_reason}")
                finish = FINISHES[generated.finish_reason]
                if generated.stop_reason in stops:
                    finish = Finish.LENGTH if num_tokens == asked.max_tokens else None
                for step in splitter.feed(generated.token_ids, finish):
                    yield step

    def _room_after(self, num_tokens: int) -> int:
        room = self.engine.max_model_len - num_tokens
        if room < 1:
            raise ContextOverflowError(num_tokens + 1, self.engine.max_model_len)
        return room


def open_policy(settings: ModelSettings, prompts: PromptBuilder) -> AbstractAsyncContextManager[EnginePolicy]:
    """Check the checkpoint now; run the policy while the returned context lasts.

    Raises:
        CheckpointError: The checkpoint cannot be served.
        EngineUnavailableError: The engine did not start (raised on entering the context).
    """
    check_causal_model(settings.model, with_weights=settings.has_weights)
    return _run(settings, prompts)


@asynccontextmanager
async def _run(settings: ModelSettings, prompts: PromptBuilder) -> AsyncIterator[EnginePolicy]:
    async with running_engine(settings, "generate") as engine:
        yield EnginePolicy(engine, prompts, decodes=isinstance(settings, RemoteSettings))
