"""`/docs`: the interface for people, from files of our own; its examples run, and its replies are real."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from server.app import create_app
from server.http.examples import EXAMPLES, REFUSALS, Example
from server.http.interface import operations
from server.keys import Keyring, read_keys
from server.routes.docs import FILES, FOLDER
from server.settings import Settings
from tests.server.services import service, world_of

KEY = "sk-0123456789abcdef"
each_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: f"{each.route} {each.name}")


def document_of(keys: Keyring | None = None, **fields: Any) -> dict[str, Any]:
    return create_app(world_of().models, (), Settings(**fields), keys or Keyring()).openapi()


def examples_in(document: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """The requests that a document shows, by route and name."""
    return {
        (path, name): example["value"]
        for (path, _), operation in operations(document).items()
        for name, example in operation.get("requestBody", {})
        .get("content", {})
        .get("application/json", {})
        .get("examples", {})
        .items()
    }


def shown(document: dict[str, Any], example: Example) -> Any:
    """The reply that a document shows to an example; None where it shows none."""
    answered = document["paths"][example.route]["post"]["responses"]["200"]["content"]["application/json"]
    return answered["examples"].get(example.name, {}).get("value")


@each_example
async def test_an_example_runs_as_it_stands_and_gets_the_reply_that_is_shown(
    client: httpx.AsyncClient, example: Example
) -> None:
    document = (await client.get("/openapi.json")).json()
    reply = await client.post(example.route, json=examples_in(document)[example.route, example.name])
    assert reply.status_code == 200, reply.text
    if example.body.get("stream"):
        assert reply.text.rstrip().rpartition("event: ")[2].startswith("result")
        return
    told, expected = reply.json(), shown(document, example)
    assert alike(told) == alike(expected)


def alike(reply: dict[str, Any]) -> dict[str, Any]:
    """What two replies to one request have in common: their fields, and what they answer."""
    return {"fields": sorted(reply)} | {
        name: reply[name] for name in ("answer", "status", "index", "object", "model") if name in reply
    }


def test_every_route_that_takes_a_body_has_an_example_and_every_example_a_reply() -> None:
    document = document_of()
    taking = {path for (path, _), operation in operations(document).items() if "requestBody" in operation}
    assert {route for route, _ in examples_in(document)} == taking
    for example in EXAMPLES:
        assert example.body.get("stream") or shown(document, example)


SERVICES: dict[str, dict[str, Any]] = {
    "a policy alone": {"verifier_format": "none"},
    "a verifier alone": {"policy_model": "none"},
    "another name": {"served_model_name": "ours"},
    "small": {"max_n": 2, "max_batch": 1, "max_tokens": 100},
}


@pytest.mark.parametrize("fields", SERVICES.values(), ids=SERVICES)
def test_a_document_has_the_examples_that_its_service_answers(fields: dict[str, Any]) -> None:
    settings = Settings(**fields)
    found = examples_in(document_of(**fields))
    assert found
    for (route, _), body in found.items():
        assert settings.has_policy or route.startswith(("/v1/steps", "/v1/answers"))
        assert settings.has_verifier or ("strategy" not in str(body) or "majority" in str(body))
        assert settings.has_verifier or route not in ("/v1/steps/score", "/v1/answers/choose")
        assert body.get("n", 1) <= settings.max_n
        assert body.get("max_tokens", 1) <= settings.max_tokens
        assert body.get("model", settings.policy_name).startswith(settings.policy_name)


async def test_a_policy_alone_answers_the_examples_of_its_document() -> None:
    world = world_of("20")
    fields = {"verifier_format": "none"}
    async with service(world, **fields) as client:
        document = (await client.get("/openapi.json")).json()
        for (route, name), body in examples_in(document).items():
            if route.startswith("/solve") or "majority" in str(body):
                assert (await client.post(route, json=body)).status_code == 200, (route, name)


def test_every_route_says_in_a_sentence_what_it_does() -> None:
    summaries = [operation["summary"] for operation in operations(document_of()).values()]
    assert len(set(summaries)) == len(summaries)
    assert all(re.fullmatch(r"[A-Z][^_]*[^.\s]", each) and each.count(" ") > 3 for each in summaries), summaries


def test_a_service_with_keys_says_so_and_one_without_does_not() -> None:
    open_to_all = document_of()
    assert "security" not in open_to_all
    assert "securitySchemes" not in open_to_all["components"]
    guarded = document_of(read_keys(Settings(api_keys=KEY)))
    ((name, scheme),) = guarded["components"]["securitySchemes"].items()
    assert (scheme["type"], scheme["scheme"], guarded["security"]) == ("http", "bearer", [{name: []}])
    unguarded = {path for (path, _), operation in operations(guarded).items() if operation.get("security") == []}
    assert unguarded == {"/healthz", "/readyz"}


@pytest.fixture(scope="module")
async def guarded() -> AsyncIterator[httpx.AsyncClient]:
    async with service(world_of("1"), api_keys=KEY) as client:
        yield client


async def test_refusals_are_those_of_a_service(guarded: httpx.AsyncClient) -> None:
    known = {"Authorization": f"Bearer {KEY}"}
    given = {
        400: guarded.post("/solve", content=b'{"problem": ', headers=known | {"content-type": "application/json"}),
        401: guarded.post("/solve", json={}),
        404: guarded.get("/nowhere", headers=known),
        415: guarded.post("/solve", content=b"1", headers=known | {"content-type": "text/plain"}),
        422: guarded.post("/solve", json={"problem": "1", "n": 0}, headers=known),
    }
    for status, asked in given.items():
        reply = await asked
        error = reply.json()["error"]
        assert (reply.status_code, error["message"], error["param"], error["code"]) == (status, *REFUSALS[status])


async def test_the_page_loads_without_a_key_and_the_document_does_not(guarded: httpx.AsyncClient) -> None:
    assert (await guarded.get("/openapi.json")).status_code == 401
    for path in FILES:
        assert (await guarded.get(path)).status_code == 200
    assert (await guarded.get("/docs/other")).status_code == 401


async def test_the_page_asks_for_nothing_from_elsewhere_and_runs_nothing_inline(guarded: httpx.AsyncClient) -> None:
    page = await guarded.get("/docs")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert (policy["default-src"], policy["script-src"], policy["style-src"]) == ("'none'", "'self'", "'self'")
    assert policy["connect-src"] == "'self'"
    assert "unsafe" not in page.headers["content-security-policy"]
    assert "://" not in page.text
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=", page.text)
    for address in re.findall(r'(?:href|src)="([^"]+)"', page.text):
        if not address.startswith("data:"):
            assert f"/{address}" in {*FILES, "/openapi.json"}


async def test_files_that_a_browser_has_are_not_sent_again(guarded: httpx.AsyncClient) -> None:
    first = await guarded.get("/docs/swagger-ui-bundle.js")
    again = await guarded.get("/docs/swagger-ui-bundle.js", headers={"If-None-Match": first.headers["etag"]})
    assert (first.headers["content-type"].partition(";")[0], again.status_code) == ("text/javascript", 304)
    assert first.headers["content-encoding"] == "gzip"
    assert int(first.headers["content-length"]) < 500_000


def test_the_bundle_is_one_file_with_its_licence_and_its_version() -> None:
    folder = FOLDER / "swagger-ui"
    files = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert files.keys() == {
        "LICENSE",
        "NOTICE",
        "VERSION",
        "swagger-ui-bundle.js",
        "swagger-ui-bundle.js.LICENSE.txt",
        "swagger-ui.css",
    }
    assert sum(files.values()) < 2_000_000
    assert not [name for name in files if "sourceMappingURL" in (folder / name).read_text(encoding="utf-8")]
    assert re.fullmatch(r"swagger-ui-dist \d+\.\d+\.\d+\n", (folder / "VERSION").read_text())
    assert not list(FOLDER.rglob("*.map"))
