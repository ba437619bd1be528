"""From what searches grew to a table: in exact worlds, and by the command on the demo pair."""

from dataclasses import replace
from pathlib import Path

import pytest

from models.interfaces import Sampling
from search.answers.pool import AnswerPool
from search.best_of_n import BestOfN
from search.calibration.budgets import Grid, confidence_of, plan_budget, row_of
from search.calibration.costs import Spread
from search.calibration.measuring import Measuring, measure_costs
from search.calibration.table import read_calibration
from search.calibration.traces import Trace, TracedCandidate, Traces, elect
from search.dvts import DVTS
from search.evaluation.tasks import Task
from search.strategies import strategies
from search.strategy import Strategy
from search.voting import Selection
from tests.conftest import DEMO
from tests.natures import Chance, Tree, answer, step
from tests.worlds import HybridPolicy, World

TASKS = [Task(f"problem {number}", "1/2") for number in range(12)]
SAMPLING = Sampling(temperature=0.8, top_p=1.0, max_tokens=1000, seed=0)


def grown(root: int, score: float, key: str, *, is_right: bool, tokens: int = 10) -> TracedCandidate:
    return TracedCandidate((root,), tokens, score, key, True, is_right)


def trace(problem: str, *candidates: TracedCandidate) -> Trace:
    return Trace(problem, "x", 1.0, sum(each.tokens for each in candidates), candidates)


def easy_and_hard(num_problems: int = 80) -> Grid:
    """Half of the problems are solved by every tree and by no response; the others by trees from the ninth root on."""
    flat, dvts = [], []
    for number in range(num_problems):
        wrong = [grown(root, 0.1, "7", is_right=False) for root in range(16)]
        right = [grown(root, 0.9 - number / 1000, "1", is_right=True) for root in range(16)]
        flat.append(trace(f"{number}", *wrong))
        dvts.append(trace(f"{number}", *(right if number % 2 else [*wrong[:8], *right[8:]])))
    return Grid({"weighted_best_of_n": {16: flat}, "dvts": {16: dvts}}, beam_width=4)


def test_a_verdict_is_that_of_a_search_with_the_same_candidates() -> None:
    voters = (grown(0, 0.5, "1", is_right=True), grown(1, 0.3, "2", is_right=False), grown(2, 0.3, "2", is_right=False))
    assert elect(voters).is_right is False
    assert elect(voters, Selection.BEST).is_right is True
    assert elect(voters, Selection.MAJORITY).support == pytest.approx(2 / 3)
    assert elect(()) == elect([TracedCandidate((0,), 3, None, None, False, False)])


def test_the_first_roots_bring_their_own_tokens() -> None:
    whole = trace("1", grown(0, 0.5, "1", is_right=True, tokens=30), grown(1, 0.5, "1", is_right=True, tokens=10))
    assert (whole.tokens(1), whole.tokens(2)) == (60.0, 80.0)


def test_easy_problems_end_after_a_small_probe_and_hard_ones_go_on() -> None:
    grid = easy_and_hard()
    plan = plan_budget([grid], 16)
    assert (plan.probe, plan.probe_n) == (grid.spending("dvts"), 4)
    assert plan.expected.right.all()
    row = row_of(16, plan, [1.0, 2.0], [100.0, 200.0])
    assert row.bins[0].rest is None
    assert row.bins[-1].rest == grid.spending("dvts")
    assert row.tokens[0] == 150.0


def thoughtful(num_problems: int = 80, *, thoughts_help: bool = True) -> list[Grid]:
    """A quarter of the problems need thoughts, which cost ten times as much; responses without are sure where right."""
    grids = []
    for thinks in (True, False):
        traces = []
        for number in range(num_problems):
            is_right = number % 4 > 0 or (thinks and thoughts_help)
            score = 0.9 - number / 1000 if is_right else 0.1 + number / 1000
            responses = [
                grown(root, score, "1" if is_right else str(root), is_right=is_right, tokens=100 if thinks else 10)
                for root in range(16)
            ]
            traces.append(trace(f"{number}", *responses))
        grids.append(Grid({"weighted_best_of_n": {16: traces}}, beam_width=4, thinks=thinks))
    return grids


def test_the_probe_does_without_thoughts_and_hard_problems_are_thought_about() -> None:
    plan = plan_budget(thoughtful(), 16)
    row = row_of(16, plan, [1.0, 2.0], [100.0, 200.0])
    assert (row.probe.thinks, row.bins[0].rest) == (False, None)
    assert row.bins[-1].rest is not None
    assert row.bins[-1].rest.thinks is True
    assert plan.expected.right.all()
    built = row.build(16)
    assert (built.probe_thinks, built.bins[0].thinks, built.bins[-1].thinks) == (False, None, True)


def test_thoughts_that_do_not_pay_are_left_out() -> None:
    row = row_of(16, plan_budget(thoughtful(thoughts_help=False), 16), [1.0, 2.0], [100.0, 200.0])
    assert row.probe.thinks is False
    assert all(bin.rest is None or bin.rest.thinks is False for bin in row.bins)


