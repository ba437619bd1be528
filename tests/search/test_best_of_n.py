import asyncio
import math

import pytest

from search.aggregation import Aggregation
from search.best_of_n import BestOfN
from search.errors import HyperparameterError
from search.voting import Selection, rank
from tests.natures import Chance, Tree, answer, cut, end, step
from tests.search.helpers import an_hour_later, drawn_after, elected, search
from tests.worlds import World

pytestmark = pytest.mark.asyncio(loop_scope="function")  # the clock that jumps an hour is no engine's


def small_world() -> World:
    """The most frequent, the heaviest and the best answer are three."""
    answers = [answer("1", 0.1), answer("1", 0.2), answer("1", 0.1), answer("2", 0.4), answer("2", 0.5)]
    return World(Tree(*answers, answer("3", 0.7)))


@pytest.mark.parametrize(
    ("selection", "expected"), [(Selection.MAJORITY, "1"), (Selection.WEIGHTED, "2"), (Selection.BEST, "3")]
)
async def test_the_selection_makes_three_strategies_of_one(selection: Selection, expected: str) -> None:
    world = small_world()
    result = await search(world, BestOfN(6, selection))
    assert elected(result) == expected
    assert drawn_after(world) == [""] * 6


async def test_a_majority_judges_nothing() -> None:
    world = small_world()
    result = await search(world, BestOfN(6, Selection.MAJORITY))
    assert world.verifier.num_calls == result.meter.verifier_tokens == 0
    assert result.chosen is not None
    assert result.chosen.score is None


async def test_a_response_is_one_generation_and_one_judgement() -> None:
    world = World(Tree(step("a", 0.2, step("b", 0.4, answer("1", 0.6)))))
    result = await search(world, BestOfN(1))
    assert (world.policy.num_calls, world.verifier.num_calls, result.rounds) == (1, 1, 1)
    assert result.candidates[0].step_scores == (0.2, 0.4, 0.6)


async def test_truncated_responses_are_not_judged() -> None:
    world = World(Tree(step("a", 0.9, cut("x")), answer("1", 0.5)))
    await search(world, BestOfN(2))
    assert world.verifier.judged == [r"\boxed{1}"]


@pytest.mark.parametrize("aggregation", [Aggregation.MIN, Aggregation.PROD])
async def test_a_response_below_the_best_is_stopped_where_scores_only_fall(aggregation: Aggregation) -> None:
    hopeless = step("a", 0.4, step("b", 0.9, step("c", 0.9, answer("2", 0.9))))
    world = World(Tree(answer("1", 0.5), hopeless))
    result = await search(world, BestOfN(2, Selection.BEST), aggregation=aggregation)
    assert [candidate.is_stopped for candidate in result.candidates] == [False, True]
    assert [vote.answer for vote in result.votes] == ["1"]
    assert result.meter.completion_tokens == 9 + 3


async def test_a_response_that_equals_the_best_is_not_stopped() -> None:
    world = World(Tree(answer("1", 0.5), step("a", 0.5, answer("2", 0.5))))
    result = await search(world, BestOfN(2, Selection.BEST), aggregation=Aggregation.MIN)
    assert [vote.answer for vote in result.votes] == ["1", "2"]


@pytest.mark.parametrize(
    ("strategy", "aggregation"),
    [
        (BestOfN(2, Selection.BEST), Aggregation.LAST),
        (BestOfN(2, Selection.WEIGHTED), Aggregation.MIN),
        (BestOfN(2, Selection.BEST, early_stop=False), Aggregation.MIN),
    ],
)
async def test_a_low_score_stops_nothing_where_it_may_still_count(strategy: BestOfN, aggregation: Aggregation) -> None:
    world = World(Tree(answer("1", 0.5), step("a", 0.4, answer("2", 0.9))))
    result = await search(world, strategy, aggregation=aggregation)
    assert sum(vote.count for vote in result.votes) == 2


async def test_a_response_without_an_answer_stops_none_that_has_one() -> None:
    world = World(Tree(end("no idea", 0.9), step("a", 0.4, answer("1", 0.4))))
    result = await search(world, BestOfN(2, Selection.BEST), aggregation=Aggregation.MIN)
    assert elected(result) == "1"


@pytest.mark.parametrize(
    ("keep", "expected"),
    [(1.0, {"2": 2, "3": 1, "1": 3}), (0.5, {"2": 2, "3": 1}), (0.34, {"3": 1, "2": 2}), (0.1, {"3": 1})],
)
async def test_of_the_responses_the_share_with_the_highest_scores_votes(keep: float, expected: dict[str, int]) -> None:
    result = await search(small_world(), BestOfN(6, keep=keep))
    assert {vote.answer: vote.count for vote in result.votes} == expected


async def test_responses_without_an_answer_take_no_place_among_those_kept() -> None:
    world = World(Tree(end("no idea", 0.9), answer("1", 0.2), answer("2", 0.1)))
    result = await search(world, BestOfN(3, keep=0.5))
    assert [(vote.answer, vote.count) for vote in result.votes] == [("1", 1), (None, 1)]


@pytest.mark.parametrize("early_stop", [True, False])
@pytest.mark.parametrize("seed", range(40))
async def test_what_is_left_out_does_not_depend_on_early_stopping(seed: int, early_stop: bool) -> None:
    result = await search(World(Chance(seed), shuffle=seed), BestOfN(16, keep=0.5, early_stop=early_stop))
    whole = await search(World(Chance(seed)), BestOfN(16, early_stop=False))
    voters = rank([c for vote in whole.votes if vote.answer for c in vote.candidates])
    left_out = {candidate.path for candidate in voters[math.ceil(len(voters) / 2) :]}
    voting = {c.path for vote in result.votes for c in vote.candidates}
    assert voting == {c.path for vote in whole.votes for c in vote.candidates} - left_out


async def test_at_a_deadline_the_best_of_what_is_there_vote() -> None:
    world = World(Tree(answer("1", 0.2), answer("2", 0.5), step("late", 0.9, answer("3", 0.9))))
    world.policy.gates["late\n\n"] = asyncio.Event()
    result = await an_hour_later(search(world, BestOfN(3, keep=0.5), deadline_s=60))
    assert [vote.answer for vote in result.votes] == ["2"]


@pytest.mark.parametrize("selection", [Selection.MAJORITY, Selection.BEST])
def test_a_share_of_votes_that_are_not_weighted_is_refused(selection: Selection) -> None:
    with pytest.raises(HyperparameterError, match="changes weighted votes alone"):
        BestOfN(4, selection, keep=0.5)
