"""What every policy must do. A test class that inherits from `PolicyContract` says which one by `subject`.

One that inherits from `StepRulesContract` keeps it under every rule of steps.
"""

import asyncio
import json
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import pytest

from models.interfaces import (
    PARAGRAPHS,
    Delimiter,
    Finish,
    Markers,
    Meter,
    Policy,
    Sampling,
    Step,
    StepRule,
    TokenCount,
)
from tests.models.problems import PROBLEM, ids_of, respond, text_of
from tests.models.problems import sampling as sampling_of

RULES: tuple[StepRule, ...] = (
    PARAGRAPHS,
    Delimiter("\n"),
    Delimiter(" = "),
    TokenCount(8),
    Markers(("## Step", "So", "Therefore")),
)
MOST_OVER = 32
"""Tokens that may be generated behind a marker: those of two outputs."""


SCHEMA = {"enum": ["one", "two", "three", "17", "28"]}
"""Without a place where space may stand: not every server bounds it."""


class GrammarContract:
    """A policy whose engine holds responses to grammars."""

    async def test_a_response_keeps_to_its_grammar(self, subject: Policy) -> None:
        grammar = ("json", json.dumps(SCHEMA))
        steps = await asyncio.gather(*(respond(subject, sampling_of(seed, grammar=grammar)) for seed in range(16)))
        assert {each[-1].finish for each in steps} == {Finish.END}
        texts = {json.loads(text_of(each)) for each in steps}
        assert texts <= set(SCHEMA["enum"])

    async def test_any_object_is_one(self, subject: Policy) -> None:
        steps = await asyncio.gather(
            *(respond(subject, sampling_of(seed, grammar=("json_object", ""))) for seed in range(4))
        )
        assert all(text_of(each).startswith("{") for each in steps)

    async def test_a_grammar_is_of_one_response_alone(self, subject: Policy) -> None:
        free = await respond(subject, sampling_of(7))
        held = respond(subject, sampling_of(7, grammar=("json", json.dumps(SCHEMA))))
        beside, _ = await asyncio.gather(respond(subject, sampling_of(7)), held)
        assert text_of(beside) == text_of(free)


class PolicyContract:
    rule: StepRule = PARAGRAPHS

    def sampling(self, seed: int | None = 0, **fields: Any) -> Sampling:
        return sampling_of(seed, **fields, steps=self.rule)

    async def test_only_the_last_step_of_a_response_ends_it(self, subject: Policy) -> None:
        steps = await respond(subject, self.sampling())
        assert [step.finish for step in steps[:-1]] == [Finish.STEP] * (len(steps) - 1)
        assert steps[-1].finish in (Finish.END, Finish.LENGTH)

    async def test_every_step_but_the_last_shows_text_and_ends_by_its_rule(self, subject: Policy) -> None:
        responses = await asyncio.gather(*(respond(subject, self.sampling(seed)) for seed in range(8)))
        for steps in responses:
            for step, following in pairwise(steps):
                assert not step.is_blank
                assert follows_rule(self.rule, step, following)

    async def test_the_same_seed_draws_the_same_response(self, subject: Policy) -> None:
        assert await respond(subject, self.sampling(7)) == await respond(subject, self.sampling(7))

    async def test_other_seeds_draw_other_responses(self, subject: Policy) -> None:
        responses = await asyncio.gather(*(respond(subject, self.sampling(seed)) for seed in range(8)))
        assert len(set(map(text_of, responses))) > 1

    async def test_greedy_proposals_chain_into_the_greedy_response(self, subject: Policy) -> None:
        greedy, steps = self.sampling(temperature=0), list[Step]()
        while not steps or steps[-1].finish is Finish.STEP:
            steps.append(await subject.propose(PROBLEM, steps, greedy, Meter()))
        assert text_of(steps) == text_of(await respond(subject, greedy))

    async def test_a_response_goes_on_behind_its_prefix(self, subject: Policy) -> None:
        whole = await respond(subject, self.sampling(temperature=0))
        rest = await respond(subject, self.sampling(temperature=0), prefix=whole[:1])
        assert text_of(whole[:1] + rest) == text_of(whole)

    async def test_the_meter_counts_every_token_of_a_response(self, subject: Policy) -> None:
        meter = Meter()
        steps = await respond(subject, self.sampling(), meter=meter)
        assert meter == Meter(completion_tokens=sum(len(step.token_ids) for step in steps))

    async def test_a_response_cut_at_the_token_limit_is_never_complete(self, subject: Policy) -> None:
        steps = await respond(subject, self.sampling(max_tokens=3))
        assert sum(len(step.token_ids) for step in steps) == 3
        assert steps[-1].finish is Finish.LENGTH

    async def test_a_proposal_costs_its_step_and_no_more(self, subject: Policy) -> None:
        meter = Meter()
        step = await subject.propose(PROBLEM, (), self.sampling(), meter)
        assert step.finish is Finish.STEP
        num_over = meter.completion_tokens - len(step.token_ids) - len(step.ahead)
        assert 0 <= num_over <= (MOST_OVER if isinstance(self.rule, Markers) else 0)

    async def test_what_a_step_holds_ahead_begins_the_next_one_and_is_paid_once(self, subject: Policy) -> None:
        meter, sampling = Meter(), self.sampling(5)
        first = await subject.propose(PROBLEM, (), sampling, meter)
        num_before = meter.completion_tokens
        second = await subject.propose(PROBLEM, (first,), self.sampling(6), meter)
        assert ids_of([second])[: len(first.ahead)] == [*first.ahead]
        num_new = len(second.token_ids) + len(second.ahead) - len(first.ahead)
        assert num_new <= meter.completion_tokens - num_before <= num_new + MOST_OVER

    async def test_a_proposal_that_spends_the_token_limit_is_cut_even_at_its_delimiter(self, subject: Policy) -> None:
        step = await subject.propose(PROBLEM, (), self.sampling(), Meter())
        cut = await subject.propose(PROBLEM, (), self.sampling(max_tokens=len(step.token_ids)), Meter())
        assert (cut.token_ids, cut.finish) == (step.token_ids, Finish.LENGTH)

    async def test_a_response_left_early_gives_the_steps_that_it_had(self, subject: Policy) -> None:
        async with aclosing(subject.respond(PROBLEM, (), self.sampling(3), Meter())) as steps:
            first = await anext(steps)
        assert first == (await respond(subject, self.sampling(3)))[0]


def follows_rule(rule: StepRule, step: Step, following: Step) -> bool:
    match rule:
        case Delimiter(delimiter):
            return delimiter in step.text.lstrip()
        case TokenCount(number):
            return len(step.token_ids) >= number
        case Markers(texts):
            return any(text in following.text for text in texts)


class StepRulesContract(PolicyContract):
    @pytest.fixture(autouse=True, params=RULES, ids=str)
    def _take_rule(self, request: pytest.FixtureRequest) -> None:
        self.rule = request.param
