from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.beam_search import BeamSearch
from search.best_of_n import BestOfN
from search.compute_optimal import Bin, ComputeOptimal
from search.confidence import Confidence
from search.dvts import DVTS
from search.errors import HyperparameterError
from search.solve import SearchResult
from search.strategy import Strategy
from search.voting import Selection
from tests.natures import Chance, Tree, answer, end, step
from tests.search.helpers import Watch, drawn_after, elected, search
from tests.worlds import HybridPolicy, World

AS_IT_IS = Confidence((0.0, 1.0), (0.0, 1.0))
"""The support of an answer is its probability."""


def auto(
    n: int, probe: Strategy, *bins: tuple[float, Strategy | None], target_confidence: float | None = None
) -> ComputeOptimal:
    return ComputeOptimal(
        n, probe, AS_IT_IS, tuple(Bin(floor, rest) for floor, rest in bins), AS_IT_IS, target_confidence
    )


def responses(n: int) -> BestOfN:
    return BestOfN(n, Selection.WEIGHTED, early_stop=False)


def unsure_world() -> World:
    """Two responses disagree; those that follow do not."""
    return World(Tree(answer("1", 0.6), answer("2", 0.5), answer("2", 0.4), answer("3", 0.1)))


async def test_an_easy_problem_ends_with_the_probe() -> None:
    world = World(Tree(answer("1", 0.9)))
    result = await search(world, auto(4, responses(2), (0.8, None), (0.0, responses(2))))
    assert result.meter.completion_tokens == world.policy.num_tokens
    assert len(result.candidates) == 2
    assert result.decision is not None
    assert result.decision.values == {
        "probe": responses(2),
        "probe_confidence": pytest.approx(0.9),
        "difficulty": 1,
        "rest": None,
    }
    assert result.decision.reason == "{probe} was 90% sure (difficulty 1 of 2), so nothing followed"
    assert result.decision.confidence == pytest.approx(0.9)


async def test_a_hard_problem_gets_what_its_bin_says_and_the_probe_votes_too() -> None:
    result = await search(unsure_world(), auto(4, responses(2), (0.8, None), (0.0, responses(2))))
    assert [(vote.answer, vote.count) for vote in result.votes] == [("2", 2), ("1", 1), ("3", 1)]
    assert result.decision is not None
    assert (result.decision.values["difficulty"], result.decision.values["rest"]) == (2, responses(2))
    assert result.decision.values["probe_confidence"] == pytest.approx(0.6 * 0.6 / 1.1)
    assert result.decision.reason == "{probe} was 33% sure (difficulty 2 of 2), so {rest} followed"
    assert result.decision.confidence == pytest.approx(0.5 * 1.0 / 1.7)  # equal responses are judged once


async def test_each_decision_is_told_when_it_is_made_and_the_last_one_holds() -> None:
    watch = Watch()
    result = await search(unsure_world(), auto(4, responses(2), (0.0, responses(2))), observer=watch)
    told = [(sorted(decision.values), decision.confidence is None) for decision in watch.decisions]
    all_values = ["difficulty", "probe", "probe_confidence", "rest"]
    assert told == [(["probe"], True), (all_values, True), (all_values, False)]
    assert result.decision == watch.decisions[-1]


async def test_the_rest_is_numbered_on_from_the_probe() -> None:
    result = await search(unsure_world(), auto(4, responses(2), (0.0, responses(2))))
    assert [candidate.path for candidate in result.candidates] == [(0,), (1,), (2,), (3,)]


@settings(max_examples=100)
@given(st.integers(0, 1000), st.sampled_from([responses, lambda n: DVTS(n, 2, early_stop=False)]))
async def test_a_probe_and_its_own_continuation_are_one_search(world_seed: int, strategy: type[DVTS]) -> None:
    whole = await search(World(Chance(world_seed)), strategy(8))
    halves = await search(World(Chance(world_seed)), auto(8, strategy(2), (0.0, strategy(6))))
    assert halves.candidates == whole.candidates
    assert elected(halves) == elected(whole)


async def test_a_beam_that_follows_a_probe_has_its_whole_budget() -> None:
    a = step("a", 0.9, answer("1", 0.9))
    world = World(Tree(a, a, a, a, a, a))
    result = await search(world, auto(6, responses(2), (0.0, BeamSearch(4, 2, early_stop=False))))
    assert drawn_after(world).count("a") == 2 + 4
    assert result.votes[0].count == 6


@settings(max_examples=200)
@given(st.integers(0, 1000), st.sampled_from([responses(4), DVTS(4, 2), BeamSearch(4, 2)]), st.integers(0, 1000))
@pytest.mark.no_cover
async def test_early_stopping_of_the_rest_never_changes_the_answer(
    world_seed: int, rest: BestOfN | DVTS | BeamSearch, shuffle: int
) -> None:
    async def run(early_stop: bool) -> SearchResult:
        strategy = auto(6, responses(2), (0.0, replace(rest, early_stop=early_stop)))
        return await search(World(Chance(world_seed), shuffle), strategy)

    assert elected(await run(True)) == elected(await run(False))


async def test_a_target_that_is_reached_ends_the_search_though_its_bin_would_go_on() -> None:
    strategy = auto(4, responses(2), (0.0, responses(2)), target_confidence=0.3)
    result = await search(unsure_world(), strategy)
    assert len(result.candidates) == 2


