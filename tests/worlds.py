"""Exact toy worlds: a policy, a verifier and an answer reader, all of whose doings can be worked out by hand.

A token is a byte of text. Worlds take their time without a clock, stop or fail where a test wants it, keep a record of
what they were asked, and refuse what the contracts of the models forbid.
"""

import asyncio
import random
import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction

from models.errors import ModelError
from models.interfaces import ENABLE_THINKING, Delimiter, Finish, Meter, Problem, Sampling, Step, StepRule
from search.answers.answer import Answer
from search.expander import Models
from tests.natures import THOUGHT, Nature


class Engine:
    """What a policy and a verifier share: they take their time, and stop or fail where a test wants it.

    Attributes:
        gates: Work on a step of this text waits until the event is set.
        failures: Work on a step of this text raises this error.
        num_calls, num_cancelled, num_in_flight: Calls so far, those cancelled, and those not ended.
    """

    def __init__(self, nature: Nature, shuffle: int | None) -> None:
        self.gates: dict[str, asyncio.Event] = {}
        self.failures: dict[str, ModelError] = {}
        self.num_calls = self.num_cancelled = self.num_in_flight = 0
        self._nature = nature
        self._dice = random.Random(shuffle) if shuffle is not None else None

    @contextmanager
    def _call(self) -> Iterator[None]:
        self.num_calls += 1
        self.num_in_flight += 1
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            self.num_cancelled += 1
            raise
        finally:
            self.num_in_flight -= 1

    async def _work(self, text: str) -> None:
        for _ in range(self._dice.randint(1, 8) if self._dice else 1):
            await asyncio.sleep(0)
        if text in self.gates:
            await self.gates[text].wait()
        if text in self.failures:
            raise self.failures[text]


class WorldPolicy(Engine):
    """Draws steps.

    Attributes:
        draws: The prefix and the sampling of every step asked for.
        num_tokens: Tokens generated.
        thinks: Whether a response can begin with thoughts: steps that begin with `THOUGHT`.
    """

    context = 1024
    thinks = False
    template_arguments: frozenset[str] = frozenset()

    def __init__(self, nature: Nature, shuffle: int | None = None) -> None:
        super().__init__(nature, shuffle)
        self.draws: list[tuple[tuple[Step, ...], Sampling]] = []
        self.num_tokens = 0

    def count_prompt_tokens(self, problem: Problem) -> int:
        return len(problem.text)

    def cut(self, response: str | Sequence[str], steps: StepRule, *, is_complete: bool) -> tuple[Step, ...]:
        delimiter = steps.text if isinstance(steps, Delimiter) else "\n\n"
        if isinstance(response, str):
            pieces = list(filter(None, re.split(f"(?<={re.escape(delimiter)})", response)))
        else:
            pieces = [*(text.removesuffix(delimiter) + delimiter for text in response[:-1]), response[-1]]
        last = Finish.END if is_complete else Finish.STEP
        finishes = [*[Finish.STEP] * (len(pieces) - 1), last]
        return tuple(Step(text, tuple(text.encode()), finish) for text, finish in zip(pieces, finishes, strict=True))

    def special_token_in(self, text: str) -> str | None:
        return "<|end|>" if "<|end|>" in text else None

    async def propose(self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter) -> Step:
        with self._call():
            return await self._draw(prefix, sampling, meter)

    async def respond(
        self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter
    ) -> AsyncGenerator[Step, None]:
        with self._call():
            steps, room = tuple(prefix), sampling.max_tokens
            while not steps or steps[-1].finish is Finish.STEP:
                step = await self._draw(steps, replace(sampling, max_tokens=room), meter)
                room -= len(step.token_ids)
                steps = (*steps, step)
                yield step

    async def _draw(self, prefix: Sequence[Step], sampling: Sampling, meter: Meter) -> Step:
        if sampling.max_tokens < 1 or (prefix and prefix[-1].finish is not Finish.STEP):
            raise ValueError("nothing can follow")
        self.draws.append((tuple(prefix), sampling))
        text, finish = self._nature.draw(prefix, sampling)
        await self._work(text)
        tokens = tuple(text.encode()[: sampling.max_tokens])
        meter.completion_tokens += len(tokens)
        self.num_tokens += len(tokens)
        is_cut = len(tokens) < len(text) or (finish is Finish.STEP and len(tokens) == sampling.max_tokens)
        is_thinking = self.thinks and text.startswith(THOUGHT)
        meter.reasoning_tokens += len(tokens) * is_thinking
        return Step(bytes(tokens).decode(), tokens, Finish.LENGTH if is_cut else finish, is_thinking=is_thinking)


