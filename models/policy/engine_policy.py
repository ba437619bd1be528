"""A policy that an engine runs, in a process of this service or on servers elsewhere.

Token ids from end to end: the prompt is tokenised once, and a response is extended with the ids that the engine
sampled. A response is one request of the engine, read as it comes, so that its tokens are counted even when it is
cancelled: that costs 2 % of the throughput of 16 responses and 12 % of that of 64 (tests/bench/engines.py).

A step is a request that the engine itself ends, where it can: after so many tokens, at a token that holds the
delimiter, or at the text of it. Where that ended no step (a blank line in a code block, tokens that show nothing),
the response goes on; where the delimiter comes in pieces, or the step ends before a marker, it is left there, after
some tokens too many.

Where thoughts spend their budget, their request ends, their end is written, and another request goes on behind it: so
it works with any engine, and with responses cut into requests.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial
from itertools import chain

from models.checkpoints.checkpoint import check_causal_model
from models.checkpoints.prompt import PromptBuilder
from models.engine_client import EngineClient, require_short
from models.engines.running import ModelSettings, running_engine
from models.errors import ContextOverflowError, EngineDiedError, EngineUnavailableError
from models.generation import Generated, Generation, Stop
from models.interfaces import Delimiter, Finish, Meter, Problem, Sampling, Step, StepRule, TokenCount
from models.policy.marks import Spelling
from models.policy.steps import StepSplitter
from models.policy.thoughts import Thoughts
from models.policy.written import written_steps
from models.remote.settings import RemoteSettings

FINISHES = {None: None, "stop": Finish.END, "length": Finish.LENGTH}
"""By the engine's finish reason; "stop" is the end of the sequence where it was none of the stops."""

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
        self._end_ids = self._spelling.limit_ids if self._spelling else ()
        self._decodes = decodes

    @property
    def thinks(self) -> bool:
        """Whether a response can begin with thoughts."""
        return self._spelling is not None

    @property
    def template_arguments(self) -> frozenset[str]:
        """Names of the arguments that the chat template reads."""
        return self.prompts.tokenizer.template_variables

    @property
    def context(self) -> int:
        """Longest prompt and response, in tokens."""
        return self.engine.max_model_len

    def count_prompt_tokens(self, problem: Problem) -> int:
        """Tokens of the problem after the chat template.

        Raises:
            ContextOverflowError: The problem leaves no room in the context for a response.
            PromptTooLongError: It is longer than the engine is to read.
        """
        num_tokens = len(self.prompts.build(problem))
        self._room_after(num_tokens)
        require_short(self.engine, num_tokens)
        return num_tokens

    def cut(self, response: str | Sequence[str], steps: StepRule, *, is_complete: bool) -> tuple[Step, ...]:
        """Return the steps of a response that was written elsewhere, cut as those of its own are."""
        return written_steps(self.prompts, response, steps, is_complete=is_complete)

    def special_token_in(self, text: str) -> str | None:
        """Return a special token that a text spells, other than the marks of thoughts; None where it spells none."""
        return self.prompts.special_token_in(text)

    async def propose(self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter) -> Step:
        """Sample the step that follows `prefix` (empty: the first one). One that spends the token limit is cut there.

        Raises:
            ContextOverflowError: `prefix` leaves no room for another token.
            EngineUnavailableError: The engine died or refused the request.
        """
        async with aclosing(self._respond(problem, prefix, sampling, meter, is_alone=True)) as steps:
            return await anext(steps)

    def respond(
        self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter
    ) -> AsyncGenerator[Step, None]:
        """Sample every step that follows `prefix` in one generation, each yielded as soon as it ends.

        Where the engine dies, the response goes on from its last whole step when the engine is back; once. One that is
        held to a grammar, in which the engine has lost its place, is lost with it, unless it was still in its thoughts.

        Raises:
            ContextOverflowError: `prefix` leaves no room for another token.
            EngineUnavailableError: The engine died twice, or refused the request.
        """
        return self._respond(problem, prefix, sampling, meter)

    async def _respond(
        self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter, *, is_alone: bool = False
    ) -> AsyncGenerator[Step, None]:
        steps = list(prefix)
        try:
            async with aclosing(self._sample(problem, prefix, sampling, meter, is_alone=is_alone)) as sampled:
                async for step in sampled:
                    steps.append(step)
                    yield step
            return
        except EngineDiedError:
            num_tokens = sum(len(step.token_ids) for step in steps[len(prefix) :])
            if num_tokens >= sampling.max_tokens:
                raise  # nothing is left to ask for, and nobody said why the response ends
            if sampling.grammar is not None and any(not step.is_thinking for step in steps):
                raise  # it would begin anew in the middle of what the grammar describes
            await self.engine.recovered()
        rest = replace(sampling, max_tokens=sampling.max_tokens - num_tokens)
        async with aclosing(self._sample(problem, steps, rest, meter, is_alone=is_alone)) as sampled:
            async for step in sampled:
                yield step

    async def _sample(
        self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter, *, is_alone: bool
    ) -> AsyncGenerator[Step, None]:
        """Sample the steps that follow `prefix`; the engine may end the first one, if that is asked for alone."""
        asked_ids = self.prompts.build(problem)
        prompt = [*asked_ids, *chain.from_iterable(step.token_ids for step in prefix)]
        ahead = prefix[-1].ahead[: sampling.max_tokens] if prefix else ()
        num_left = min(sampling.max_tokens, self._room_after(len(prompt))) - len(ahead)
        finish = None if num_left > 0 else Finish.LENGTH
        thoughts = self._thoughts(problem, prefix)
        has_confidences = sampling.num_logprobs > 0
        splitter = StepSplitter(
            self.prompts.tokenizer, prefix, sampling.steps, thoughts, has_confidences=has_confidences
        )
        new_ids = [*ahead]
        for step in _counted(splitter.feed(ahead, finish, prefix[-1].ahead_confidences if prefix else None), meter):
            yield step
        try:
            while finish is None:
                token_ids, num_before = prompt + new_ids, num_left
                ask = partial(self._ask, sampling, len(token_ids) - len(asked_ids))
                room = thoughts.room(sampling.thinking_budget, splitter.num_uncut) if thoughts else None
                if sampling.grammar is not None and self.prompts.closes_thoughts(problem):
                    room = None  # no thoughts come, and a grammar is not to be cut
                if room == 0:
                    asked = ask(min(num_left, len(self._end_ids)), is_alone=False)
                    outputs = self._write_end(asked.max_tokens, meter)
                else:
                    asked = ask(min(num_left, room or num_left), is_alone=is_alone)
                    outputs = self._generate(problem, token_ids, asked, meter, thoughts)
                    is_alone = False
                async with aclosing(outputs):
                    async for generated in outputs:
                        new_ids += generated.token_ids
                        num_left -= len(generated.token_ids)
                        finish = FINISHES[generated.finish_reason]
                        is_spent = finish is Finish.LENGTH and num_before - num_left == asked.max_tokens
                        if generated.stop_reason in asked.stops or is_spent:
                            finish = None if num_left else Finish.LENGTH
                        pieces = splitter.feed(generated.token_ids, finish, generated.confidences)
                        for step in _counted(pieces, meter):
                            yield step
                        if (
                            thoughts
                            and finish is None
                            and thoughts.have_spent(sampling.thinking_budget, splitter.num_uncut)
                        ):
                            break
                if thoughts and room is not None:
                    thoughts.settle()
        finally:
            if thoughts and thoughts.is_open:
                meter.reasoning_tokens += splitter.num_uncut

    def _thoughts(self, problem: Problem, prefix: Sequence[Step]) -> Thoughts | None:
        if self._spelling is None:
            return None
        return Thoughts(self._spelling, prefix, are_opened=self.prompts.opens_thoughts(problem))

    def _ask(self, sampling: Sampling, num_continued: int, num_left: int, *, is_alone: bool) -> Generation:
        rule = sampling.steps
        return Generation(
            max_tokens=min(num_left, rule.number) if is_alone and isinstance(rule, TokenCount) else num_left,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            seed=sampling.seed,
            stops=self._stops(rule) if is_alone else (),
            num_logprobs=sampling.num_logprobs,
            num_continued=num_continued,
            grammar=sampling.grammar,
        )

    def _stops(self, rule: StepRule) -> tuple[Stop, ...]:
        """Return what may end a step."""
        if not isinstance(rule, Delimiter):
            return ()
        if self._decodes or rule.text.strip("\n"):
            return (rule.text,)
        return self.prompts.tokenizer.ids_holding(rule.text)[:MOST_STOPS]

    async def _generate(
        self,
        problem: Problem,
        token_ids: Sequence[int],
        asked: Generation,
        meter: Meter,
        thoughts: Thoughts | None,
    ) -> AsyncGenerator[Generated, None]:
        num_unread = 0

        def count(num_tokens: int) -> None:
            nonlocal num_unread
            meter.completion_tokens += num_tokens
            num_unread += num_tokens

        is_ended = False
        try:
            async with aclosing(self.engine.generate(token_ids, asked, count, affinity=problem.opening)) as outputs:
                async for generated in outputs:
                    if generated.finish_reason not in FINISHES:
                        raise EngineUnavailableError(f"the engine gave up on a request: {generated.finish_reason}")
                    is_ended = generated.finish_reason is not None
                    num_unread -= len(generated.token_ids)
                    yield generated
        finally:
            if thoughts and thoughts.is_open:
                meter.reasoning_tokens += num_unread
        if not is_ended:
            raise EngineUnavailableError("the engine left a response without an end")

    async def _write_end(self, num_tokens: int, meter: Meter) -> AsyncGenerator[Generated, None]:
        """Write the end of the thoughts for the policy, as far as there is room."""
        meter.completion_tokens += num_tokens
        yield Generated(self._end_ids[:num_tokens], "length")

    def _room_after(self, num_tokens: int) -> int:
        room = self.engine.max_model_len - num_tokens
        if room < 1:
            raise ContextOverflowError(num_tokens + 1, self.engine.max_model_len)
        return room


def _counted(steps: Iterator[Step], meter: Meter) -> Iterator[Step]:
    """Yield steps, and count those of thoughts."""
    for step in steps:
        if step.is_thinking:
            meter.reasoning_tokens += len(step.token_ids)
        yield step


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
