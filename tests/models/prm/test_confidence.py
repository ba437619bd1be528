"""The policy's confidence: its measures counted by hand, and what the engines say against plain transformers."""

import asyncio
import math
from array import array
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from transformers import LlamaForCausalLM

from models.errors import ModelError
from models.generation import LEAST, Generation
from models.interfaces import Finish, Markers, Meter, Problem, ReadsConfidences, Step, StepRule, TokenCount, Verifier
from models.policy.engine_policy import EnginePolicy
from models.prm.confidence import ConfidenceVerifier, scores
from models.prm.formats import verifier_on_policy
from models.prm.options import ConfidenceOptions, Measure
from tests.conftest import DEMO
from tests.models.problems import PROBLEM, PROBLEMS, ids_of, respond, sampling
from tests.models.verifier_contract import VerifierContract

K = 20
RULES: list[StepRule] = [TokenCount(7), Markers(("## Step", "So"))]
each_measure = pytest.mark.parametrize("measure", list(Measure), ids=lambda measure: measure.value)


def confident(*values: float, logprob: float = -0.5) -> Step:
    own = array("f", [logprob] * len(values))
    return Step("x", tuple(range(len(values))), Finish.STEP, confidences=array("f", values), logprobs=own)


FALLING = [confident(*[20.0] * 8), confident(*[10.0] * 8), confident(*[30.0] * 8)]
"""A response whose middle is the worst: 8 tokens each."""


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        (Measure.TOKEN, (20, 15, 20)),
        (Measure.GROUP, (20, 15, 305 / 17)),  # 17 windows: from 20 by 1.25 to 10, then by 2.5 to 30
        (Measure.LOWEST_GROUP, (20, 10, 10)),
        (Measure.LOWEST_TENTH, (20, 10, (10 + 11.25) / 2)),  # the lowest of 9; the two lowest of 17
        (Measure.TAIL, (20, 10, 30)),
    ],
)
async def test_a_score_is_the_measure_of_the_response_up_to_the_step(
    measure: Measure, expected: tuple[float, ...]
) -> None:
    found = scores((), FALLING, ConfidenceOptions(measure, window=8))
    assert found == pytest.approx([each / -LEAST for each in expected])


async def test_the_mean_log_probability_becomes_the_geometric_mean_of_the_probabilities() -> None:
    steps = [confident(1.0, 1.0, logprob=-1.0), confident(1.0, 1.0, logprob=-2.0)]
    options = ConfidenceOptions(Measure.MEAN_LOGPROB)
    assert scores((), steps, options) == pytest.approx([math.exp(-1), math.exp(-1.5)])


@pytest.mark.parametrize(
    ("window", "lowest"),
    [(1, 0.0), (2, 0.0), (4, 5.0), (12, 20 / 3), (1_000, 8.0), (0.6, 20 / 3), (0.1, 5.0), (1e-6, 5.0)],
)
async def test_a_window_is_a_number_of_tokens_or_a_share_of_the_response(window: float, lowest: float) -> None:
    """A share has at least 8 tokens, of which here the lowest have 40 together."""
    response = [confident(*[10.0] * 6, *[10.0, 0.0, 0.0, 10.0] * 2, *[10.0] * 6)]
    assert scores((), response, ConfidenceOptions(window=window)) == pytest.approx([lowest / -LEAST])


async def test_long_windows_move_by_a_sixteenth_and_never_rise() -> None:
    """With windows of so many tokens the lowest group of a longer response is no higher."""
    dice = torch.Generator().manual_seed(0)
    steps = [confident(*(torch.rand(50, generator=dice) * 30).tolist()) for _ in range(40)]
    found = scores((), steps, ConfidenceOptions(window=160))
    assert all(later <= earlier for earlier, later in pairwise(found[3:]))
    tokens = [value for step in steps for value in step.confidences or ()]
    groups = [sum(tokens[start : start + 160]) / 160 for start in range(0, 2000 - 160 + 1, 10)]
    assert found[-1] == pytest.approx(min(groups) / -LEAST)