class HybridPolicy(WorldPolicy):
    """Thinks unless it is asked not to: then it follows laws of its own.

    Attributes:
        silent: The policy without thoughts.
    """

    thinks = True
    template_arguments = frozenset({ENABLE_THINKING})

    def __init__(self, nature: Nature, silent: Nature) -> None:
        super().__init__(nature)
        self.silent = WorldPolicy(silent)

    def _asked(self, problem: Problem) -> WorldPolicy:
        return self if dict(problem.template_arguments).get(ENABLE_THINKING, True) else self.silent

    async def propose(self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter) -> Step:
        return await WorldPolicy.propose(self._asked(problem), problem, prefix, sampling, meter)

    def respond(
        self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter
    ) -> AsyncGenerator[Step, None]:
        return WorldPolicy.respond(self._asked(problem), problem, prefix, sampling, meter)


class WorldVerifier(Engine):
    """Judges steps, and compares responses: the chances of two are as their scores.

    Attributes:
        problems: What the responses answered, of every call that ended.
        judged: What was judged by every call that ended: the response as far as it went.
        compared: The pairs of responses that were compared.
        tastes: By pair, the chance of the first, where it is not as the scores.
    """

    def __init__(self, nature: Nature, shuffle: int | None = None) -> None:
        super().__init__(nature, shuffle)
        self.judged: list[str] = []
        self.compared: list[tuple[str, str]] = []
        self.tastes: dict[tuple[str, str], float] = {}
        self.problems: list[Problem] = []

    async def score(
        self, problem: Problem, prefix: Sequence[Step], steps: Sequence[Step], meter: Meter
    ) -> tuple[float, ...]:
        if not steps or any(step.is_blank or step.finish is Finish.LENGTH for step in steps):
            raise ValueError("there is nothing to judge")
        with self._call():
            await self._work(steps[-1].text)
            self.judged.append("".join(step.text for step in (*prefix, *steps)))
            self.problems.append(problem)
            meter.verifier_tokens += sum(len(step.token_ids) for step in steps)
            meter.verifier_cached_tokens += sum(len(step.token_ids) for step in prefix)
            return tuple(self._nature.judge((*prefix, *steps[: i + 1])) for i in range(len(steps)))

    async def compare(self, problem: Problem, first: Sequence[Step], second: Sequence[Step], meter: Meter) -> float:
        pair = "".join(step.text for step in first), "".join(step.text for step in second)
        if pair[0] == pair[1] or not all(pair):
            raise ValueError("there is nothing to compare")
        with self._call():
            await self._work(" or ".join(pair))
            self.compared.append(pair)
            meter.verifier_tokens += 2 * sum(len(step.token_ids) for step in (*first, *second))
            if pair in self.tastes or pair[::-1] in self.tastes:
                return self.tastes.get(pair, 1 - self.tastes.get(pair[::-1], 0))
            one, other = self._nature.judge(first), self._nature.judge(second)
            return one / (one + other) if one + other else 0.5


class BoxReader:
    """Reads what is boxed; fractions and decimals are one number, and all else is itself."""

    async def read(self, response: str) -> Answer | None:
        box = re.search(r"\\boxed\{(.*)\}", response)
        if box is None:
            return None
        text = re.sub(r"\\frac(\d)(\d)", r"\1/\2", box[1])
        number = re.fullmatch(r"-?\d+(/\d+|\.\d+)?", text)
        return Answer(box[1], str(Fraction(text)) if number else text)


class World:
    """A policy and a verifier under the same laws, and a reader. `shuffle` shuffles the order in which calls end."""

    def __init__(self, nature: Nature, shuffle: int | None = None, *, thinks: bool = False) -> None:
        self.policy = WorldPolicy(nature, shuffle)
        self.policy.thinks = thinks
        self.verifier = WorldVerifier(nature, shuffle)
        self.models = Models(self.policy, self.verifier, BoxReader())
