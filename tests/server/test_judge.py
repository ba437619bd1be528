"""A policy that judges itself, over HTTP: on its one engine, here or elsewhere, by score and in tournaments.

The demo's policy follows no criteria: what it says as a judge means nothing, and is the same whenever it is asked.
"""

import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.errors import CheckpointError
from models.interfaces import Meter, Problem
from models.policy.engine_policy import EnginePolicy
from models.prm.criteria import JudgeOptions, Reads
from models.prm.formats import verifier_on_policy
from models.prm.judge import Judge
from search.answers.pool import AnswerPool
from search.expander import Models
from search.strategies import strategies
from server.composition import open_models
from server.doctor.models import check_models
from server.identity import identity_of, load_calibration
from server.settings import Settings
from tests.conftest import DEMO
from tests.models.prm.format_contract import lines
from tests.server.conftest import listening
from tests.server.test_solve import PROBLEM, solve

OPTIONS = JudgeOptions(("Every calculation is right.",), Reads.STEPS)
TOURNAMENT = {"strategy": "best_of_n", "selection": "tournament"}
RUNS = [row.name for row in strategies().values() if row.name != "ttt_best_of_n"]


@pytest.fixture(scope="module")
def judge(policy: EnginePolicy) -> Judge:
    judge = verifier_on_policy("judge", policy, OPTIONS)
    assert isinstance(judge, Judge)
    return judge


@pytest.fixture(scope="module")
async def judged(policy: EnginePolicy, judge: Judge) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        AnswerPool(num_workers=1) as reader,
        listening(Models(policy, judge, reader), policy.engine, calibrated=load_calibration(Settings())) as client,
    ):
        yield client


def scores(reply: dict[str, Any]) -> list[float]:
    return [candidate["score"] for candidate in reply["candidates"]]


@pytest.mark.parametrize("strategy", RUNS)
async def test_every_strategy_searches(judged: httpx.AsyncClient, strategy: str) -> None:
    reply = await solve(judged, strategy=strategy)
    assert reply["status"] == "complete", reply["status_reason"]
    assert reply["answer"] == reply["votes"][0]["answer"]
    assert (reply["usage"]["verifier_tokens"] > 0) == strategies()[strategy].judges


async def test_the_same_responses_get_the_same_scores(judged: httpx.AsyncClient) -> None:
    asked = {"strategy": "weighted_best_of_n", "early_stop": False}
    once, again = await solve(judged, **asked), await solve(judged, **asked)
    assert scores(once) == pytest.approx(scores(again), abs=0.005)
    assert all(0 < score < 1 for score in scores(once))
    assert again["usage"]["verifier_cached_tokens"] >= once["usage"]["verifier_cached_tokens"] > 0


async def test_a_tournament_is_in_the_reply_and_in_the_bill(judged: httpx.AsyncClient) -> None:
    plain = await solve(judged, strategy="best_of_n", early_stop=False)
    reply = await solve(judged, early_stop=False, **TOURNAMENT)
    used = reply["strategy"]
    assert (used["name"], used["selection"], plain["strategy"]["selection"]) == ("best_of_n", "tournament", "best")
    num_players = used["players"]
    assert num_players == len({candidate["response"] for candidate in reply["candidates"] if candidate["answer"]})
    num_pivots = min(num_players, 4)
    assert used["comparisons"] == num_pivots * (num_players - num_pivots) + num_pivots * (num_pivots - 1) / 2 > 0
    strengths = [vote["strength"] for vote in reply["votes"] if vote["answer"]]
    assert strengths == sorted(strengths, reverse=True)
    assert all(vote["strength"] is None for vote in plain["votes"])
    spent = reply["usage"]["verifier_tokens"] + reply["usage"]["verifier_cached_tokens"]
    scoring = plain["usage"]["verifier_tokens"] + plain["usage"]["verifier_cached_tokens"]
    least = len(PROBLEM) // 4 + min(candidate["tokens"] for candidate in reply["candidates"])
    assert spent > scoring + 2 * used["comparisons"] * least
    assert f"in {used['comparisons']} comparisons chose" in used["reason"]


@pytest.mark.parametrize("strategy", ["beam_search", "dvts"])
async def test_tree_searches_end_in_a_tournament(judged: httpx.AsyncClient, strategy: str) -> None:
    reply = await solve(judged, strategy=strategy, selection="tournament")
    assert reply["strategy"]["players"] >= 1
    assert reply["votes"][0]["strength"] is not None


