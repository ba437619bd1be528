"""`verify` in `POST /solve`: answers that do not solve the equation lose their votes."""

import re
from fractions import Fraction
from typing import Any

import httpx
import pytest

from search.answers.pool import AnswerPool
from search.expander import Models
from tests.natures import Tree, answer
from tests.server.conftest import listening
from tests.server.test_solve import STRATEGIES, solve
from tests.worlds import World

EQUATION = "Solve 7 * (x + 10) = 3x + 80 for x."
ROOT = Fraction(5, 2)


def solves(answer: str | None) -> bool | None:
    """Whether an answer of the demo policy, an integer or a fraction, is the root."""
    return None if answer is None else Fraction(re.sub(r"\\frac\{(\d+)\}\{(\d+)\}", r"\1/\2", answer)) == ROOT


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_every_candidate_is_marked_and_wrong_ones_have_no_vote(client: httpx.AsyncClient, strategy: str) -> None:
    reply = await solve(client, problem=EQUATION, strategy=strategy, n=16, verify="sympy", early_stop=False)
    assert all(candidate["verified"] is solves(candidate["answer"]) for candidate in reply["candidates"])
    assert all(solves(vote["answer"]) for vote in reply["votes"] if vote["answer"] is not None)
    assert reply["strategy"]["verify"] == "sympy"


async def test_early_stopping_does_not_change_what_is_elected(client: httpx.AsyncClient) -> None:
    request = {"problem": EQUATION, "strategy": "majority", "n": 32, "verify": "sympy"}
    stopped, whole = await solve(client, **request), await solve(client, **request, early_stop=False)
    assert stopped["answer"] == whole["answer"]
    assert stopped["usage"]["completion_tokens"] <= whole["usage"]["completion_tokens"]


async def test_without_it_nothing_is_checked(client: httpx.AsyncClient) -> None:
    reply = await solve(client, problem=EQUATION)
    assert {candidate["verified"] for candidate in reply["candidates"]} == {None}
    assert (reply["diagnostics"]["refuted"], reply["strategy"]["verify"]) == (0, None)


async def test_a_problem_without_an_equation_is_solved_as_before(client: httpx.AsyncClient) -> None:
    plain, checked = [await solve(client, strategy="majority", verify=verify) for verify in (None, "sympy")]
    assert (checked["answer"], checked["votes"]) == (plain["answer"], plain["votes"])
    assert {candidate["verified"] for candidate in checked["candidates"]} == {None}


async def reply_of_world(answers: list[str], **fields: Any) -> dict[str, Any]:
    """The reply of the app around a world that gives these answers, and the real reader."""
    world = World(Tree(*(answer(text, 0.5) for text in answers)))
    async with AnswerPool(num_workers=1) as reader:
        models = Models(world.policy, world.verifier, reader)
        async with listening(models) as client:
            return await solve(client, problem=EQUATION, n=len(answers), verify="sympy", **fields)


async def test_the_reply_counts_the_refuted_and_says_so() -> None:
    reply = await reply_of_world(["3", "3", "5/2", "unclear"], strategy="majority", early_stop=False)
    assert (reply["answer"], reply["diagnostics"]["refuted"]) == ("5/2", 2)
    assert [candidate["verified"] for candidate in reply["candidates"]] == [False, False, True, None]
    assert "2 of 4 complete responses give an answer that fails the check: no vote" in reply["diagnostics"]["warnings"]


async def test_where_all_are_refuted_there_is_no_answer() -> None:
    reply = await reply_of_world(["3", "4"])
    assert (reply["answer"], reply["status"], reply["diagnostics"]["refuted"]) == (None, "complete", 2)
    assert [candidate["answer"] for candidate in reply["candidates"]] == ["3", "4"]


async def test_another_check_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post("/solve", json={"problem": EQUATION, "verify": "lean"})
    assert (response.status_code, response.json()["error"]["param"]) == (422, "verify")
    assert "'sympy'" in response.json()["error"]["message"]