async def test_a_target_that_is_not_reached_goes_on_though_its_bin_would_end() -> None:
    strategy = auto(4, responses(2), (0.3, None), (0.0, responses(2)), target_confidence=0.9)
    result = await search(unsure_world(), strategy)
    assert len(result.candidates) == 4


async def test_a_target_that_no_bin_can_go_on_for_ends_the_search() -> None:
    result = await search(unsure_world(), auto(2, responses(2), (0.0, None), target_confidence=0.9))
    assert len(result.candidates) == 2


async def test_the_rest_ends_as_soon_as_the_target_is_reached() -> None:
    world = World(Tree(answer("1", 0.2), *[answer("2", 0.9)] * 9))
    rest = BestOfN(9, Selection.WEIGHTED, early_stop=True)
    result = await search(world, auto(10, responses(1), (0.0, rest), target_confidence=0.8))
    assert elected(result) == "2"
    # 0.9 x 1.8 / 2.0 is the first support above 0.8; only the fifth vote would decide
    assert result.votes[0].count == 2


async def test_a_probe_without_an_answer_is_the_hardest_problem() -> None:
    world = World(Tree(end("I do not know.", 0.9), answer("1", 0.9)))
    result = await search(world, auto(2, responses(1), (0.1, None), (0.0, responses(1))))
    assert result.decision is not None
    assert (result.decision.values["probe_confidence"], result.decision.values["difficulty"]) == (0.0, 2)
    assert elected(result) == "1"


@pytest.mark.parametrize(
    ("n", "bins", "message"),
    [
        (3, ((0.0, responses(2)),), "a budget of 3 is too small: the probe and the rest spend 4"),
        (4, (), "floors of bins fall to 0"),
        (4, ((0.5, None),), "floors of bins fall to 0"),
        (4, ((0.0, None), (0.5, None)), "floors of bins fall to 0"),
    ],
    ids=["too small", "no bins", "no floor of 0", "rising"],
)
def test_what_is_no_table_is_refused(n: int, bins: tuple[tuple[float, Strategy | None], ...], message: str) -> None:
    with pytest.raises(HyperparameterError, match=message):
        auto(n, responses(2), *bins)


def test_it_judges_and_votes_by_weight() -> None:
    strategy = auto(2, responses(2), (0.0, None))
    assert strategy.needs_verifier
    assert strategy.selection is Selection.WEIGHTED


class Hybrid(World):
    """Without thoughts responses disagree and are short; with them they agree. One verifier judges both."""

    def __init__(self) -> None:
        silent = (answer("1", 0.6), answer("2", 0.5))
        with_thoughts = step("Hm, 1 or 2", 1.0, step("Hm, 2", 1.0, answer("2", 0.4)))
        super().__init__(Tree(*silent, with_thoughts))
        self.policy = HybridPolicy(Tree(with_thoughts), Tree(*silent))
        self.models = replace(self.models, policy=self.policy)


def hybrid(probe_thinks: bool | None, rest_thinks: bool | None) -> ComputeOptimal:
    bins = (Bin(0.8, None), Bin(0.0, responses(3), rest_thinks))
    return ComputeOptimal(5, responses(2), AS_IT_IS, bins, AS_IT_IS, probe_thinks=probe_thinks)


async def test_the_probe_can_do_without_thoughts_and_the_rest_think() -> None:
    world = Hybrid()
    result = await search(world, hybrid(False, True))
    assert [bool(candidate.thinking) for candidate in result.candidates] == [False, False, True, True, True]
    assert [candidate.path for candidate in result.candidates] == [(0,), (1,), (2,), (3,), (4,)]
    assert [(vote.answer, vote.count) for vote in result.votes] == [("2", 4), ("1", 1)]
    assert isinstance(world.policy, HybridPolicy)
    assert result.meter.completion_tokens == world.policy.num_tokens + world.policy.silent.num_tokens
    assert result.meter.reasoning_tokens == 3 * len("Hm, 1 or 2\n\nHm, 2\n\n")


async def test_a_verifier_reads_the_same_prompt_with_thoughts_and_without() -> None:
    world = Hybrid()
    await search(world, hybrid(False, True))
    assert {problem.template_arguments for problem in world.verifier.problems} == {()}


@pytest.mark.parametrize(
    ("probe_thinks", "rest_thinks", "told", "reason"),
    [
        (None, None, {}, "{probe} was 33% sure (difficulty 2 of 2), so {rest} followed"),
        (
            False,
            True,
            {"probe_thinks": False, "rest_thinks": True},
            "{probe} without thoughts was 33% sure (difficulty 2 of 2), so {rest} with thoughts followed",
        ),
        (
            False,
            False,
            {"probe_thinks": False, "rest_thinks": False},
            "{probe} without thoughts was 33% sure (difficulty 2 of 2), so {rest} without thoughts followed",
        ),
    ],
    ids=["as it is", "without, with", "without, without"],
)
async def test_a_decision_tells_what_thinks(
    probe_thinks: bool | None, rest_thinks: bool | None, told: dict[str, bool], reason: str
) -> None:
    world = unsure_world() if probe_thinks is None else Hybrid()
    result = await search(world, hybrid(probe_thinks, rest_thinks))
    assert result.decision is not None
    thinks = {name: value for name, value in result.decision.values.items() if name.endswith("thinks")}
    assert (thinks, result.decision.reason) == (told, reason)