async def test_what_was_measured_has_a_confidence(judged: httpx.AsyncClient) -> None:
    asked = [{"strategy": "best_of_n", "n": 4, "selection": selection} for selection in (None, "best", "tournament")]
    found = [(await solve(judged, **each))["confidence"] for each in asked]
    assert found[0] == found[1] is not None
    assert found[2] is None


@pytest.mark.parametrize("strategy", ["best_of_n", "beam_search"])
async def test_a_tournament_without_a_judge_is_refused_by_name(client: httpx.AsyncClient, strategy: str) -> None:
    asked = {"problem": PROBLEM, "strategy": strategy, "selection": "tournament", "n": 4}
    chat = {"model": "winnow-demo", "messages": [{"role": "user", "content": PROBLEM}]}
    search = {name: value for name, value in asked.items() if name != "problem"}
    for path, body in (("/solve", asked), ("/v1/chat/completions", chat | {"search": search})):
        response = await client.post(path, json=body)
        error = response.json()["error"]
        assert response.status_code == 422
        assert "selection" in error["param"]
        assert "verifier_format judge" in error["message"]


@pytest.mark.parametrize(
    ("strategy", "selection"),
    [("majority", "tournament"), ("weighted_best_of_n", "tournament"), ("best_of_n", "majority"), ("dvts", "knockout")],
)
async def test_other_ways_to_choose_are_refused(judged: httpx.AsyncClient, strategy: str, selection: str) -> None:
    response = await judged.post(
        "/solve", json={"problem": PROBLEM, "strategy": strategy, "selection": selection, "n": 4}
    )
    assert (response.status_code, response.json()["error"]["param"]) == (422, "selection")


async def test_the_engine_is_in_the_metrics_once(judged: httpx.AsyncClient) -> None:
    samples = re.findall(r"^vllm:\S+(?:\{[^}]*\})? ", (await judged.get("/metrics")).text, re.MULTILINE)
    assert len(samples) == len(set(samples)) > 0


async def test_on_a_server_it_gives_the_same_verdicts(judge: Judge, remote_policy: EnginePolicy) -> None:
    remote = verifier_on_policy("judge", remote_policy, OPTIONS)
    assert isinstance(remote, Judge)
    problem, meter = Problem(PROBLEM), Meter()
    here = await judge.score(problem, (), lines(3), Meter())
    assert await remote.score(problem, (), lines(3), meter) == pytest.approx(here, abs=0.005)
    pair = lines(1), lines(2)
    assert await remote.compare(problem, *pair, meter) == pytest.approx(
        await judge.compare(problem, *pair, Meter()), abs=0.005
    )
    assert meter.verifier_tokens > 0


@pytest.mark.engine
async def test_a_service_of_one_model_runs_one_engine() -> None:
    settings, stages = Settings(verifier_format="judge", judge_criteria="open"), list[str]()
    async with open_models(settings, stages.append) as (models, engines):
        assert stages == ["starting what reads answers", f"loading the policy {settings.policy_model}"]
        assert isinstance(models.verifier, Judge)
        assert isinstance(models.policy, EnginePolicy)
        assert engines == (models.policy.engine,) == (models.verifier.engine,)
        assert models.verifier.options == settings.verifier_options


async def test_a_policy_that_cannot_give_a_verdict_stops_the_start_before_an_engine_runs(tmp_path: Path) -> None:
    policy = Path(shutil.copytree(DEMO / "policy", tmp_path / "policy"))
    tokenizer = policy / "tokenizer.json"
    tokenizer.write_text(re.sub(r'"7":', '"seven":', tokenizer.read_text()))
    settings = Settings(policy_model=str(policy), verifier_format="judge")
    with pytest.raises(CheckpointError, match="a digit is not one token"):
        async with open_models(settings):
            pass
    findings, _ = check_models(settings, frozenset({"policy"}))
    assert any("a digit is not one token" in finding.seen for finding in findings if finding.check == "verifier")


def test_a_calibration_table_holds_for_the_criteria() -> None:
    others: list[dict[str, Any]] = [{}, {"judge_criteria": "code"}, {"verifier_model": Settings().policy_model}]
    ours, code, own = (identity_of(Settings(verifier_format="judge", **fields)) for fields in others)
    assert len({ours.verifier, code.verifier, own.verifier}) == 3
    assert ours.policy == own.policy
