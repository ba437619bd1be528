"""Tournaments, worked out by hand: who meets whom, who is strongest, and what a search makes of it."""

import asyncio
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import ContextOverflowError, EngineUnavailableError
from search.beam_search import BeamSearch
from search.best_of_n import BestOfN
from search.candidate import Candidate
from search.dvts import DVTS
from search.errors import HyperparameterError
from search.strategy import Strategy
from search.tournament import NUM_PIVOTS, UNABLE, hold
from search.voting import Ballot, Selection
from tests.natures import Branch, Chance, Tree, answer, cut, end, step
from tests.search.helpers import an_hour_later, elected, search, voter
from tests.worlds import World

pytestmark = pytest.mark.asyncio(loop_scope="function")  # the clock that jumps an hour is no engine's

GONE = EngineUnavailableError("gone")


def tournament(n: int) -> BestOfN:
    return BestOfN(n, Selection.TOURNAMENT)


def scored(*scores: float) -> list[Branch]:
    """Responses that answer 1, 2, ... in turn, and these scores."""
    return [answer(str(number), score) for number, score in enumerate(scores, 1)]


def box(number: int) -> str:
    return rf"\boxed{{{number}}}"


@given(
    skills=st.lists(st.integers(1, 1_000), min_size=1, max_size=40, unique=True),
    num_pivots=st.integers(1, 8),
)
async def test_every_player_meets_every_pivot_once_and_the_most_skilled_wins(
    skills: list[int], num_pivots: int
) -> None:
    met: list[frozenset[int]] = []

    async def compare(first: int, second: int) -> float:
        met.append(frozenset((first, second)))
        return first / (first + second)

    found = await hold(skills, compare, num_pivots)
    pivots = skills[:num_pivots]
    others = len(skills) - len(pivots)
    assert found.num_comparisons == len(met) == len(set(met)) == len(pivots) * (others + (len(pivots) - 1) / 2)
    assert {pair for pair in met if len(pair & set(pivots)) == 2} == set(map(frozenset, combinations(pivots, 2)))
    by_hand = [sum(skill / (skill + pivot) for pivot in pivots) / len(pivots) for skill in skills]
    assert found.strengths == pytest.approx(by_hand)
    assert max(zip(found.strengths, skills, strict=True))[1] == max(skills)


async def test_one_who_beats_the_strong_is_stronger_than_one_who_beats_the_weak() -> None:
    chances = {("b", "a"): 0.5, ("c", "a"): 0.6, ("c", "b"): 0.6}

    async def compare(first: str, second: str) -> float:
        return chances.get((first, second), 0.1)  # the weak lose

    found = await hold(["a", "b", "c", *(f"weak {number}" for number in range(20))], compare, 2)
    assert found.strengths[:4] == pytest.approx((0.5, 0.5, 0.6, 0.1))


async def test_a_lost_comparison_is_left_out_of_the_mean() -> None:
    async def compare(first: str, second: str) -> float:
        if {first, second} in ({"c", "a"}, {"d", "a"}, {"d", "b"}):
            raise GONE
        return 0.8

    found = await hold(["a", "b", "c", "d"], compare, 2)
    assert (found.num_comparisons, found.errors) == (2, (GONE,) * 3)
    assert found.strengths[:3] == pytest.approx((0.35, 0.65, 0.8))
    assert found.strengths[3] is None


async def test_the_strongest_is_chosen_whatever_its_score() -> None:
    world = World(Tree(*scored(0.9, 0.5, 0.4)), shuffle=1)
    world.verifier.tastes = {(box(3), box(1)): 0.9, (box(3), box(2)): 0.8, (box(2), box(1)): 0.4}
    result = await search(world, tournament(3))
    assert elected(result) == "3"
    by_hand = [(0.9 + 0.8 + 0.5) / 3, (0.5 + 0.6 + 0.1) / 3, (0.4 + 0.5 + 0.2) / 3]
    assert [vote.answer for vote in result.votes] == ["3", "1", "2"]
    assert [vote.strength for vote in result.votes] == pytest.approx(by_hand)
    assert [vote.weight for vote in result.votes] == [0.4, 0.9, 0.5]
    assert result.decision is not None
    assert result.decision.values == {"comparisons": 3, "players": 3}


