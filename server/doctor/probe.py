"""Samples responses of the policy, and sees how long its steps are and whether it states its answers.

Each rule of steps cuts the same responses, so that the rules are compared on one sample. The verifier is not needed.
"""

import asyncio
import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import ContextOverflowError
from models.interfaces import Finish, Meter, Policy, Problem, Sampling, Step, num_thoughts, response_of
from models.policy.engine_policy import open_policy
from models.policy.steps import StepSplitter
from search.answers.answer import AnswerReader
from search.answers.pool import AnswerPool
from server.composition import policy_model, prompts_of
from server.doctor.finding import Finding, caution, fine, stops
from server.schemas import StepsIn
from server.settings import Settings

PROBLEMS = (
    "What is 17 + 28?",
    "Tom has 12 apples. He buys 4 bags of 3 apples each and eats 2 apples. How many apples does he have now?",
    "A shirt costs $40. It is sold at a discount of 25 %, and then a tax of 10 % is added. What does it cost then?",
    "Solve 3x - 7 = 11 for x.",
    "A rectangle is 8 cm long and has a perimeter of 26 cm. What is its area in square centimetres?",
    "A train leaves at 9:40 and arrives at 12:05. How many minutes does the journey take?",
    "What is the sum of the first 20 positive even numbers?",
    "How many ways are there to choose 2 of 7 books?",
)
SAMPLES = 4
TEMPERATURE = 0.8
MAX_TOKENS = 1024
RULES: tuple[Mapping[str, Any], ...] = (
    {"delimiter": "\n\n"},
    {"delimiter": "\n"},
    {"markers": ["Step", "First", "Next", "Then", "So", "Therefore", "Thus", "Finally", "Wait", "But"]},
    {"tokens": 64},
    {"tokens": 32},
)
"""In the order in which they are recommended: the coarsest that cuts, since a verifier judges whole thoughts best."""

MOST_UNCUT = 0.2
FEWEST_TOKENS = 8
"""Beyond this share and length of steps a tree search has little to choose between, or a verifier little to judge."""

MOST_SILENT = 0.5
MOST_TRUNCATED = 0.2


@dataclass(frozen=True, slots=True)
class Response:
    """A response that was sampled.

    Attributes:
        token_ids: Of it.
        finish: Why it ended.
        has_answer: Whether an answer was read in it.
    """

    token_ids: tuple[int, ...]
    finish: Finish
    has_answer: bool


@dataclass(frozen=True, slots=True)
class Cuts:
    """How a rule cuts responses.

    Attributes:
        num_responses: Responses.
        num_whole: Of these, those that are one step.
        steps: Median number of steps.
        tokens: Median number of tokens of a step.
    """

    num_responses: int
    num_whole: int
    steps: float
    tokens: float

    @property
    def is_good(self) -> bool:
        """Whether a tree search has something to choose between."""
        return self.num_whole <= MOST_UNCUT * self.num_responses and self.tokens >= FEWEST_TOKENS

    def __str__(self) -> str:
        return (
            f"{self.num_whole} of {self.num_responses} responses are one step; "
            f"medians: {self.steps:g} steps, {self.tokens:g} tokens a step"
        )


async def probe(settings: Settings, problems: Sequence[str] = PROBLEMS) -> list[Finding]:
    """Start the policy, sample it, and report.

    Raises:
        CheckpointError: The policy cannot be served.
        EngineUnavailableError: Its engine did not start, or died.
    """
    engine = policy_model(settings)
    prompts = prompts_of(settings, engine.model)
    opening = open_policy(engine, prompts)
    async with AnswerPool(settings.answer_workers, settings.answer_time_limit_s) as reader, opening as policy:
        return report(settings, prompts.tokenizer, await sample(policy, reader, problems))


async def sample(policy: Policy, reader: AnswerReader, problems: Sequence[str]) -> list[Response]:
    """Draw `SAMPLES` responses to each problem; those that leave no room for one are left out."""

    async def respond(text: str, seed: int) -> Response | None:
        sampling = Sampling(TEMPERATURE, 1.0, MAX_TOKENS, seed)
        try:
            async with aclosing(policy.respond(Problem(text), (), sampling, Meter())) as sampled:
                steps = [step async for step in sampled]
        except ContextOverflowError:
            return None
        answer = await reader.read(response_of(steps))
        return Response(_ids(steps[num_thoughts(steps) :]), steps[-1].finish, answer is not None)

    drawn = await asyncio.gather(*(respond(text, seed) for text in problems for seed in range(SAMPLES)))
    return [response for response in drawn if response]


def report(settings: Settings, tokenizer: ChatTokenizer, responses: Sequence[Response]) -> list[Finding]:
    """Say what was seen, and what to write into the recipe."""
    if not responses:
        return [stops("probe", "no problem leaves room for a response", "give shorter problems")]
    current = settings.steps.shown()
    rules = [current, *(dict(rule) for rule in RULES if rule != current)]
    cuts = [cut(tokenizer, responses, StepsIn.model_validate(rule)) for rule in rules]
    tried = [fine(f"steps: {json.dumps(rule)}", str(each)) for rule, each in zip(rules, cuts, strict=True)]
    return [*tried, _recommend(rules, cuts), *_answers(responses)]


def cut(tokenizer: ChatTokenizer, responses: Sequence[Response], steps: StepsIn) -> Cuts:
    """Cut responses by a rule."""
    parts = [_cut(tokenizer, response, steps) for response in responses]
    return Cuts(
        num_responses=len(parts),
        num_whole=sum(len(part) == 1 for part in parts),
        steps=statistics.median(map(len, parts)),
        tokens=statistics.median(len(step.token_ids) for part in parts for step in part),
    )


def _cut(tokenizer: ChatTokenizer, response: Response, steps: StepsIn) -> list[Step]:
    cut_steps = StepSplitter(tokenizer, (), steps.rule).feed(response.token_ids, response.finish)
    return [step for step in cut_steps if not step.is_blank] or [Step("", response.token_ids, response.finish)]


def _ids(steps: Sequence[Step]) -> tuple[int, ...]:
    return tuple(token_id for step in steps for token_id in step.token_ids)


def _recommend(rules: Sequence[Mapping[str, Any]], cuts: Sequence[Cuts]) -> Finding:
    current, *_ = cuts
    if current.is_good:
        return fine("steps", f"the responses are cut well as it is: {current}")
    seen = f"tree searches have little to choose between: {current}"
    for rule, each in zip(rules, cuts, strict=True):
        if each.is_good:
            return caution("steps", seen, f"set steps: {json.dumps(rule)} in the recipe ({each})")
    remedy = "use weighted_best_of_n or majority, or a system_prompt that asks for steps: no rule cuts these responses"
    return caution("steps", seen, remedy)


def _answers(responses: Sequence[Response]) -> Iterator[Finding]:
    complete = [response for response in responses if response.finish is Finish.END]
    num_truncated = len(responses) - len(complete)
    if num_truncated > MOST_TRUNCATED * len(responses):
        seen = f"{num_truncated} of {len(responses)} responses were cut off at {MAX_TOKENS:,} tokens or by the context"
        yield caution("length", seen, "give requests a larger max_tokens, or set a larger policy_context")
    num_silent = sum(not response.has_answer for response in complete)
    seen = f"{num_silent} of {len(complete)} complete responses state no answer that is read"
    if num_silent > MOST_SILENT * len(complete):
        remedy = r"set a system_prompt that asks for the answer within \boxed{}, or take a policy that follows it"
        yield caution("answers", seen, remedy)
    else:
        yield fine("answers", seen)
