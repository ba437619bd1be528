import pytest

from models.errors import ContextOverflowError
from search.beam_search import BeamSearch
from search.best_of_n import BestOfN
from search.expander import seed_of
from search.voting import Selection
from tests.natures import Tree, answer, step
from tests.search.helpers import Watch, search
from tests.worlds import World


async def test_every_call_may_generate_what_is_left_of_the_response() -> None:
    world = World(Tree(step("abc", 0.5, step("d", 0.5, answer("1", 0.5)))))
    await search(world, BeamSearch(1), max_tokens=100)
    assert [sampling.max_tokens for _, sampling in world.policy.draws] == [100, 95, 92]


async def test_the_sampling_of_the_request_reaches_the_policy() -> None:
    world = World(Tree(answer("1", 0.5)))
    await search(world, BestOfN(1), seed=7)
    (_, sampling) = world.policy.draws[0]
    assert (sampling.temperature, sampling.top_p, sampling.seed) == (0.8, 1.0, seed_of(7, (0,)))


async def test_without_a_seed_none_is_made_up() -> None:
    world = World(Tree(answer("1", 0.5)))
    await search(world, BestOfN(2), seed=None)
    assert [sampling.seed for _, sampling in world.policy.draws] == [None, None]


def test_a_seed_depends_on_the_request_and_on_the_whole_path() -> None:
    seeds = [seed_of(seed, path) for seed in (0, 1) for path in ((), (0,), (1,), (0, 0), (0, 1), (1, 0))]
    assert len(set(seeds)) == 12
    assert all(0 <= seed < 2**48 for seed in seeds)


async def test_every_step_is_judged_after_those_before_it_are_cached() -> None:
    world = World(Tree(step("a", 0.5, step("b", 0.5, answer("1", 0.5)))))
    result = await search(world, BeamSearch(1))
    assert world.verifier.judged == ["a\n\n", "a\n\nb\n\n", "a\n\nb\n\n\\boxed{1}"]
    assert (result.meter.verifier_tokens, result.meter.verifier_cached_tokens) == (3 + 3 + 9, 0 + 3 + 6)


async def test_identical_responses_are_judged_once_and_billed_as_cached() -> None:
    world = World(Tree(answer("1", 0.5)))
    result = await search(world, BestOfN(4))
    assert world.verifier.judged == [r"\boxed{1}"]
    assert (result.meter.verifier_tokens, result.meter.verifier_cached_tokens) == (9, 3 * 9)
    assert [candidate.score for candidate in result.candidates] == [0.5] * 4


async def test_a_failed_judgement_takes_every_candidate_that_shares_it() -> None:
    world = World(Tree(answer("1", 0.5), answer("1", 0.5), answer("2", 0.4)))
    world.verifier.failures[r"\boxed{1}"] = ContextOverflowError(10, 9)
    result = await search(world, BestOfN(3))
    assert [loss.path for loss in result.losses] == [(0,), (1,)]


async def test_a_response_is_seen_growing_and_its_end_only_with_score_and_answer() -> None:
    watch = Watch()
    await search(World(Tree(step("a", 0.5, answer("1", 0.7)))), BestOfN(1), observer=watch)
    seen = [(len(candidate.steps), candidate.score, candidate.answer is not None) for candidate in watch.growths]
    assert seen == [(1, None, False), (2, 0.7, True)]


@pytest.mark.parametrize("text", ["a\n\n", r"\boxed{1}"])
async def test_a_lost_candidate_is_told_with_its_error(text: str) -> None:
    watch, error = Watch(), ContextOverflowError(10, 9)
    world = World(Tree(step("a", 0.5, answer("1", 0.7)), answer("2", 0.1)))
    world.policy.failures[text] = error
    await search(world, BestOfN(2, Selection.MAJORITY), observer=watch)
    assert [(loss.path, loss.error) for loss in watch.losses] == [((0,), error)]
