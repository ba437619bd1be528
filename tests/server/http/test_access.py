"""Every route needs a key, once there are keys; without them the service keeps to this machine; no key is shown."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import HTTPConnection
from starlette.routing import Mount, Route

from server.app import create_app
from server.http.access import OPEN, AccessMiddleware, client_of, require_safe_exposure
from server.keys import Keyring, read_keys
from server.routes.docs import FILES
from server.settings import Settings, SettingsError
from tests.server.services import service, world_of

KEY = "sk-0123456789abcdef"
SETTINGS = Settings(api_keys=KEY)


def routes_of_app() -> list[tuple[str, str]]:
    app = create_app(world_of().models, (), SETTINGS, Keyring())
    routes = [route for route in app.routes if isinstance(route, Route | Mount)]
    assert len(routes) == len(app.routes)
    return [(method, route.path) for route in routes for method in sorted(getattr(route, "methods", None) or {"GET"})]


ROUTES = [*routes_of_app(), ("GET", "/nowhere"), ("GET", "/%2Fhealthz"), ("GET", "/healthz/"), ("OPTIONS", "/solve")]
OPENED = OPEN | {"/", *FILES}  # the page, which tests/server/page opens, and that of /docs
GUARDED = [route for route in ROUTES if route[1] not in OPENED]

BAD = {
    "no key": {},
    "a wrong key": {"Authorization": "Bearer sk-another-key-than-the-right"},
    "the right key and more": {"Authorization": f"Bearer {KEY}x"},
    "a part of the right key": {"Authorization": f"Bearer {KEY[:-1]}"},
    "an empty key": {"Authorization": "Bearer"},
    "no scheme": {"Authorization": KEY},
    "another scheme": {"Authorization": f"Basic {KEY}"},
    "an empty header": {"Authorization": ""},
    "a key in another header": {"X-API-Key": KEY},
    "bytes that are no ASCII": {"Authorization": "Bearer s\u00e9cret-s\u00e9cret-s\u00e9cret".encode("latin-1")},
}


@pytest.fixture(scope="module")
async def guarded() -> AsyncIterator[httpx.AsyncClient]:
    async with service(world_of("1"), api_keys=KEY) as client:
        yield client


def test_the_table_knows_the_routes() -> None:
    assert {"/solve", "/solve/batch", "/metrics", "/openapi.json"} <= {path for _, path in GUARDED}
    assert {path for _, path in ROUTES} > OPEN


@pytest.mark.parametrize("headers", BAD.values(), ids=BAD)
@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_a_route_is_closed_without_a_good_key(
    guarded: httpx.AsyncClient, method: str, path: str, headers: dict[str, str]
) -> None:
    response = await guarded.request(method, path, headers=headers)
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    assert response.headers["x-request-id"]
    if method != "HEAD":
        error = response.json()["error"]
        assert (error["code"], error["type"]) == ("invalid_api_key", "invalid_request_error")
        assert "send Authorization: Bearer KEY" in error["message"]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_the_right_key_opens_every_route(guarded: httpx.AsyncClient, method: str, path: str, scheme: str) -> None:
    response = await guarded.request(method, path, headers={"Authorization": f"{scheme} {KEY}"})
    assert response.status_code not in (401, 403)
    assert response.status_code < 500


@pytest.mark.parametrize("path", sorted(OPEN))
async def test_what_a_load_balancer_asks_is_open(guarded: httpx.AsyncClient, path: str) -> None:
    assert (await guarded.get(path)).status_code == 200


async def test_two_headers_are_not_one_key(guarded: httpx.AsyncClient) -> None:
    headers = [("Authorization", f"Bearer {KEY}"), ("Authorization", "Bearer other")]
    assert (await guarded.get("/openapi.json", headers=headers)).status_code == 401


async def test_without_keys_every_route_is_open() -> None:
    async with service(world_of("1")) as client:
        assert (await client.get("/openapi.json")).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "example.org", ""])
def test_a_public_address_needs_keys_or_a_word(host: str) -> None:
    with pytest.raises(SettingsError, match="allow_public_without_keys"):
        require_safe_exposure(Settings(host=host), Keyring())
    require_safe_exposure(Settings(host=host, allow_public_without_keys=True), Keyring())
    require_safe_exposure(Settings(host=host, api_keys=KEY), read_keys(SETTINGS))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_loopback_needs_no_keys(host: str) -> None:
    require_safe_exposure(Settings(host=host), Keyring())


@pytest.mark.parametrize(
    ("peer", "name"),
    [
        (("10.0.0.7", 1), "10.0.0.7"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
        (("::ffff:10.0.0.7", 1), "::ffff:10.0.0.7"),
        (("testclient", 1), "testclient"),
        (None, "local"),
    ],
)
async def test_without_keys_a_client_is_known_by_its_address(peer: tuple[str, int] | None, name: str) -> None:
    scope: dict[str, Any] = {"type": "http", "path": "/solve", "headers": [], "client": peer}

    async def app(*_: object) -> None:
        assert client_of(HTTPConnection(scope)).name == name

    await AccessMiddleware(app, Keyring())(scope, None, None)  # type: ignore[arg-type]  # neither is used
    assert "state" in scope


async def test_no_log_line_reply_or_message_shows_a_key(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINNOW_API_KEYS", KEY)
    caplog.set_level(logging.DEBUG)
    settings = Settings()
    logging.getLogger("test").info("%s %r %s", settings, settings, settings.model_dump())
    world = world_of("1")
    world.policy.failures[r"\boxed{1}"] = RuntimeError("a defect")  # type: ignore[assignment]  # no error of a model
    seen = []
    async with service(world, api_keys=KEY) as client:
        for header in (f"Bearer {KEY}", KEY, f"Bearer {KEY}x"):
            for body in ({"problem": "1"}, {"problem": 1}):
                reply = await client.post("/solve", json=body, headers={"Authorization": header})
                seen.append(f"{reply.text} {reply.headers}")
    assert "unexpected error" in caplog.text
    assert KEY not in caplog.text + "".join(seen) + repr(read_keys(settings)._keys)


async def test_pages_of_other_origins_are_let_in_by_name_only() -> None:
    preflight = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    async with service(world_of(), api_keys=KEY, cors_origins="https://a.example, https://b.example") as client:
        allowed = await client.options("/solve", headers=preflight)
        refused = await client.options("/solve", headers=preflight | {"Origin": "https://evil.example"})
        reply = await client.post("/solve", json={}, headers={"Origin": "https://a.example"})
        asked = {"Access-Control-Request-Headers": "authorization, idempotency-key, last-event-id"}
        stop = await client.options("/solve/a", headers=preflight | asked | {"Access-Control-Request-Method": "DELETE"})
    assert allowed.headers["access-control-allow-origin"] == "https://a.example"
    assert stop.status_code == 200
    assert "DELETE" in stop.headers["access-control-allow-methods"]
    assert reply.headers["access-control-expose-headers"] == "Location, Retry-After, X-Request-ID"
    assert "access-control-allow-origin" not in refused.headers
    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (401, "https://a.example")


async def test_by_default_no_page_of_another_origin_is_let_in(guarded: httpx.AsyncClient) -> None:
    reply = await guarded.get("/healthz", headers={"Origin": "https://a.example"})
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize("path", ["/healthz", "/solve", "/nowhere", "/docs"])
async def test_every_reply_tells_browsers_to_be_careful(path: str) -> None:
    async with service(world_of()) as client:
        headers = (await client.get(path)).headers
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]


FORWARDED = {
    # name: (peer, X-Forwarded-For, who asks)
    "a proxy that nobody trusts": ("127.0.0.1", ["10.1.1.1"], "127.0.0.1"),
    "a trusted one": ("10.0.0.9", ["10.1.1.1"], "10.1.1.1"),
    "one of a trusted network": ("fd00::7", ["10.1.1.1"], "10.1.1.1"),
    "one in the other notation": ("::ffff:10.0.0.9", ["10.1.1.1"], "10.1.1.1"),
    "what the client wrote before the proxy": ("10.0.0.9", ["1.1.1.1, 10.1.1.1"], "10.1.1.1"),
    "several headers": ("10.0.0.9", ["1.1.1.1", "10.1.1.1"], "10.1.1.1"),
    "two proxies": ("10.0.0.9", ["1.1.1.1, 10.1.1.1, fd00::8"], "10.1.1.1"),
    "ports": ("10.0.0.9", ["10.1.1.1:80"], "10.1.1.1"),
    "ports of IPv6": ("10.0.0.9", ["[2001:db8::1]:80"], "2001:db8::/64"),
    "no address": ("10.0.0.9", ["not-an-ip client=admin"], "10.0.0.9"),
    "an address and more": ("10.0.0.9", ["10.1.1.1 client=admin"], "10.0.0.9"),
    "a zone that is any text": ("10.0.0.9", ["::ffff:10.1.1.1%x client=admin"], "::ffff:10.1.1.1"),
    "nothing": ("10.0.0.9", [""], "10.0.0.9"),
    "proxies alone": ("10.0.0.9", ["fd00::1, fd00::2"], "fd00::/64"),
}


@pytest.mark.parametrize(("peer", "values", "name"), FORWARDED.values(), ids=FORWARDED)
async def test_a_forwarded_address_is_believed_from_trusted_proxies_alone(
    peer: str, values: list[str], name: str
) -> None:
    headers = [(b"x-forwarded-for", value.encode()) for value in values]
    scope: dict[str, Any] = {"type": "http", "path": "/solve", "headers": headers, "client": (peer, 1)}
    trusted = Settings(trusted_proxies="10.0.0.9, fd00::/8").trusted_proxies or ()

    async def app(*_: object) -> None:
        assert client_of(HTTPConnection(scope)).name == name

    await AccessMiddleware(app, Keyring(), trusted)(scope, None, None)  # type: ignore[arg-type]  # neither is used
    assert "state" in scope


async def test_by_default_no_header_names_a_client(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with service(world_of("1")) as client:
        headers = {"X-Forwarded-For": "not-an-ip client=admin"}
        await client.post("/solve", json={"problem": "1", "n": 1}, headers=headers)
    assert "client=127.0.0.1" in caplog.text
    assert "admin" not in caplog.text


async def test_a_trusted_proxy_names_its_clients(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with service(world_of("1"), trusted_proxies="127.0.0.0/8") as client:
        await client.post("/solve", json={"problem": "1", "n": 1}, headers={"X-Forwarded-For": "10.1.1.1"})
    assert "client=10.1.1.1" in caplog.text