async def test_a_response_three_times_as_confident_has_three_times_the_score() -> None:
    one, other = (scores((), [confident(*[value] * 30)], ConfidenceOptions())[0] for value in (6.0, 18.0))
    assert other == pytest.approx(3 * one)


@each_measure
async def test_nothing_that_was_sampled_is_nothing_to_doubt(measure: Measure) -> None:
    """Such as an end of thoughts that a budget of none has written."""
    assert scores((), [confident()], ConfidenceOptions(measure)) == (1.0,)


@each_measure
async def test_a_whole_response_of_which_nothing_was_said_has_no_score(measure: Measure) -> None:
    with pytest.raises(ModelError, match="did not say how confident it was"):
        scores((), [confident(), replace(confident(), finish=Finish.END)], ConfidenceOptions(measure))


@each_measure
async def test_a_text_from_elsewhere_is_refused(measure: Measure) -> None:
    with pytest.raises(ModelError, match="scores what this policy generates"):
        scores((), [Step("x", (1,), Finish.END)], ConfidenceOptions(measure))


@each_measure
async def test_scores_are_from_0_to_1_whatever_was_said(measure: Measure) -> None:
    for value in (-0.001, 0.0, -LEAST, -LEAST + 1e-3):
        (score,) = scores((), [confident(*[value] * 9, logprob=min(-value, 1e-3))], ConfidenceOptions(measure))
        assert 0 <= score <= 1


async def drawn(policy: EnginePolicy, rule: StepRule | None = None, number: int = K) -> list[list[Step]]:
    how = [replace(sampling(seed, temperature=1.0), num_logprobs=number) for seed in range(len(PROBLEMS))]
    how = [replace(each, steps=rule or each.steps) for each in how]
    pairs = zip(how, PROBLEMS, strict=True)
    return await asyncio.gather(*(respond(policy, each, problem) for each, problem in pairs))


class TestConfidenceVerifier(VerifierContract):
    @pytest.fixture
    def subject(self, policy: EnginePolicy) -> Verifier:
        return verifier_on_policy("confidence", policy, ConfidenceOptions())

    @pytest.fixture
    async def steps(self, policy: EnginePolicy) -> list[Step]:
        return (await drawn(policy))[0]

    async def test_what_is_judged_is_counted(self, subject: Verifier, steps: list[Step]) -> None:
        """No token is computed for a verdict."""
        meter = Meter()
        await subject.score(PROBLEM, (), steps, meter)
        assert meter == Meter()

    async def test_it_says_what_it_reads(self, policy: EnginePolicy) -> None:
        for measure, number in ((Measure.TAIL, 7), (Measure.MEAN_LOGPROB, 3)):
            verifier = ConfidenceVerifier(policy, ConfidenceOptions(measure, 7))
            assert isinstance(verifier, ReadsConfidences)
            assert (verifier.num_logprobs, verifier.reads_thoughts) == (number, True)
            assert verifier.engine is policy.engine


def assert_alike(found: Sequence[float], expected: Sequence[float]) -> None:
    """Compare log probabilities: bfloat16 is summed in another order in batches of another size.

    Those of another token would be several units away.
    """
    assert len(found) == len(expected) > 0
    apart = [abs(one - other) for one, other in zip(found, expected, strict=True)]
    assert sum(apart) / len(apart) < 0.1
    assert max(apart) < 1


