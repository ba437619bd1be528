"""What every policy must do. A test class that inherits from `PolicyContract` says which one by `subject`."""

import asyncio
from contextlib import aclosing

from models.interfaces import DELIMITER, Finish, Meter, Policy, Step
from tests.models.problems import PROBLEM, respond, sampling, text_of


class PolicyContract:
    async def test_only_the_last_step_of_a_response_ends_it(self, subject: Policy) -> None:
        steps = await respond(subject, sampling())
        assert [step.finish for step in steps[:-1]] == [Finish.STEP] * (len(steps) - 1)
        assert steps[-1].finish in (Finish.END, Finish.LENGTH)

    async def test_every_step_but_the_last_shows_text_and_keeps_its_delimiter(self, subject: Policy) -> None:
        responses = await asyncio.gather(*(respond(subject, sampling(seed)) for seed in range(8)))
        assert all(DELIMITER in step.text.lstrip() for steps in responses for step in steps[:-1])

    async def test_the_same_seed_draws_the_same_response(self, subject: Policy) -> None:
        assert await respond(subject, sampling(7)) == await respond(subject, sampling(7))

    async def test_other_seeds_draw_other_responses(self, subject: Policy) -> None:
        responses = await asyncio.gather(*(respond(subject, sampling(seed)) for seed in range(8)))
        assert len(set(map(text_of, responses))) > 1

    async def test_greedy_proposals_chain_into_the_greedy_response(self, subject: Policy) -> None:
        greedy, steps = sampling(temperature=0), list[Step]()
        while not steps or steps[-1].finish is Finish.STEP:
            steps.append(await subject.propose(PROBLEM, steps, greedy, Meter()))
        assert text_of(steps) == text_of(await respond(subject, greedy))

    async def test_a_response_goes_on_behind_its_prefix(self, subject: Policy) -> None:
        whole = await respond(subject, sampling(temperature=0))
        rest = await respond(subject, sampling(temperature=0), prefix=whole[:1])
        assert text_of(whole[:1] + rest) == text_of(whole)

    async def test_the_meter_counts_every_token_of_a_response(self, subject: Policy) -> None:
        meter = Meter()
        steps = await respond(subject, sampling(), meter=meter)
        assert meter == Meter(completion_tokens=sum(len(step.token_ids) for step in steps))

    async def test_a_response_cut_at_the_token_limit_is_never_complete(self, subject: Policy) -> None:
        steps = await respond(subject, sampling(max_tokens=3))
        assert sum(len(step.token_ids) for step in steps) == 3
        assert steps[-1].finish is Finish.LENGTH

    async def test_a_proposal_costs_its_step_and_no_more(self, subject: Policy) -> None:
        meter = Meter()
        step = await subject.propose(PROBLEM, (), sampling(), meter)
        assert step.finish is Finish.STEP
        assert meter.completion_tokens == len(step.token_ids)

    async def test_a_proposal_that_spends_the_token_limit_is_cut_even_at_its_delimiter(self, subject: Policy) -> None:
        step = await subject.propose(PROBLEM, (), sampling(), Meter())
        cut = await subject.propose(PROBLEM, (), sampling(max_tokens=len(step.token_ids)), Meter())
        assert (cut.token_ids, cut.finish) == (step.token_ids, Finish.LENGTH)

    async def test_a_response_left_early_gives_the_steps_that_it_had(self, subject: Policy) -> None:
        async with aclosing(subject.respond(PROBLEM, (), sampling(3), Meter())) as steps:
            first = await anext(steps)
        assert first == (await respond(subject, sampling(3)))[0]