def test_a_budget_too_small_to_be_divided_is_spent_with_thoughts_where_these_help() -> None:
    row = row_of(2, plan_budget(thoughtful(), 2), [1.0, 2.0], [100.0, 200.0])
    assert (row.probe.thinks, row.bins[0].rest) == (True, None)


def test_a_budget_too_small_to_be_divided_is_spent_by_the_best_strategy() -> None:
    plan = plan_budget([easy_and_hard()], 4)
    assert (plan.probe.strategy, plan.probe_n, [choice.allocation for choice in plan.choices]) == ("dvts", 4, ["stop"])


def test_confidence_is_told_for_what_was_measured() -> None:
    table = confidence_of(easy_and_hard(), (4, 6))
    assert set(table) == {"majority", "best_of_n", "weighted_best_of_n", "dvts"}
    assert set(table["dvts"]) == {4}  # six is no multiple of the beam width
    assert table["majority"][4] == [(1.0, 0.0)]  # all agree, on a wrong answer


async def test_a_smaller_search_is_taken_exactly_out_of_a_larger_one(tmp_path: Path) -> None:
    evidence = Traces(tmp_path / "e.jsonl")
    searches: dict[str, Strategy] = {
        "flat": BestOfN(8, early_stop=False),
        "flat 4": BestOfN(4, early_stop=False),
        "dvts": DVTS(8, 2, early_stop=False),
        "dvts 4": DVTS(4, 2, early_stop=False),
    }
    async with AnswerPool(num_workers=1) as answers:
        for name, strategy in searches.items():
            models = World(Chance(3)).models
            await evidence.gather(models, answers, TASKS, name, strategy, SAMPLING, 4, lambda: None)
    for name in ("flat", "dvts"):
        smaller = [trace.candidates for trace in evidence.of(f"{name} 4", TASKS)]
        assert [trace.first(4) for trace in evidence.of(name, TASKS)] == smaller


async def test_a_run_goes_on_from_what_is_kept(tmp_path: Path) -> None:
    path, world = tmp_path / "deep" / "e.jsonl", World(Chance(3))
    async with AnswerPool(num_workers=1) as answers:
        for tasks in (TASKS[:5], TASKS):
            await Traces(path).gather(world.models, answers, tasks, "flat", BestOfN(2), SAMPLING, 4, lambda: None)
            drawn = len(world.policy.draws)
        with path.open("a") as file:
            file.write('{"torn')
        evidence = Traces(path)
        await evidence.gather(world.models, answers, TASKS, "flat", BestOfN(2), SAMPLING, 4, lambda: None)
    assert len(world.policy.draws) == drawn
    assert [trace.problem for trace in evidence.of("flat", TASKS)] == [task.problem for task in TASKS]


async def test_problems_are_asked_with_thoughts_and_without(tmp_path: Path) -> None:
    thought = step("Hm", 1.0, answer("1/2", 0.9))
    world = World(Tree(thought, answer("3", 0.1)))
    policy = HybridPolicy(Tree(thought), Tree(answer("3", 0.1)))
    evidence = Traces(tmp_path / "e.jsonl")
    async with AnswerPool(num_workers=1) as answers:
        models = replace(world.models, policy=policy, reader=answers)
        measuring = Measuring(TASKS, evidence, SAMPLING, 4, 4, modes=(True, False))
        grids = await measuring.grids(models, (4,))
    assert [grid.thinks for grid in grids] == [True, False]
    right = [[grown.is_right for trace in grid.responses for grown in trace.candidates] for grid in grids]
    assert [set(each) for each in right] == [{True}, {False}]


async def test_costs_are_what_searches_take_on_problems_of_their_own() -> None:
    world, table = World(Tree(answer("1", 0.5))), read_calibration(DEMO / "calibration.yaml")
    measuring = Measuring(TASKS, Traces(None), SAMPLING, 1, beam_width=4)
    costs = await measure_costs(measuring, world.models, table.budgets[:1], {"commit": "1"})
    tokens = float(4 * len(r"\boxed{1}"))
    assert costs.strategies.keys() == strategies().keys() - {"ttt_best_of_n"}
    assert {cost.completion for known in costs.strategies.values() for cost in known.values()} >= {
        Spread(*[tokens] * 3)
    }
    assert costs.strategies["majority"][4].verifier == Spread(0, 0, 0)
    assert costs.strategies["dvts"][4].verifier == Spread(*[tokens / 4] * 3)  # alike, and judged once
    assert (costs.problems, costs.beam_width, costs.made) == (12, 4, {"commit": "1"})


def test_the_demos_table_knows_the_cost_of_every_strategy_that_the_demo_runs() -> None:
    costs = read_calibration(DEMO / "calibration.yaml").costs
    assert costs is not None
    assert costs.strategies.keys() == strategies().keys() - {"ttt_best_of_n"}
    for known in costs.strategies.values():
        assert known.keys() == {4, 16, 64}
        assert all(cost.completion.low < cost.completion.expected < cost.completion.high for cost in known.values())
        assert known[4].completion.expected < known[16].completion.expected < known[64].completion.expected
