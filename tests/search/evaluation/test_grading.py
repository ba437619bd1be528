"""From a reply to outcomes, on replies written by hand."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from search.answers.pool import AnswerPool
from search.evaluation.grading import Grader
from search.evaluation.grid import Job, plan_jobs
from search.evaluation.outcomes import Outcome
from search.evaluation.tasks import Task

TASK = Task("p", "1/2", 3)


@pytest.fixture(scope="module")
async def grader() -> AsyncIterator[Grader]:
    async with AnswerPool(num_workers=1) as answers:
        yield Grader(answers)


def candidate(name: str, answer: str | None, score: float | None, tokens: int = 10) -> dict[str, Any]:
    return {"id": name, "answer": answer, "score": score, "finish": "complete", "tokens": tokens}


def node(name: str, state: str, score: float | None, tokens: int) -> dict[str, Any]:
    return {"id": name, "score": score, "state": state, "tokens": tokens}


def reply(answer: str, completion_tokens: int, **evidence: object) -> dict[str, Any]:
    usage = {"completion_tokens": completion_tokens, "verifier_tokens": 7, "verifier_cached_tokens": 3}
    return {"answer": answer, "usage": usage, **evidence}


def job(*strategies: str, subsample: bool = True) -> Job:
    (only,) = plan_jobs(strategies, {2: 1, 4: 1} if subsample else {4: 1}, {}, beam_width=2, subsample=subsample)
    return only


def by_cell(outcomes: list[Outcome]) -> dict[tuple[str, int], Outcome]:
    return {(outcome.strategy, outcome.n): outcome for outcome in outcomes}


async def test_every_vote_is_taken_from_one_set_of_responses(grader: Grader) -> None:
    said = [
        candidate("0", "2", 0.9),
        candidate("1", "0.5", 0.5),
        candidate("2", r"\frac12", 0.6),
        candidate("3", None, 0.9),
    ]
    outcomes = by_cell(await grader.grade(TASK, job("majority", "best_of_n"), reply("2", 40, candidates=said), 1.5))
    assert {cell: outcome.answer for cell, outcome in outcomes.items()} == {
        ("best_of_n", 4): "2",
        ("best_of_n", 2): "2",
        ("majority", 4): "0.5",
        ("majority", 2): "2",
    }
    assert outcomes["majority", 4].is_correct
    assert [outcome.completion_tokens for outcome in outcomes.values()] == [40, 40, 20, 20]
    own, *others = outcomes.values()
    assert (own.seconds, own.verifier_tokens, own.num_right, own.level) == (1.5, 7, 2, 3)
    assert all((other.seconds, other.verifier_tokens, other.num_right) == (None, None, None) for other in others)


async def test_of_smaller_budgets_too_a_share_votes(grader: Grader) -> None:
    """Of the first two of four the better one, whatever the others' scores."""
    said = [
        candidate("0", "2", 0.3),
        candidate("1", "0.5", 0.4),
        candidate("2", "2", 0.9),
        candidate("3", "2", 0.8),
    ]
    (shared,) = plan_jobs(["weighted_best_of_n"], {2: 1, 4: 1}, {}, 2, varied={"keep": [0.5]}, subsample=True)
    outcomes = by_cell(await grader.grade(TASK, shared, reply("2", 40, candidates=said), 1.0))
    assert {cell: outcome.answer for cell, outcome in outcomes.items()} == {
        ("weighted_best_of_n", 4): "2",
        ("weighted_best_of_n", 2): "0.5",
    }


async def test_a_lost_response_leaves_the_others_their_places(grader: Grader) -> None:
    said = [candidate("1", "2", 0.9), candidate("2", "0.5", 0.9), candidate("3", "0.5", 0.9)]
    outcomes = by_cell(await grader.grade(TASK, job("majority"), reply("0.5", 30, candidates=said), 1.0))
    assert outcomes["majority", 2].answer == "2"


async def test_a_subtree_has_its_share_of_the_bill(grader: Grader) -> None:
    nodes = [
        *(node("0", "expanded", 0.9, 6), node("1", "dropped", 0.1, 4)),
        *(node("0.0", "complete", 0.2, 5), node("0.1", "complete", 0.3, 5)),
        *(node("2", "complete", 0.9, 10), node("3", "truncated", None, 10)),
    ]
    said = [candidate("0.0", "2", 0.2), candidate("0.1", "2", 0.3), candidate("2", "0.5", 0.9)]
    said.append(candidate("3", None, None) | {"finish": "truncated"})
    evidence = {"candidates": said, "tree": {"nodes": nodes}}
    whole, first = await grader.grade(TASK, job("dvts"), reply("0.5", 50, **evidence), 1.0)
    assert (whole.n, whole.answer, whole.is_correct, whole.completion_tokens) == (4, "0.5", True, 50)
    assert (first.n, first.answer, first.is_correct, first.completion_tokens) == (2, "2", False, 25)


async def test_a_request_of_its_own_is_taken_at_its_word(grader: Grader) -> None:
    (outcome,) = await grader.grade(TASK, job("dvts", subsample=False), reply("0.50", 50), 2.0)
    assert outcome == Outcome("p", 3, "dvts", 4, 0, "0.50", True, 50, 7, 3, 2.0, early_stop=True)
