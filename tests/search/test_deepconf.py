"""DeepConf in worlds whose threshold is worked out by hand, and its laws."""

import asyncio
from collections.abc import Sequence

import pytest

from models.errors import ModelError
from models.interfaces import Meter, Problem, Step
from search.aggregation import Aggregation
from search.best_of_n import BestOfN
from search.candidate import Candidate
from search.deepconf import DeepConf, low
from search.errors import HyperparameterError
from search.solve import SearchResult, Status
from search.voting import Selection
from tests.natures import Branch, Chance, Tree, answer, cut, end, step
from tests.search.helpers import Watch, an_hour_later, elected, search
from tests.worlds import World

pytestmark = pytest.mark.asyncio(loop_scope="function")  # the clock that jumps an hour is no engine's

WARMUP = (
    step("a", 0.8, answer("1", 0.9)),  # its low is .8
    step("b", 0.9, answer("2", 0.5)),
    step("c", 0.3, answer("2", 0.9)),
    step("d", 0.7, answer("3", 0.7)),
)
"""Lows of .8, .5, .3 and .7."""


def long(first: float, second: float, last: float, text: str) -> Branch:
    return step(f"long {text}", first, step("on", second, answer(text, last)))


def stopped(result: SearchResult) -> list[int]:
    return [candidate.path[0] for candidate in result.candidates if candidate.is_stopped]


def num_votes(result: SearchResult) -> dict[str | None, int]:
    return {vote.answer: vote.count for vote in result.votes}


@pytest.mark.parametrize(("keep", "threshold"), [(1.0, 0.0), (0.75, 0.5), (0.51, 0.5), (0.5, 0.7), (0.1, 0.8)])
async def test_the_threshold_is_the_lowest_of_the_best_of_the_warm_up(keep: float, threshold: float) -> None:
    watch = Watch()
    await search(World(Tree(*WARMUP)), DeepConf(4, 4, keep), observer=watch)
    assert watch.decisions[-1].values["threshold"] == threshold


async def test_a_response_is_stopped_at_the_first_step_below_the_threshold() -> None:
    late = (long(0.9, 0.69, 0.9, "8"), long(0.7, 0.7, 0.7, "1"), long(0.6, 0.9, 0.9, "9"), answer("9", 0.6))
    world = World(Tree(*WARMUP, *late))
    result = await search(world, DeepConf(8, 4, 0.5, early_stop=False))
    assert stopped(result) == [4, 6]
    assert [len(result.candidates[place].steps) for place in (4, 5, 6)] == [2, 3, 1]
    assert num_votes(result) == {"1": 2, "3": 1}  # of the warm-up 0 and 3; of the others 5: the last one ended below
    assert result.decision is not None
    assert result.decision.values["stopped"] == 3


async def test_the_weights_of_the_votes_are_the_last_scores() -> None:
    result = await search(World(Tree(*WARMUP)), DeepConf(4, 4, 0.5))
    assert [(vote.answer, vote.weight) for vote in result.votes] == [("1", 0.9), ("3", 0.7)]


async def test_where_scores_only_fall_the_low_is_the_score() -> None:
    response = Candidate(step_scores=(0.5, None, 0.8, 0.5))
    assert [low(response, aggregation) for aggregation in Aggregation] == [0.5, 0.5, 0.2]
    assert low(Candidate(), Aggregation.LAST) is None


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("warmup", [1, 3, 16])
async def test_with_keep_1_and_without_an_early_end_it_is_a_weighted_vote(seed: int, warmup: int) -> None:
    whole = await search(World(Chance(seed)), BestOfN(16, early_stop=False))
    result = await search(World(Chance(seed), shuffle=seed), DeepConf(16, warmup, 1.0, early_stop=False))
    assert not stopped(result)
    assert result.votes == whole.votes
    assert result.meter.completion_tokens == whole.meter.completion_tokens


@pytest.mark.parametrize("seed", range(40))
async def test_what_is_in_the_vote_never_fell_below_the_threshold_and_all_else_did(seed: int) -> None:
    watch = Watch()
    result = await search(World(Chance(seed)), DeepConf(24, 8, 0.5, early_stop=False), observer=watch)
    threshold = watch.decisions[0].values["threshold"]
    assert isinstance(threshold, float)
    voting = {candidate.path for vote in result.votes for candidate in vote.candidates}
    for candidate in result.candidates:
        own = low(candidate, Aggregation.LAST)
        assert (candidate.path in voting) == (candidate.is_complete and (own or 0.0) >= threshold)


@pytest.mark.parametrize("seed", range(40))
async def test_an_exact_end_alone_never_changes_the_answer(seed: int) -> None:
    """A consensus of 1 is there when all agree: then it may be another than with all votes, so it must not come."""
    late = await search(World(Chance(seed)), DeepConf(32, 8, 0.5, 1.0, early_stop=False))
    early = await search(World(Chance(seed)), DeepConf(32, 8, 0.5, 1.0))
    if sum(bool(vote.weight) for vote in early.votes if vote.answer) > 1:
        assert elected(early) == elected(late)


async def test_drawing_ends_at_the_consensus() -> None:
    agreeing = [answer("1", 0.95), answer("1", 0.95), answer("2", 0.1)]
    for consensus, num_drawn in ((0.95, 3), (0.96, 6)):
        world = World(Tree(*agreeing))
        result = await search(world, DeepConf(6, 3, 1.0, consensus))
        assert elected(result) == "1"
        assert world.policy.num_calls == num_drawn


