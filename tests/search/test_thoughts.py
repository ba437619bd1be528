"""Thoughts before an answer: what they state is no answer, and nobody judges them unless that is asked for."""

import pytest

from models.interfaces import Finish, Step
from search.beam_search import BeamSearch
from search.best_of_n import BestOfN
from search.candidate import Candidate
from search.dvts import DVTS
from search.rebase import Rebase
from search.strategy import Strategy
from search.voting import Selection
from tests.natures import Branch, Tree, answer, cut, end, step
from tests.search.helpers import Watch, elected, search
from tests.worlds import World

FALSE = r"Hm, \boxed{666}"
STRATEGIES: dict[str, Strategy] = {
    "majority": BestOfN(4, Selection.MAJORITY),
    "best_of_n": BestOfN(4, Selection.BEST),
    "weighted_best_of_n": BestOfN(4, Selection.WEIGHTED),
    "beam_search": BeamSearch(4, 2),
    "dvts": DVTS(4, 2),
    "rebase": Rebase(4),
}
each_strategy = pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)


def thinking(*then: Branch, first: str = FALSE) -> Branch:
    """Two steps of thoughts, which state a wrong answer, and what follows them."""
    return step(first, 1.0, step(r"Hm, it is \boxed{666} after all", 1.0, *then))


def world_of(*branches: Branch) -> World:
    return World(Tree(*branches), thinks=True)


@each_strategy
async def test_no_answer_is_taken_from_thoughts(strategy: Strategy) -> None:
    result = await search(world_of(thinking(step("So", 0.5, answer("7", 0.2)))), strategy)
    assert elected(result) == "7"
    assert all(vote.answer == "7" for vote in result.votes)


@each_strategy
async def test_thoughts_that_never_end_state_nothing(strategy: Strategy) -> None:
    for unfinished in (end(FALSE, 1.0), cut(FALSE)):
        result = await search(world_of(step(r"Hm, \boxed{666}", 1.0, unfinished)), strategy)
        assert elected(result) is None
        assert all(vote.answer is None for vote in result.votes)


@each_strategy
async def test_a_response_that_says_nothing_behind_its_thoughts_has_no_answer(strategy: Strategy) -> None:
    result = await search(
        world_of(thinking(end("I cannot say.", 0.9)), thinking(answer("7", 0.1), first="Hm!")), strategy
    )
    assert elected(result) == "7"


@pytest.mark.parametrize("name", ["best_of_n", "weighted_best_of_n", "beam_search", "dvts", "rebase"])
async def test_a_verifier_never_sees_thoughts(name: str) -> None:
    world = world_of(
        thinking(step("So", 0.5, answer("7", 0.2))), thinking(step("Thus", 0.4, answer("8", 0.1)), first="Hm!")
    )
    result = await search(world, STRATEGIES[name])
    assert elected(result) == "7"
    assert not any("Hm" in text for text in world.verifier.judged)


@each_strategy
async def test_scores_stand_beside_their_steps(strategy: Strategy) -> None:
    world = world_of(thinking(step("So", 0.5, answer("7", 0.25))))
    result = await search(world, strategy)
    assert result.chosen is not None
    expected = () if not strategy.needs_verifier else (None, None, 0.5, 0.25)
    assert result.chosen.step_scores == expected
    assert result.chosen.thinking == f"{FALSE}\n\nHm, it is \\boxed{{666}} after all"
    assert result.chosen.response == "So\n\n\\boxed{7}"


async def test_a_tree_over_the_answer_takes_all_thoughts_with_its_first_step() -> None:
    world = world_of(thinking(step("So", 0.5, answer("7", 0.2))))
    result = await search(world, BeamSearch(4, 2))
    first = next(candidate for candidate in result.candidates if candidate.path == (0,))
    assert [each.is_thinking for each in first.steps] == [True, True, False]
    assert result.rounds == 2


async def test_thoughts_that_come_again_go_with_the_step_behind_them() -> None:
    world = world_of(thinking(step("So", 0.5, step("Hm, again", 0.9, answer("7", 0.2)))))
    result = await search(world, BeamSearch(4, 2))
    assert result.chosen is not None
    assert result.chosen.step_scores == (None, None, 0.5, None, 0.2)
    assert len(result.chosen.path) == 2


async def test_a_tree_over_thoughts_takes_them_step_by_step() -> None:
    world = world_of(
        step("Hm, one", 0.9, step("Hm, more", 0.9, answer("7", 0.9))),
        step("Hm, two", 0.1, step("Hm, less", 0.1, answer("8", 0.1))),
    )
    result = await search(world, BeamSearch(4, 2), judges_thoughts=True)
    first = next(candidate for candidate in result.candidates if candidate.path == (0,))
    assert (len(first.steps), first.step_scores) == (1, (0.9,))
    assert elected(result) == "7"
    assert result.chosen is not None
    assert result.chosen.step_scores == (0.9, 0.9, 0.9)
    assert result.chosen.response == r"\boxed{7}"


async def test_thoughts_grow_in_sight_of_the_observer() -> None:
    watch = Watch()
    await search(world_of(thinking(step("So", 0.5, answer("7", 0.2)))), BeamSearch(1, 1), observer=watch)
    assert [len(candidate.steps) for candidate in watch.growths][:2] == [1, 2]


async def test_thoughts_are_in_the_bill_and_counted_apart() -> None:
    result = await search(world_of(thinking(answer("7", 0.2))), BestOfN(3, Selection.MAJORITY, early_stop=False))
    spent = sum(len(each.token_ids) for candidate in result.candidates for each in candidate.steps if each.is_thinking)
    assert 0 < spent == result.meter.reasoning_tokens < result.meter.completion_tokens


def test_the_answer_stands_behind_the_last_thoughts() -> None:
    def candidate(*marked: str) -> Candidate:
        steps = [Step(text.lstrip("*"), (1,), Finish.STEP, is_thinking=text.startswith("*")) for text in marked]
        return Candidate(steps=tuple(steps))

    assert candidate("a", "b").response == "ab"
    assert candidate("a", "b").thinking is None
    assert candidate("*a", "\n\nb").response == "b"
    assert candidate("*a", "b", "*c", "d").response == "d"
    assert candidate("*a", "b", "*c").response == ""
    assert candidate("*", "a").thinking is None


async def test_responses_cut_off_in_their_thoughts_are_told_apart() -> None:
    world = world_of(cut(FALSE), cut("Hm, 2"), cut("So"), answer("7", 0.5))
    result = await search(world, BestOfN(4, Selection.MAJORITY, early_stop=False))
    texts = [caution.text for caution in result.diagnostics.warnings]
    assert any("3 of 4 responses were truncated" in text and "2 of them in their thoughts" in text for text in texts)
