"""Every defect found in the reference codes, as a sentence about ours."""

import asyncio
from collections import Counter

import pytest

from search.aggregation import Aggregation
from search.beam_search import BeamSearch
from search.best_of_n import BestOfN
from search.dvts import DVTS
from search.strategy import Strategy
from search.voting import Selection
from tests.natures import Branch, Tree, answer, cut, end, step
from tests.search.helpers import cancel_midway, drawn_after, each_selection, each_strategy, elected, search
from tests.worlds import World


def ladder(n: int) -> list[Branch]:
    """n first steps, each better than the one before it and followed by an answer."""
    return [step(f"s{i}", i / n, answer(str(i), i / n)) for i in range(n)]


@pytest.mark.parametrize("beam_width", [2, 8])
async def test_n_over_m_survive_and_each_has_m_children(beam_width: int) -> None:
    world = World(Tree(*ladder(16)))
    await search(world, BeamSearch(16, beam_width))
    survivors = [f"s{i}" for i in range(16 - 16 // beam_width, 16)]
    assert Counter(drawn_after(world)) == {"": 16} | dict.fromkeys(survivors, beam_width)


@pytest.mark.parametrize("beam_width", [2, 8])
async def test_dvts_has_n_over_m_subtrees_of_m_steps(beam_width: int) -> None:
    world = World(Tree(*ladder(16)))
    await search(world, DVTS(16, beam_width, early_stop=False))
    kept = [f"s{i}" for i in range(beam_width - 1, 16, beam_width)]
    assert drawn_after(world) == [""] * 16 + [name for name in kept for _ in range(beam_width)]


@each_strategy(n=4, beam_width=2)
async def test_a_truncated_response_is_not_complete_and_does_not_vote(strategy: Strategy) -> None:
    result = await search(World(Tree(cut(r"\boxed{1}"))), strategy)
    assert result.votes == ()
    assert elected(result) is None
    assert not any(candidate.is_complete for candidate in result.candidates)


@each_strategy(n=4, beam_width=2)
async def test_a_step_that_spends_the_last_token_is_truncated(strategy: Strategy) -> None:
    world = World(Tree(step("abcd", 0.5, answer("1", 0.5))))
    result = await search(world, strategy, max_tokens=6)
    assert drawn_after(world) == [""] * 4
    assert all(candidate.is_final and not candidate.is_complete for candidate in result.candidates)


@each_strategy(n=4, beam_width=2)
async def test_a_blank_last_step_is_not_judged(strategy: Strategy) -> None:
    world = World(Tree(step(r"\boxed{1}", 0.9, end("", 0.1))))
    result = await search(world, strategy)
    assert result.chosen is not None
    assert result.chosen.score == (0.9 if strategy.needs_verifier else None)
    assert set(world.verifier.judged) <= {"\\boxed{1}\n\n"}


async def test_a_complete_candidate_leaves_the_beam_and_takes_its_place_with_it() -> None:
    world = World(Tree(answer("1", 0.9), *ladder(7)))
    result = await search(world, BeamSearch(8, 4, early_stop=False))
    assert drawn_after(world) == [""] * 8 + ["s6"] * 4
    assert [vote.count for vote in result.votes] == [4, 1]


async def test_a_short_beam_is_not_padded_with_copies() -> None:
    world = World(Tree(step("a", 0.9, answer("1", 0.9)), *[cut("b")] * 7))
    result = await search(world, BeamSearch(8, 2))
    assert drawn_after(world) == [""] * 8 + ["a"] * 2
    assert [vote.count for vote in result.votes] == [2]


async def test_completion_tokens_are_those_spent_with_the_pruned_ones() -> None:
    world = World(Tree(step("aaa", 0.9, answer("1", 0.9)), step("b", 0.5), cut("cc"), end("", 0.0)))
    result = await search(world, BeamSearch(4, 2, early_stop=False))
    # 3 + 2 and 1 + 2 with their delimiters, 2 truncated, none blank; two answers of 9 after the first
    assert result.meter.completion_tokens == 5 + 3 + 2 + 0 + 2 * 9


async def test_the_end_of_a_lookahead_is_judged_and_decides() -> None:
    early = step("early", 0.9, step("bad", 0.1, answer("1", 0.1)))
    late = step("late", 0.2, step("good", 0.8, answer("2", 0.8)))
    plain = await search(World(Tree(early, late)), BeamSearch(2, 2))
    ahead = await search(World(Tree(early, late)), BeamSearch(2, 2, lookahead=1))
    assert (elected(plain), elected(ahead)) == ("1", "2")


@pytest.mark.parametrize(
    ("aggregation", "expected"), [(Aggregation.LAST, "1"), (Aggregation.MIN, "2"), (Aggregation.PROD, "3")]
)
async def test_the_aggregation_decides(aggregation: Aggregation, expected: str) -> None:
    last, low = step("a", 0.1, answer("1", 0.9)), step("b", 0.5, answer("2", 0.6))
    world = World(Tree(last, low, step("c", 0.4, answer("3", 0.8))))
    result = await search(world, BestOfN(3, Selection.BEST), aggregation=aggregation)
    assert elected(result) == expected


@each_strategy(n=4, beam_width=2)
async def test_nothing_follows_the_end_of_a_response(strategy: Strategy) -> None:
    world = World(Tree(answer("1", 0.5)))
    result = await search(world, strategy)
    assert world.policy.num_calls == 4
    assert result.rounds == 1


@each_selection
async def test_no_answer_is_never_elected(selection: Selection) -> None:
    world = World(Tree(end("no idea", 0.9), end("no idea", 0.9), answer("1", 0.1), end("no idea", 0.9)))
    result = await search(world, BeamSearch(4, 2, selection=selection))
    assert elected(result) == "1"
    assert [(vote.answer, vote.count) for vote in result.votes] == [("1", 1), (None, 3)]


@each_strategy(n=4, beam_width=4)
async def test_a_half_is_one_answer_however_it_is_written(strategy: Strategy) -> None:
    world = World(Tree(answer("3", 0.5), answer("0.5", 0.3), answer("1/2", 0.4), answer(r"\frac12", 0.2)))
    result = await search(world, strategy)
    votes = {vote.answer: vote.count for vote in result.votes}
    assert sorted(votes.values()) == [1, 3]
    assert votes["3"] == 1


@each_strategy(n=4, beam_width=2)
@pytest.mark.parametrize("text", ["first\n\n", "second\n\n", r"\boxed{1}"])
async def test_a_cancelled_search_leaves_no_work_behind(strategy: Strategy, text: str) -> None:
    world = World(Tree(step("first", 0.5, step("second", 0.5, answer("1", 0.5)))))
    world.policy.gates[text] = asyncio.Event()
    await cancel_midway(search(world, strategy))
    assert world.policy.num_cancelled > 0
    assert (world.policy.num_in_flight, world.verifier.num_in_flight) == (0, 0)


@pytest.mark.parametrize("strategy", [BestOfN(4), BeamSearch(4, 2), DVTS(4, 2)])
async def test_a_cancelled_search_leaves_no_judging_behind(strategy: Strategy) -> None:
    world = World(Tree(step("first", 0.5, answer("1", 0.5))))
    world.verifier.gates = {"first\n\n": asyncio.Event(), r"\boxed{1}": asyncio.Event()}
    await cancel_midway(search(world, strategy))
    assert world.verifier.num_cancelled == world.verifier.num_calls == 1
    assert (world.policy.num_in_flight, world.verifier.num_in_flight) == (0, 0)
