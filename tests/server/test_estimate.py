"""`POST /solve/estimate`: what a search will take, from what was measured and what the service has seen."""

import asyncio
from dataclasses import fields
from typing import Any

import httpx
import pytest

from search.calibration.costs import Cost, Spread
from search.calibration.table import Calibrated, Costs, read_calibration
from search.strategies import strategies
from tests.conftest import DEMO
from tests.server.conftest import listening
from tests.server.services import queueing, service, world_of
from tests.server.test_queue import ONE, held, until_there_are

COST = Cost(Spread(10, 20, 30), Spread(1, 2, 3), Spread(0.1, 0.2, 0.3))
NOTHING = dict.fromkeys(("completion_tokens", "verifier_tokens", "seconds"))


def times(cost: Cost, factor: int) -> Cost:
    return Cost(*(Spread(*(factor * value for value in getattr(cost, kind.name))) for kind in fields(Cost)))


def calibrated() -> Calibrated:
    table = read_calibration(DEMO / "calibration.yaml")
    known = {name: {4: COST, 16: times(COST, 4)} for name in strategies()}
    costs = Costs(made={"machine": {"cpu": "a CPU"}}, problems=24, beam_width=4, strategies=known)
    return Calibrated(table.model_copy(update={"costs": costs}))


async def estimate(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    response = await client.post("/solve/estimate", json={"problem": "Compute 8 + 6 * 4 - 12."} | fields)
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


async def by_table(**fields: Any) -> dict[str, Any]:
    async with listening(world_of().models, calibrated=calibrated()) as client:
        return await estimate(client, **fields)


@pytest.mark.parametrize("strategy", [name for name in strategies() if name != "ttt_best_of_n"])
@pytest.mark.parametrize(("n", "tokens"), [(4, [10, 20, 30]), (8, [20, 40, 60]), (16, [40, 80, 120])])
async def test_the_table_says_what_a_search_takes(strategy: str, n: int, tokens: list[int]) -> None:
    found = await by_table(strategy=strategy, n=n)
    assert [*found["completion_tokens"].values()] == tokens
    assert [*found["verifier_tokens"].values()] == [value / 10 for value in tokens]
    assert "24 problems of the calibration table" in found["basis"]
    assert "a CPU" in found["basis"]


@pytest.mark.parametrize(("n", "expected"), [(32, 160), (1, 5)])
async def test_beyond_what_was_measured_costs_grow_with_n(n: int, expected: float) -> None:
    found = await by_table(strategy="majority", n=n)
    assert found["completion_tokens"]["expected"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"temperature": 0.1}, "not measured with this temperature"),
        ({"strategy": "dvts", "beam_width": 8}, "not measured with this beam_width"),
        ({"strategy": "beam_search", "lookahead": 1}, "not measured with this lookahead"),
        ({"strategy": "majority", "early_stop": False}, "not measured with this early_stop"),
        ({"strategy": "majority", "max_tokens": 10}, "not measured with this max_tokens"),
        ({"strategy": "majority", "n": 128}, "not measured near N = 128"),
        ({"system_prompt": "Be brief."}, "not measured with this system_prompt"),
    ],
)
async def test_what_nobody_measured_is_null_and_says_why(fields: dict[str, Any], words: str) -> None:
    found = await by_table(**{"n": 16} | fields)
    assert {name: found[name] for name in NOTHING} == NOTHING
    assert words in found["basis"]


async def test_without_a_table_nothing_is_said_until_searches_were_seen() -> None:
    async with service(world_of("1")) as client:
        before = await estimate(client, **ONE)
        assert before | NOTHING == before
        assert before["accuracy"] is None
        assert "these models have no calibration table" in before["basis"]
        await asyncio.gather(*(client.post("/solve", json=ONE | {"problem": str(k)}) for k in range(12)))
        after = await estimate(client, **ONE)
        another = await estimate(client, **ONE | {"temperature": 0.1})
    tokens = len(r"\boxed{1}")
    assert [*after["completion_tokens"].values()] == [tokens] * 3
    assert after["verifier_tokens"] == {"low": 0, "expected": 0, "high": 0}
    assert 0 < after["seconds"]["low"] <= after["seconds"]["high"] < 5
    assert "12 searches like this one here" in after["basis"]
    assert another["completion_tokens"] is None


async def test_the_latest_searches_of_the_service_go_before_the_table() -> None:
    async with listening(world_of("1").models, calibrated=calibrated()) as client:
        fields = {"strategy": "majority", "n": 4}
        await asyncio.gather(*(client.post("/solve", json={"problem": "1"} | fields) for _ in range(10)))
        seen, table = await estimate(client, **fields), await estimate(client, **fields | {"n": 16})
    assert seen["completion_tokens"]["high"] <= 4 * len(r"\boxed{1}")
    assert table["completion_tokens"]["high"] == 120


@pytest.mark.parametrize(("strategy", "n", "measured"), [("auto", 4, 0.703), ("auto", 16, 0.823), ("dvts", 64, 0.86)])
async def test_the_accuracy_is_that_of_the_table_with_its_spread(strategy: str, n: int, measured: float) -> None:
    found = (await by_table(strategy=strategy, n=n))["accuracy"]
    assert 0 <= found["low"] < found["expected"] < found["high"] <= 1
    assert found["expected"] == pytest.approx(measured, abs=0.001)


async def test_the_accuracy_does_not_hold_for_an_unfamiliar_problem() -> None:
    found = await by_table(strategy="dvts", n=16, problem="What is the capital of France?")
    assert (found["accuracy"], found["completion_tokens"]["high"] > 0) == (None, True)
    assert "unlike those of the calibration table" in found["basis"]


@pytest.mark.parametrize(
    "fields", [{"temperature": 0.1}, {"aggregation": "min"}, {"strategy": "majority", "n": 4}, {"n": 256}]
)
async def test_an_accuracy_that_was_not_measured_is_null(fields: dict[str, Any]) -> None:
    found = await by_table(**{"strategy": "dvts", "n": 16} | fields)
    assert found["accuracy"] is None
    assert "no such answers were measured" in found["basis"]


async def test_a_deadline_and_the_most_tokens_bound_the_estimate() -> None:
    found = await by_table(strategy="majority", n=16, deadline_s=0.5)
    assert found["seconds"] == {"low": 0.4, "expected": 0.5, "high": 0.5}


async def test_the_queue_is_part_of_it() -> None:
    world, (gate,) = held("1")
    async with queueing(world, max_cost_in_flight=1024) as (client, admission):
        assert (await estimate(client, **ONE))["queue_s"] == 0
        asked = asyncio.create_task(client.post("/solve", json=ONE))
        await until_there_are(admission, 1, 0)
        await asyncio.sleep(0.1)
        assert (await estimate(client, **ONE))["queue_s"] > 0.05
        assert (admission.num_running, admission.num_queued) == (1, 0)
        gate.set()
        await asked


async def test_what_would_be_refused_is_refused() -> None:
    async with service(world_of("1")) as client:
        for fields, param in (({"n": 0}, "n"), ({"strategy": "dvts", "n": 6}, "beam_width"), ({"nn": 1}, "nn")):
            refused = await client.post("/solve/estimate", json={"problem": "1"} | fields)
            assert (refused.status_code, refused.json()["error"]["param"]) == (422, param)
    assert world_of().policy.num_calls == 0