async def test_later_responses_are_drawn_in_waves_as_large_as_the_warm_up() -> None:
    surer = step("surer", 0.9, answer("1", 0.9))
    world = World(Tree(answer("1", 0.5), answer("2", 0.5), surer, surer, answer("2", 0.5)))
    result = await search(world, DeepConf(100, 2, 1.0, 0.8))
    assert (world.policy.num_calls, elected(result)) == (4, "1")  # .5 and .5; then 2.3 of 2.8


async def test_a_truncated_warm_up_sets_no_threshold() -> None:
    world = World(Tree(cut("x"), cut("y"), answer("1", 0.1)))
    result = await search(world, DeepConf(3, 2, 0.5))
    assert elected(result) == "1"
    assert result.decision is not None
    assert result.decision.values["threshold"] == 0.0


async def test_a_response_that_says_nothing_is_kept_for_its_score_and_votes_for_nothing() -> None:
    result = await search(World(Tree(end("no idea", 0.9), answer("1", 0.1))), DeepConf(2, 2, 0.5))
    assert (elected(result), num_votes(result)) == (None, {None: 1})


async def test_at_a_deadline_the_best_of_what_is_there_votes() -> None:
    world = World(Tree(*WARMUP, step("late", 0.9, answer("9", 1.0))))
    world.policy.gates["late\n\n"] = asyncio.Event()
    result = await an_hour_later(search(world, DeepConf(8, 4, 0.5), deadline_s=60))
    assert num_votes(result) == {"1": 2, "2": 1}  # by their last scores: .9 each, of .9, .5, .9, .7 and .9


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"n": 0}, "n"),
        ({"n": 4, "warmup": 0}, "warmup"),
        ({"n": 4, "keep": 0.0}, "keep"),
        ({"n": 4, "keep": 1.1}, "keep"),
        ({"n": 4, "consensus": 0.5}, "consensus"),
        ({"n": 4, "consensus": 1.01}, "consensus"),
    ],
)
def test_nonsense_is_refused(values: dict[str, float], field: str) -> None:
    with pytest.raises(HyperparameterError) as caught:
        DeepConf(**values)  # type: ignore[arg-type]
    assert caught.value.field == field


class Attentive:
    """Reads the confidences of thoughts, too: the first letter of a step says how confident the policy was."""

    num_logprobs = 5
    reads_thoughts = True

    def __init__(self) -> None:
        self.shown: list[str] = []

    async def score(
        self, problem: Problem, prefix: Sequence[Step], steps: Sequence[Step], meter: Meter
    ) -> tuple[float, ...]:
        self.shown.append(" ".join(step.text.strip() for step in (*prefix, *steps)))
        texts = [step.text for step in (*prefix, *steps)]
        places = range(len(prefix), len(texts))
        return tuple(sum("sure" in text for text in texts[: place + 1]) / (place + 1) for place in places)


def thinking(*branches: Branch) -> tuple[World, Attentive]:
    world, verifier = World(Tree(*branches), thinks=True), Attentive()
    world.models = type(world.models)(world.policy, verifier, world.models.reader)
    return world, verifier


THINKS = step("Hm, sure", 0.0, step("Hm, no", 0.0, answer("1 sure", 0.0)))


async def test_a_verifier_of_confidence_is_shown_thoughts_and_scores_the_answer() -> None:
    world, verifier = thinking(THINKS)
    result = await search(world, BestOfN(1))
    assert verifier.shown == [r"Hm, sure Hm, no \boxed{1 sure}"]
    assert result.candidates[0].step_scores[:2] == (None, None)
    assert result.candidates[0].score == pytest.approx(2 / 3)
    assert all(sampling.num_logprobs == 5 for _, sampling in world.policy.draws)


async def test_judged_thoughts_are_shown_once_and_have_scores() -> None:
    world, verifier = thinking(THINKS)
    result = await search(world, BestOfN(1), judges_thoughts=True)
    assert result.candidates[0].step_scores == pytest.approx((1.0, 0.5, 2 / 3))
    assert len(verifier.shown) == 1


async def test_a_response_is_stopped_within_its_thoughts() -> None:
    world, _ = thinking(step("Hm, sure", 0.0, answer("1 sure", 0.0)), step("Hm, no", 0.0, answer("2 sure", 0.0)))
    result = await search(world, DeepConf(2, 1, 0.5, early_stop=False))
    assert (stopped(result), elected(result)) == ([1], "1 sure")
    assert result.candidates[1].is_thinking


async def test_confidences_are_asked_for_only_where_they_are_read() -> None:
    world, _ = thinking(THINKS)
    await search(world, BestOfN(1, Selection.MAJORITY))
    plain = World(Tree(answer("1", 0.5)))
    await search(plain, BestOfN(1))
    for _, sampling in (*world.policy.draws, *plain.policy.draws):
        assert sampling.num_logprobs == 0


async def test_a_response_that_a_failing_model_takes_is_left_out() -> None:
    world = World(Tree(answer("1", 0.5), answer("2", 0.5), step("bad", 0.9, answer("3", 0.9)), answer("4", 0.5)))
    world.policy.failures["bad\n\n"] = ModelError("it broke")
    result = await search(world, DeepConf(4, 2, early_stop=False))
    assert (result.status, num_votes(result)) == (Status.DEGRADED, {"1": 1, "2": 1, "4": 1})


async def test_a_verifier_of_confidence_judges_copies_each_and_none_is_billed() -> None:
    """The same tokens may have been sampled with another confidence, or written where a budget was spent."""
    world, verifier = thinking(answer("1 sure", 0.0))
    result = await search(world, BestOfN(3))
    assert len(verifier.shown) == 3
    assert result.meter.verifier_tokens == result.meter.verifier_cached_tokens == 0