async def test_comparisons_are_in_the_bill_and_linear_in_n() -> None:
    scores = [number / 100 for number in range(1, 31)]
    best = await search(World(Tree(*scored(*scores))), BestOfN(30, Selection.BEST, early_stop=False))
    world = World(Tree(*scored(*scores)))
    result = await search(world, tournament(30))
    num_pairs = NUM_PIVOTS * (30 - NUM_PIVOTS) + NUM_PIVOTS * (NUM_PIVOTS - 1) // 2
    assert len(world.verifier.compared) == num_pairs
    assert {pivot for _, pivot in world.verifier.compared} == {box(30), box(29), box(28), box(27)}
    lengths = sum(2 * len(first + second) for first, second in world.verifier.compared)
    assert result.meter.verifier_tokens == best.meter.verifier_tokens + lengths


async def test_responses_of_the_same_text_play_as_one() -> None:
    world = World(Tree(*scored(0.2, 0.5), *scored(0.2, 0.5), *scored(0.2)))
    result = await search(world, tournament(5))
    assert len(world.verifier.compared) == 1
    assert [(vote.answer, vote.count) for vote in result.votes] == [("2", 2), ("1", 3)]
    assert result.chosen is not None
    assert result.chosen.path == (1,)


async def test_where_no_response_states_an_answer_the_strongest_is_chosen() -> None:
    world = World(Tree(end("Paris, of course.", 0.6), end("Paris.", 0.5), cut("Par")))
    world.verifier.tastes = {("Paris.", "Paris, of course."): 0.7}
    result = await search(world, tournament(3))
    assert result.chosen is not None
    assert result.chosen.text == "Paris."
    assert len(world.verifier.compared) == 1


async def test_where_some_state_an_answer_only_those_that_hold_play() -> None:
    world = World(Tree(*scored(0.2, 0.9), end("Paris.", 0.9), *scored(0.3)))
    result = await search(world, tournament(4), refuted={"2"})
    assert (elected(result), world.verifier.compared) == ("1", [])
    assert [vote.answer for vote in result.votes] == ["1", None]


@given(seed=st.integers(0, 200))
async def test_where_chances_are_as_the_scores_the_tournament_is_best_of_n(seed: int) -> None:
    best = await search(World(Chance(seed)), BestOfN(8, Selection.BEST, early_stop=False))
    found = await search(World(Chance(seed), shuffle=seed), tournament(8))
    assert elected(found) == elected(best)


@pytest.mark.parametrize("make", [BeamSearch, DVTS])
async def test_a_tree_search_can_end_in_a_tournament(make: type[Strategy]) -> None:
    world = World(Tree(step("a", 0.9, *scored(0.9, 0.8)), step("b", 0.8, *scored(0.9, 0.8))))
    world.verifier.tastes = {(f"a\n\n{box(2)}", f"a\n\n{box(1)}"): 0.8}
    result = await search(world, make(2, 2, selection=Selection.TOURNAMENT))  # type: ignore[call-arg]
    assert elected(result) == "2"


async def test_a_failing_comparison_degrades_the_search() -> None:
    world = World(Tree(*scored(0.9, 0.5)))
    world.verifier.failures[f"{box(2)} or {box(1)}"] = ContextOverflowError(10, 9)
    result = await search(world, tournament(2))
    assert (elected(result), result.status.value) == ("1", "degraded")
    assert result.decision is not None
    assert "1 more were lost" in result.decision.reason


async def test_a_deadline_in_the_tournament_leaves_the_decision_to_the_scores() -> None:
    world = World(Tree(*scored(0.9, 0.5, 0.4)))
    world.verifier.gates[f"{box(2)} or {box(1)}"] = asyncio.Event()
    result = await an_hour_later(search(world, tournament(3), deadline_s=60))
    assert (elected(result), result.status.value) == ("1", "deadline")
    assert result.decision is not None
    assert "time was up in the tournament" in result.decision.reason
    assert world.verifier.num_in_flight == 0


async def test_a_verifier_that_cannot_compare_is_refused_before_anything_is_drawn() -> None:
    class Plain:
        def __init__(self, verifier: object) -> None:
            self.score = verifier.score  # type: ignore[attr-defined]

    for verifier in (None, Plain):
        world = World(Tree(*scored(0.9)))
        world.models = replace(world.models, verifier=verifier and verifier(world.verifier))
        with pytest.raises(HyperparameterError, match=UNABLE):
            await search(world, tournament(1))
        assert not world.policy.draws


def test_a_tournament_is_never_decided_before_it_was_held() -> None:
    ballot: Ballot[Candidate] = Ballot(Selection.TOURNAMENT)
    for number in range(8):
        ballot.cast(voter((number,), "1", 1.0))
    assert not ballot.is_decided([0.1])
