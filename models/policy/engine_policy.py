"""A policy that an engine runs, in a process of this service or on servers elsewhere.

Token ids from end to end: the prompt is tokenised once, and a response is extended with the ids that the engine
sampled. A response is one request of the engine, read as it comes, so that its tokens are counted even when it is
cancelled: that costs 2 % of the throughput of 16 responses and 12 % of that of 64 (tests/bench/engines.py). A step is a
request that ends with a token that holds the delimiter. Where the delimiter comes in pieces, the response is left there
by an engine of this service, after a token or two too many; a server elsewhere decodes what it generates and stops by
itself, since what is left there costs a connection and what was on its way.

Where thoughts spend their budget, their request ends, their end mark is written, and another request goes on behind it:
so it works with any engine, and with responses cut into requests.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, replace

from models.checkpoints.checkpoint import check_causal_model
from models.checkpoints.marks import Spelling
from models.checkpoints.prompt import PromptBuilder
from models.engine_client import EngineClient
from models.engines.running import ModelSettings, running_engine
from models.errors import ContextOverflowError, EngineDiedError, EngineUnavailableError
from models.generation import Generated, Generation, Stop
from models.interfaces import DELIMITER, Finish, Meter, Problem, Sampling, Step
from models.policy.steps import StepSplitter
from models.policy.thoughts import Thoughts
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
        self._spelling = Spelling(prompts.marks, prompts.tokenizer) if prompts.marks else None
        self._step_ends: tuple[Stop, ...] = (DELIMITER,) if decodes else prompts.tokenizer.delimiter_ids[:MOST_STOPS]

    @property
    def thinks(self) -> bool:
        """Whether a response can begin with thoughts."""
        return self._spelling is not None

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
        """Sample steps in one request, or in several where thoughts spend their budget and are closed by us."""
        thoughts = self._thoughts(problem, prefix)
        response = Growing(
            StepSplitter(self.prompts.tokenizer, prefix, thoughts),
            thoughts,
            [*self.prompts.build(problem), *(token_id for step in prefix for token_id in step.token_ids)],
            sampling.max_tokens,
        )
        try:
            while not response.has_ended:
                room = min(response.num_left, self._room_after(len(response.token_ids)))
                until_limit = response.room_for_thoughts(sampling.thinking_budget)
                if until_limit == 0:
                    steps = self._closing(response, room, meter)
                else:
                    asked = Generation(
                        max_tokens=room if until_limit is None else min(room, until_limit),
                        temperature=sampling.temperature,
                        top_p=sampling.top_p,
                        seed=sampling.seed,
                        stops=stops,
                    )
                    steps = self._request(response, asked, room, problem, sampling, meter)
                async with aclosing(steps):
                    async for step in steps:
                        yield step
        finally:
            if response.is_thinking:
                meter.reasoning_tokens += response.splitter.num_uncut

    async def _request(
        self, response: "Growing", asked: Generation, room: int, problem: Problem, sampling: Sampling, meter: Meter
    ) -> AsyncGenerator[Step, None]:
        """Sample the steps of one request; it is left where thoughts that it began have spent their budget."""
        num_counted = num_read = 0
        response.has_ended = True

        def count(num_tokens: int) -> None:
            nonlocal num_counted
            num_counted += num_tokens
            meter.completion_tokens += num_tokens

        outputs = self.engine.generate(list(response.token_ids), asked, count, affinity=problem.opening)
        try:
            async with aclosing(outputs):
                async for generated in outputs:
                    num_read += len(generated.token_ids)
                    finish = _finish_of(generated, asked, num_read, room)
                    for step in response.feed(generated.token_ids, finish):
                        meter.reasoning_tokens += len(step.token_ids) * step.is_thinking
                        yield step
                    is_cut_short = finish is None and generated.finish_reason == "length"
                    if is_cut_short or (finish is None and response.has_spent(sampling.thinking_budget)):
                        response.go_on()
                        break
        finally:
            if response.is_thinking:
                meter.reasoning_tokens += num_counted - num_read

    async def _closing(self, response: "Growing", room: int, meter: Meter) -> AsyncGenerator[Step, None]:
        """Write the end of the thoughts for the policy."""
        assert self._spelling is not None  # noqa: S101 - there are thoughts
        token_ids = self._spelling.limit_ids[:room]
        meter.completion_tokens += len(token_ids)
        response.has_ended = len(token_ids) == room
        for step in response.feed(token_ids, Finish.LENGTH if response.has_ended else None):
            meter.reasoning_tokens += len(step.token_ids) * step.is_thinking
            yield step

    def _thoughts(self, problem: Problem, prefix: Sequence[Step]) -> Thoughts | None:
        if self._spelling is None:
            return None
        return Thoughts(self._spelling, prefix, are_opened=self.prompts.opens_thoughts(problem))

    def _room_after(self, num_tokens: int) -> int:
        room = self.engine.max_model_len - num_tokens
        if room < 1:
            raise ContextOverflowError(num_tokens + 1, self.engine.max_model_len)
        return room


@dataclass(slots=True)
class Growing:
    """A response that is being sampled. Mutable.

    Attributes:
        splitter: Cuts it into steps.
        thoughts: Of it; None of a policy that has none.
        token_ids: Of the prompt and the response so far.
        num_left: Tokens that it may still have.
        has_ended: Whether nothing follows.
    """

    splitter: StepSplitter
    thoughts: Thoughts | None
    token_ids: list[int]
    num_left: int
    has_ended: bool = False

    @property
    def is_thinking(self) -> bool:
        """Whether the last token is of the thoughts."""
        return self.thoughts is not None and self.thoughts.is_open

    def feed(self, token_ids: Sequence[int], finish: Finish | None) -> Iterator[Step]:
        """Go on with tokens; yield the steps that they end."""
        self.token_ids += token_ids
        self.num_left -= len(token_ids)
        return self.splitter.feed(token_ids, finish)

    def room_for_thoughts(self, budget: int | None) -> int | None:
        """Return how many tokens may come before thoughts have spent their budget; None for any number."""
        return self.thoughts.room(budget, self.splitter.num_uncut) if self.thoughts else None

    def go_on(self) -> None:
        """Take it that another request follows."""
        self.has_ended = False
        if self.thoughts is not None:
            self.thoughts.settle()

    def has_spent(self, budget: int | None) -> bool:
        """Tell whether thoughts that are open have spent their budget."""
        return self.is_thinking and self.room_for_thoughts(budget) == 0


def _finish_of(generated: Generated, asked: Generation, num_read: int, room: int) -> Finish | None:
    """Return why a response ends with what was generated; None where it does not, or at the limit of its thoughts.

    Raises:
        EngineUnavailableError: The engine gave up.
    """
    if generated.finish_reason not in FINISHES:
        raise EngineUnavailableError(f"the engine gave up on a request: {generated.finish_reason}")
    finish = FINISHES[generated.finish_reason]
    if generated.stop_reason in asked.stops:
        return Finish.LENGTH if num_read == room else None
    return None if finish is Finish.LENGTH and asked.max_tokens < room else finish


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
