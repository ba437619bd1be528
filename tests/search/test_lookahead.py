import pytest

from search.beam_search import BeamSearch
from search.dvts import DVTS
from search.strategy import Strategy
from tests.natures import Branch, Tree, answer, cut, end, step
from tests.search.helpers import search, texts
from tests.worlds import World

EACH_TREE_SEARCH = pytest.mark.parametrize("strategy", [BeamSearch(2, 2, lookahead=2), DVTS(2, 2, lookahead=2)])


def chain(names: str, score: float, *then: Branch) -> Branch:
    """Steps that follow one another; only the last has the score."""
    branch = step(names[-1], score, *then)
    for name in reversed(names[:-1]):
        branch = step(name, 0.0, branch)
    return branch


@EACH_TREE_SEARCH
async def test_a_step_is_rolled_out_greedily_and_judged_at_the_end(strategy: Strategy) -> None:
    world = World(Tree(chain("abc", 0.7, answer("1", 0.9)), chain("def", 0.3)))
    result = await search(world, strategy)
    greedy = [texts(prefix) for prefix, sampling in world.policy.draws if sampling.temperature == 0]
    assert sorted(greedy[:4]) == ["a", "a b", "d", "d e"]
    assert result.candidates[0].step_scores == (0.7,)


@EACH_TREE_SEARCH
async def test_only_the_first_step_is_kept(strategy: Strategy) -> None:
    world = World(Tree(chain("abc", 0.7, answer("1", 0.9)), chain("def", 0.3)))
    result = await search(world, strategy)
    assert [texts(c.steps) for c in result.candidates if len(c.path) == 1] == ["a", "d"]


@pytest.mark.parametrize("lookahead", [0, 1, 2, 3])
async def test_a_round_costs_n_times_k_and_one_steps(lookahead: int) -> None:
    world = World(Tree(chain("abcdef", 0.5, answer("1", 0.5))))
    await search(world, BeamSearch(4, 2, max_steps=2, lookahead=lookahead))
    first_round = [sampling for prefix, sampling in world.policy.draws[: 4 * (lookahead + 1)]]
    assert sum(sampling.temperature == 0 for sampling in first_round) == 4 * lookahead
    assert world.policy.num_calls == 4 * (lookahead + 1) + 4


async def test_a_rollout_stops_where_the_response_ends() -> None:
    world = World(Tree(step("a", 0.1, answer("1", 0.8))))
    result = await search(world, BeamSearch(1, lookahead=5))
    assert result.candidates[0].step_scores == (0.8,)
    assert world.policy.num_calls == 1 + 1 + 1


async def test_a_complete_step_is_not_rolled_out() -> None:
    world = World(Tree(answer("1", 0.8)))
    await search(world, BeamSearch(1, lookahead=5))
    assert world.policy.num_calls == 1


@pytest.mark.parametrize("last", [cut("x"), end(" ", 0.1)])
async def test_a_truncated_or_blank_lookahead_step_is_not_judged(last: Branch) -> None:
    world = World(Tree(step("a", 0.1, step("b", 0.6, last))))
    result = await search(world, BeamSearch(1, lookahead=5))
    assert world.verifier.judged[0] == "a\n\nb\n\n"
    assert result.candidates[0].score == 0.6


async def test_a_rollout_is_paid_for_by_the_response_it_foresees_only_once_it_is_drawn() -> None:
    world = World(Tree(step("a", 0.1, answer("1", 0.8))))
    result = await search(world, BeamSearch(1, lookahead=1))
    assert result.meter.completion_tokens == 3 + 9 + 9
    assert result.chosen is not None
    assert result.chosen.num_tokens == 3 + 9
