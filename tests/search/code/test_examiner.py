"""What is tested, and who wins: the first in rank of the candidates that pass."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from models.interfaces import Finish, Meter, Problem, Sampling, Step
from search.aggregation import Aggregation
from search.answers.answer import Trial, TrialOutcome
from search.best_of_n import BestOfN
from search.candidate import Candidate
from search.code.block import last_program
from search.code.examiner import Examiner
from search.code.syscalls import REFUSED, seccomp_filter
from search.diagnostics import Sign, TrialCounts
from search.rebase import Rebase
from search.solve import SearchResult, Status, solve
from search.strategy import Strategy
from search.voting import Selection, rank
from tests.natures import Branch, Chance, Nature, Tree, end
from tests.search.helpers import an_hour_later, cancel_midway, each_strategy, settle
from tests.worlds import World

pytestmark = pytest.mark.asyncio(loop_scope="function")  # the clock that jumps an hour is no engine's


class Script:
    """A tester that runs nothing: programs with `good` in their text pass, those with `slow` time out.

    Attributes:
        runs: The programs run, in their order.
        gate: Runs wait for it, where there is one.
        num_in_flight, most_in_flight: Runs that have not ended, now and at most.
    """

    def __init__(self, num_workers: int = 1, *good: str, gate: asyncio.Event | None = None) -> None:
        self.num_workers = num_workers
        self.runs: list[str] = []
        self.gate = gate
        self.num_in_flight = self.most_in_flight = 0
        self._good = good or ("good",)

    async def run(self, program: str, tests: str) -> Trial:
        self.runs.append(program.strip())
        self.num_in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.num_in_flight)
        try:
            await (self.gate.wait() if self.gate else asyncio.sleep(0))
        finally:
            self.num_in_flight -= 1
        if "broken" in program:
            return Trial(TrialOutcome.UNTESTED, "no sandbox could be started")
        if "slow" in program:
            return Trial(TrialOutcome.TIMEOUT, "it took longer than 1 s", 1.0)
        passes = any(word in program for word in self._good)
        return Trial(TrialOutcome.PASSED if passes else TrialOutcome.FAILED, seconds=0.5)

    async def flaw_of(self, tests: str) -> str | None:
        return "SyntaxError" if tests == "(" else None


def fenced(program: str) -> str:
    return f"```python\n{program}\n```"


def program(text: str, score: float) -> Branch:
    return end(fenced(text), score)


def examiner_of(tester: Script, *, total_s: float = 100.0, tests_all: bool = False) -> Examiner:
    return Examiner(tester, "assert True", total_s=total_s, tests_all=tests_all)


async def search(
    world: World,
    strategy: Strategy,
    tester: Script,
    *,
    total_s: float = 100.0,
    tests_all: bool = False,
    deadline_s: float | None = None,
    aggregation: Aggregation = Aggregation.LAST,
) -> SearchResult:
    examiner = examiner_of(tester, total_s=total_s, tests_all=tests_all)
    models = replace(world.models, tester=tester, examiner=examiner)
    sampling = Sampling(temperature=0.8, top_p=1.0, max_tokens=10_000, seed=0)
    return await solve(Problem("?"), strategy, models, sampling, aggregation=aggregation, deadline_s=deadline_s)


def chosen(result: SearchResult) -> str | None:
    answer = result.chosen.answer if result.chosen else None
    return answer.text.strip() if answer and answer.may_win else None


async def test_the_best_ranked_of_those_that_pass_wins() -> None:
    world = World(Tree(program("bad", 0.9), program("good 1", 0.3), program("good 2", 0.6), program("slow", 0.8)))
    result = await search(world, BestOfN(4, Selection.BEST, early_stop=False), Script(), tests_all=True)
    assert chosen(result) == "good 2"
    assert [(vote.answer is None, vote.count) for vote in result.votes] == [(False, 2), (True, 2)]
    assert result.diagnostics.tests == TrialCounts(passed=2, failed=1, timeout=1, untested=0)
    assert (result.diagnostics.refuted, result.diagnostics.agreement) == (2, 0.5)


async def test_what_ranks_below_a_program_that_passed_is_not_run() -> None:
    world = World(Tree(program("good 1", 0.9), program("good 2", 0.3), program("bad", 0.95)))
    tester = Script(1)
    result = await search(world, BestOfN(3, Selection.BEST), tester)
    assert chosen(result) == "good 1"
    assert "good 2" not in tester.runs
    assert result.diagnostics.tests == TrialCounts(passed=1, failed=1, untested=1)
    assert result.diagnostics.warnings[0].sign is Sign.REFUTED


async def test_of_those_that_wait_the_best_ranked_is_run_first() -> None:
    tester = Script(1, gate=asyncio.Event())
    scores = {"bad 0": 0.1, "bad 1": 0.5, "bad 2": 0.9, "bad 3": 0.7}
    world = World(Tree(*(program(text, score) for text, score in scores.items())))
    running = asyncio.create_task(search(world, BestOfN(4, Selection.BEST), tester))
    await settle()
    assert tester.gate is not None
    tester.gate.set()
    await running
    assert tester.runs[1:] == sorted(set(scores) - {tester.runs[0]}, key=lambda text: -scores[text])


async def test_without_scores_the_first_that_passes_wins_and_ends_the_search() -> None:
    world = World(Tree(program("bad", 0.9), program("good 1", 0.3), program("good 2", 0.6), program("good 3", 0.6)))
    world.policy.gates[fenced("good 3")] = asyncio.Event()  # which is never opened
    result = await search(world, BestOfN(4, Selection.MAJORITY), Script())
    assert chosen(result) == "good 1"
    assert world.policy.num_cancelled == 1


async def test_programs_of_the_same_text_are_run_once() -> None:
    world = World(Tree(program("bad", 0.5)))
    tester = Script(4)
    result = await search(world, BestOfN(8, Selection.BEST), tester)
    assert tester.runs == ["bad"]
    assert (result.diagnostics.refuted, result.meter.test_runs, result.meter.test_s) == (8, 1, 0.5)


async def test_no_more_run_at_a_time_than_the_tester_has_workers() -> None:
    world = World(Tree(*(program(f"bad {i}", 0.5) for i in range(9))))
    tester = Script(3)
    await search(world, BestOfN(9, Selection.BEST), tester)
    assert (tester.most_in_flight, len(tester.runs)) == (3, 9)


async def test_what_the_time_for_tests_does_not_reach_stays_untested_and_cannot_win() -> None:
    world = World(Tree(*(program(f"bad {i}", 0.5) for i in range(4))))
    result = await search(world, BestOfN(4, Selection.BEST), Script(), total_s=1.0)
    assert result.diagnostics.tests == TrialCounts(failed=2, untested=2)
    assert [caution.text for caution in result.diagnostics.warnings][1] == (
        "2 of 4 programs were not tested, and none has passed"
    )
    assert (chosen(result), result.chosen is not None) == (None, True)


async def test_a_sandbox_that_cannot_be_started_refutes_nothing() -> None:
    result = await search(World(Tree(program("broken", 0.5))), BestOfN(2, Selection.BEST), Script())
    assert (result.diagnostics.refuted, result.diagnostics.tests) == (0, TrialCounts(untested=2))


async def test_responses_without_a_program_do_not_vote_and_are_told_how_to_ask() -> None:
    result = await search(World(Tree(end("no idea", 0.5))), BestOfN(2, Selection.BEST), Script())
    assert result.chosen is not None
    assert result.diagnostics.warnings[0].text == (
        "2 of 2 complete responses hold no program and did not vote: ask for it in the system_prompt, as in: put your "
        "program into a code block of Python"
    )


async def test_at_the_deadline_a_program_that_is_being_tested_is_shown_and_has_not_won() -> None:
    world = World(Tree(program("good", 0.5)))
    result = await an_hour_later(search(world, BestOfN(1, Selection.BEST), Script(gate=asyncio.Event()), deadline_s=60))
    assert (result.status, chosen(result)) == (Status.DEADLINE, None)
    assert result.chosen is not None
    assert result.chosen.response == fenced("good")
    assert result.diagnostics.tests == TrialCounts(untested=1)


async def test_cancelling_a_search_ends_its_runs() -> None:
    tester = Script(2, gate=asyncio.Event())
    world = World(Tree(*(program(f"good {i}", 0.5) for i in range(6))))
    await cancel_midway(search(world, BestOfN(6, Selection.BEST), tester))
    assert (tester.num_in_flight, tester.most_in_flight) == (0, 2)


async def test_a_turn_that_comes_as_its_candidate_is_cancelled_goes_to_the_next() -> None:
    tester = Script(1, gate=asyncio.Event())
    examiner = examiner_of(tester)
    first, second, third = (asyncio.create_task(examiner.examine(complete(i, f"bad {i}"), Meter())) for i in range(3))
    await settle()
    first.cancel()  # its turn is given back, to the second
    await asyncio.sleep(0)
    second.cancel()  # which has it, and is not awake yet
    assert tester.gate is not None
    tester.gate.set()
    answer = await third
    assert answer is not None
    assert answer.trial is not None
    assert answer.trial.outcome is TrialOutcome.FAILED


async def test_one_that_is_cancelled_while_it_waits_is_passed_over() -> None:
    tester = Script(1, gate=asyncio.Event())
    examiner = examiner_of(tester)
    tasks = [asyncio.create_task(examiner.examine(complete(i, f"bad {i}"), Meter())) for i in range(3)]
    await settle()
    tasks[1].cancel()
    await settle()
    assert tester.gate is not None
    tester.gate.set()
    await asyncio.gather(tasks[0], tasks[2])
    assert tester.runs == ["bad 0", "bad 2"]


async def test_a_worse_program_that_passes_later_lets_none_between_be_run() -> None:
    tester = Script(2, gate=asyncio.Event())
    examiner = examiner_of(tester)
    ranked = [complete(0, "good 0", 0.9), complete(1, "good 1", 0.1), complete(2, "bad", 0.5)]
    tasks = [asyncio.create_task(examiner.examine(candidate, Meter())) for candidate in ranked]
    await settle()
    assert tester.gate is not None
    tester.gate.set()
    await asyncio.gather(*tasks)
    assert tester.runs == ["good 0", "good 1"]


def complete(index: int, text: str, score: float | None = None) -> Candidate:
    return Candidate((index,), (Step(fenced(text), (1,), Finish.END),), score=score)


class Programs(Chance):
    """A random world whose answers are programs."""

    def draw(self, prefix: Sequence[Step], sampling: Sampling) -> tuple[str, Finish]:
        text, finish = super().draw(prefix, sampling)
        return (fenced(text[7:-1]) if text.startswith(r"\boxed") else text), finish


def first_that_passes(result: SearchResult, *good: str) -> tuple[int, ...] | None:
    """Return the path of the winner by its definition, from all candidates of a search."""
    programs = {
        candidate: last_program(candidate.response) or "" for candidate in result.candidates if candidate.is_complete
    }
    passing = [candidate for candidate, text in programs.items() if any(word in text for word in good)]
    return next((candidate.path for candidate in rank(passing)), None)


@each_strategy(n=8, beam_width=4)
@pytest.mark.parametrize("aggregation", list(Aggregation))
@pytest.mark.no_cover
async def test_stopping_early_and_testing_less_never_change_the_winner(
    strategy: Strategy, aggregation: Aggregation
) -> None:
    for seed in range(60):
        nature: Nature = Programs(seed)
        thorough = replace(strategy, early_stop=False)  # type: ignore[type-var]
        whole = await search(World(nature), thorough, Script(1, "1/2", "3"), tests_all=True, aggregation=aggregation)
        tester = Script(2, "1/2", "3")
        staged = await search(World(nature, shuffle=seed), strategy, tester, aggregation=aggregation)
        expected = first_that_passes(whole, "1/2", "3")
        winners = [each.chosen.path if each.chosen and chosen(each) else None for each in (whole, staged)]
        assert winners == [expected, expected], seed


async def test_rebase_elects_the_same_way() -> None:
    for seed in range(30):
        result = await search(World(Programs(seed)), Rebase(8), Script(2, "2"))
        assert (result.chosen.path if result.chosen and chosen(result) else None) == first_that_passes(result, "2")


async def test_tests_that_cannot_be_compiled_are_named_before_the_search() -> None:
    assert await Examiner(Script(), "(", total_s=1, tests_all=False).flaw() == "SyntaxError"
    assert await examiner_of(Script()).flaw() is None


@pytest.mark.parametrize("machine", REFUSED)
def test_the_filter_is_a_program_that_can_be_followed_to_its_end(machine: str) -> None:
    program = seccomp_filter(machine)
    assert len(program) == 8 * (12 + 2 * len(REFUSED[machine]))
    assert len(set(REFUSED[machine].values())) == len(REFUSED[machine])