def plain(model: LlamaForCausalLM, prompt: Sequence[int], ids: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Confidences and log probabilities of the ids behind a prompt."""
    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, *ids]])).logits[0, len(prompt) - 1 : -1].float()
    logprobs = logits.log_softmax(-1)
    own = logprobs.gather(1, torch.tensor(ids)[:, None])[:, 0]
    return -logprobs.topk(K).values.clamp(min=LEAST).mean(1), own


@pytest.mark.parametrize("rule", [None, *RULES], ids=str)
async def test_confidences_are_those_of_plain_transformers(policy: EnginePolicy, rule: StepRule | None) -> None:
    model = LlamaForCausalLM.from_pretrained(DEMO / "policy", dtype=torch.bfloat16)
    for problem, steps in zip(PROBLEMS, await drawn(policy, rule), strict=True):
        confidences, own = plain(model, policy.prompts.build(problem), ids_of(steps))
        assert_alike([each for step in steps for each in step.confidences or ()], confidences.tolist())
        assert_alike([each for step in steps for each in step.logprobs or ()], own.tolist())


@pytest.mark.parametrize("number", [1, 3])
async def test_outputs_that_wait_together_say_what_each_would(policy: EnginePolicy, number: int) -> None:
    asked = Generation(max_tokens=100, temperature=1.0, seed=0, num_logprobs=number)
    prompt = policy.prompts.build(PROBLEM)
    found = []
    for wait_s in (0, 0.5):  # so long that vLLM joins them
        async with aclosing(policy.engine.generate(prompt, asked)) as outputs:
            pieces = [await anext(outputs)]
            await asyncio.sleep(wait_s)
            pieces += [output async for output in outputs]
        found.append([each for piece in pieces for each in piece.confidences or ()])
    for one, other in zip(*found, strict=True):
        assert_alike(one or (), other or ())


@pytest.mark.parametrize("number", [3, 5, K])
async def test_servers_elsewhere_say_the_same(policy: EnginePolicy, remote_policy: EnginePolicy, number: int) -> None:
    for here, there in zip(await drawn(policy, None, number), await drawn(remote_policy, None, number), strict=True):
        assert here == there
        for one, other in zip(here, there, strict=True):
            assert_alike(list(one.confidences or ()), list(other.confidences or ()))
            assert_alike(list(one.logprobs or ()), list(other.logprobs or ()))


async def test_nobody_who_does_not_ask_gets_any(policy: EnginePolicy) -> None:
    steps = await respond(policy, sampling(0))
    assert {(step.confidences, step.logprobs, step.ahead_confidences) for step in steps} == {(None, None, None)}


async def test_a_proposal_after_a_marker_keeps_what_was_said_of_the_tokens_ahead(policy: EnginePolicy) -> None:
    """They were sampled with the step before, and every token has its confidence once."""
    how = replace(sampling(3, temperature=1.0, steps=RULES[1]), num_logprobs=K)
    prefix: list[Step] = []
    while not prefix or prefix[-1].finish is Finish.STEP:
        prefix.append(await policy.propose(PROBLEM, prefix, how, Meter()))
    assert any(step.ahead for step in prefix)
    assert [len(step.confidences or ()) for step in prefix] == [len(step.token_ids) for step in prefix]
    model = LlamaForCausalLM.from_pretrained(DEMO / "policy", dtype=torch.bfloat16)
    confidences, _ = plain(model, policy.prompts.build(PROBLEM), ids_of(prefix))
    assert_alike([each for step in prefix for each in step.confidences or ()], confidences.tolist())


@pytest.mark.parametrize("is_remote", [False, True], ids=["here", "elsewhere"])
async def test_a_request_for_other_log_probabilities_in_the_same_step_spoils_none(
    policy: EnginePolicy, remote_policy: EnginePolicy, is_remote: bool
) -> None:
    """VLLM gives the others of its step minus infinity, which would be the greatest confidence of all."""
    policy = remote_policy if is_remote else policy
    prompt = policy.prompts.build(Problem("Compute 3 * (12 - 5) + 11, of which no other test has heard."))
    other = Generation(max_tokens=1, logprob_ids=(3, 4))

    async def all_confidences() -> list[tuple[float, float] | None]:
        asked = Generation(max_tokens=100, temperature=1.0, seed=1, num_logprobs=K)
        async with aclosing(policy.engine.generate(prompt, asked)) as outputs:
            return [each async for output in outputs for each in output.confidences or ()]

    alone = await all_confidences()
    drawing = asyncio.create_task(all_confidences())
    while not drawing.done():
        await policy.engine.complete(prompt, other)
    beside = await drawing
    assert None not in alone
    pairs = [(mine, true) for mine, true in zip(beside, alone, strict=True) if mine and true]
    assert len(pairs) >= 10
    for place in (0, 1):
        assert_alike([mine[place] for mine, _ in pairs], [true[place] for _, true in pairs])
