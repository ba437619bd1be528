"""`POST /solve/batch`: each request for itself, in order."""

from typing import Any

import httpx

from models.errors import EngineUnavailableError
from tests.server.services import service, world_of

GOOD = {"problem": "1", "n": 1, "strategy": "majority"}

BAD: dict[str, tuple[Any, int, str | None, str]] = {
    # name: (request, status, the field named, what the message says)
    "no object": (7, 422, "body", "dictionary"),
    "nothing": (None, 422, "body", "dictionary"),
    "no problem": ({}, 422, "problem", "Field required"),
    "a budget that is too large": (GOOD | {"n": 4096}, 422, "n", "1 to 1,024"),
    "an unknown field": (GOOD | {"budget": 1}, 422, "budget", "allowed fields: problem, n"),
    "a field of another strategy": (
        GOOD | {"lookahead": 1},
        422,
        "lookahead",
        "not supported by strategy",
    ),
    "a stream": (GOOD | {"stream": True}, 422, "stream", "omit it"),
    "hyperparameters that make no search": (GOOD | {"strategy": "dvts", "n": 3}, 422, "beam_width", "not divisible"),
}


async def results(client: httpx.AsyncClient, requests: list[Any]) -> list[dict[str, Any]]:
    response = await client.post("/solve/batch", json={"requests": requests})
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["results"]
    return found


async def test_bad_requests_fail_for_themselves_and_the_order_is_kept() -> None:
    requests = [each for request, *_ in BAD.values() for each in (request, GOOD)]
    async with service(world_of("1")) as client:
        found = await results(client, requests)
    assert [result["answer"] for result in found[1::2]] == ["1"] * len(BAD)
    for result, (_, status, param, message) in zip(found[::2], BAD.values(), strict=True):
        assert (result["http_status"], result["error"]["param"]) == (status, param)
        assert message in result["error"]["message"]


async def test_a_failing_model_fails_the_request_it_fails_in() -> None:
    world = world_of("1", "2", "3")
    world.policy.failures[r"\boxed{2}"] = EngineUnavailableError("the engine is dead")
    async with service(world) as client:
        found = await results(client, [GOOD] * 3)
    assert [result.get("answer") for result in found] == ["1", None, "3"]
    assert (found[1]["http_status"], found[1]["retry_after_s"]) == (503, 5)
    assert found[1]["error"]["type"] == "server_error"


async def test_a_defect_of_ours_is_a_500_of_one_request_and_shows_nothing() -> None:
    world = world_of("1", "2")
    world.policy.failures[r"\boxed{2}"] = RuntimeError("secret")  # type: ignore[assignment]  # no error of a model
    async with service(world) as client:
        found = await results(client, [GOOD] * 2)
    assert [result.get("http_status", 200) for result in found] == [200, 500]
    assert "secret" not in str(found)


async def test_every_request_of_a_batch_has_a_place_of_its_own_in_the_queue() -> None:
    async with service(world_of("1"), max_cost_in_flight=1024, max_queued=2) as client:
        found = await results(client, [GOOD] * 5)
    assert [result.get("http_status", 200) for result in found] == [200, 200, 200, 429, 429]
    assert found[4]["retry_after_s"] >= 1


async def test_replies_have_ids_of_their_own() -> None:
    async with service(world_of("1")) as client:
        found = await results(client, [GOOD] * 3)
    assert len({result["id"] for result in found}) == 3


async def test_a_batch_is_bounded_by_the_setting() -> None:
    async with service(world_of("1"), max_batch=2) as client:
        refused = await client.post("/solve/batch", json={"requests": [GOOD] * 3})
        empty = await client.post("/solve/batch", json={"requests": []})
        assert len(await results(client, [GOOD] * 2)) == 2
    assert (refused.status_code, refused.json()["error"]["param"]) == (422, "requests")
    assert "allowed: 1 to 2" in refused.json()["error"]["message"]
    assert empty.status_code == 422
