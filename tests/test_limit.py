"""What `tests.bench.limit` compares a search with is the work of the search, counted by hand here."""

import asyncio
import time

import pytest

from models.interfaces import Finish, Meter, Step
from search.answers.answer import Answer
from search.candidate import Candidate
from search.voting import Selection
from tests.bench.limit.part import Bar, Job, repeat
from tests.bench.limit.waste import Settled
from tests.bench.limit.work import num_distinct, work_of

PROMPT = (1, 2, 3)


def grown(path: tuple[int, ...], *steps: tuple[int, ...], finish: Finish = Finish.STEP) -> Candidate:
    finishes = [Finish.STEP] * (len(steps) - 1) + [finish]
    written = tuple(Step("x", token_ids, end) for token_ids, end in zip(steps, finishes, strict=True))
    num_judged = len(steps) - (finish is Finish.LENGTH)
    return Candidate(path, written, (0.5,) * num_judged, 0.5)


TREE = (
    grown((0,), (10, 11)),
    grown((0, 0), (10, 11), (20,), finish=Finish.END),
    grown((0, 1), (10, 11), (21, 22, 23), finish=Finish.LENGTH),
    grown((1,), (10, 11)),  # says the same as its sibling
)


def test_the_sequences_of_a_tree_are_its_first_children_its_second_children_and_so_on() -> None:
    work = work_of(PROMPT, TREE)

    assert work.lanes == (2 + 1, 2 + 3)
    assert (work.num_tokens, work.num_steps, work.num_requests, work.num_leaves) == (8, 4, 4, 3)


def test_a_verifier_reads_each_prefix_once_and_nothing_that_was_not_judged() -> None:
    work = work_of(PROMPT, TREE)

    assert work.responses == ((10, 11, 20),)


def test_a_response_whose_next_step_was_cut_off_is_read_up_to_there() -> None:
    work = work_of(PROMPT, (TREE[0], TREE[2]))

    assert work.responses == ((10, 11),)


def test_what_sequences_begin_with_alike_is_counted_once() -> None:
    assert num_distinct([(1, 2, 3), (1, 2, 4, 5), (1, 2, 3), (6,), (1,)]) == 3 + 2 + 1


def test_a_vote_is_settled_by_the_response_that_decides_it_in_whatever_order_they_come() -> None:
    meter = Meter()
    settled = Settled(meter, Selection.MAJORITY, n=3)
    for path, tokens in (((2,), 10), ((0,), 20), ((1,), 30)):
        meter.completion_tokens = tokens
        settled.on_growth(Candidate(path, (Step("x", (1,), Finish.END),), answer=Answer("7", "7")))

    assert settled.num_late == 30 - 20


@pytest.mark.parametrize(
    ("bar", "verdict"),
    [
        (Bar("", 0.9, 0.9), "met"),
        (Bar("", 0.81, 0.9), "missed by 10%"),
        (Bar("", 1.5, 1.2, is_ceiling=True), "missed by 25%"),
    ],
)
def test_a_bar_says_by_how_much_it_is_missed(bar: Bar, verdict: str) -> None:
    assert bar.verdict == verdict


def test_nothing_is_measured_that_would_not_end_in_time() -> None:
    jobs = [Job(name, lambda: asyncio.sleep(0)) for name in ("short", "long")]
    jobs[1].seconds = 60.0

    asyncio.run(repeat(jobs, time.perf_counter() + 30, lambda _: None))

    assert [job.times for job in jobs] == [1, 0]
