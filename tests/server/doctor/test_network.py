"""The address, the keys, servers elsewhere, and the store of several gateways."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import redis

from server.doctor.finding import Verdict
from server.doctor.network import check_address, check_keys, check_servers, check_store
from server.settings import Settings
from tests.models.remote.test_releases import described
from tests.server.doctor.machines import verdicts
from tests.server.stores import OwnRedis

FINE, CAUTION, STOPS = Verdict.FINE, Verdict.CAUTION, Verdict.STOPS
MODELS = b'{"data": [{"id": "theirs"}]}'


@contextmanager
def server(replies: dict[str, tuple[int, bytes]], key: str | None = None) -> Iterator[str]:
    """The URL of a server that gives these replies, by path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = replies.get(self.path, (404, b""))
            if key and self.headers["Authorization"] != f"Bearer {key}" and self.path != "/health":
                status = 401
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=listener.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.server_port}"
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_free_address_is_fine(host: str) -> None:
    assert check_address(Settings(host=host, port=0)).verdict is FINE


def test_a_port_that_is_taken_stops() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        finding = check_address(Settings(port=taken.getsockname()[1]))
    assert finding.verdict is STOPS
    assert "is in use" in finding.seen


def test_an_address_of_another_machine_stops() -> None:
    assert check_address(Settings(host="192.0.2.1")).verdict is STOPS


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, FINE),
        ({"host": "0.0.0.0"}, STOPS),
        ({"host": "0.0.0.0", "allow_public_without_keys": True}, CAUTION),
        ({"host": "0.0.0.0", "api_keys": "sk-0123456789abcdef"}, FINE),
        ({"api_keys": "short"}, STOPS),
        ({"api_keys_file": Path("nowhere")}, STOPS),
    ],
)
def test_a_public_address_needs_keys_that_can_be_used(settings: dict[str, Any], expected: Verdict) -> None:
    assert verdicts([check_keys(Settings(**settings))]) == [expected]


def test_a_server_elsewhere_that_serves_a_model_is_fine() -> None:
    with server({"/health": (200, b""), "/v1/models": (200, MODELS)}) as url:
        (finding,) = check_servers("policy", [f"{url}/"], None)
    assert (finding.verdict, finding.seen) == (FINE, f"{url} serves theirs")


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        ({"/health": (503, b"")}, "/health answers 503"),
        ({"/health": (200, b""), "/v1/models": (200, b"<html>")}, "names no model"),
        ({"/health": (200, b"")}, "names no model"),
    ],
)
def test_a_server_elsewhere_that_is_not_ready_stops(replies: dict[str, tuple[int, bytes]], said: str) -> None:
    with server(replies) as url:
        (finding,) = check_servers("verifier", [url], None)
    assert finding.verdict is STOPS
    assert said in finding.seen


@pytest.mark.parametrize(("given", "expected"), [(None, STOPS), ("wrong", STOPS), ("right", FINE)])
def test_a_server_elsewhere_that_wants_a_key_is_asked_with_it(given: str | None, expected: Verdict) -> None:
    with server({"/health": (200, b""), "/v1/models": (200, MODELS)}, key="right") as url:
        (finding,) = check_servers("policy", [url], given)
    assert finding.verdict is expected


def test_one_server_that_answers_is_enough() -> None:
    with server({"/health": (200, b""), "/v1/models": (200, MODELS)}) as url:
        assert verdicts(check_servers("policy", [url, "http://127.0.0.1:9"], None)) == [FINE, CAUTION]


def test_no_server_that_answers_stops() -> None:
    assert verdicts(check_servers("policy", ["http://127.0.0.1:9", "http://127.0.0.1:9"], None)) == [STOPS, STOPS]


@pytest.mark.parametrize(("healthy", "expected"), [(2, FINE), (1, CAUTION), (0, STOPS)])
def test_a_router_is_known_by_the_servers_behind_it(healthy: int, expected: Verdict) -> None:
    told = json.dumps({"healthy_workers": healthy, "total_workers": 2}).encode()
    replies = {"/readiness": (200 if healthy else 503, told), "/health": (503, b""), "/v1/%6Dodels": (200, MODELS)}
    with server(replies) as url:
        (finding,) = check_servers("policy", [url], None)
    assert finding.verdict is expected
    assert "is a router" in finding.seen


@pytest.mark.parametrize(
    ("name", "paths", "expected"),
    [
        ("policy", {"/v1/completions": ["prompt", "logprob_token_ids", "structured_outputs"]}, [FINE, STOPS, CAUTION]),
        ("verifier", {"/classify": ["use_activation"]}, [FINE, CAUTION]),
        ("verifier", {"/classify": ["use_activation"], "/v1/winnow/scores": []}, [FINE]),
    ],
)
def test_what_the_release_of_a_server_lacks_is_a_finding_each(
    name: str, paths: dict[str, list[str]], expected: list[Verdict]
) -> None:
    replies = {"/health": (200, b""), "/v1/models": (200, MODELS), "/openapi.json": (200, described(paths))}
    with server(replies) as url:
        assert verdicts(check_servers(name, [url], None)) == expected


def test_no_store_is_no_finding_and_several_processes_are_told_what_they_lack() -> None:
    assert verdicts(check_store(Settings())) == []
    assert verdicts(check_store(Settings(workers=2, policy_url="http://a", verifier_url="http://b"))) == [CAUTION]


def test_a_store_that_answers_is_fine_and_says_its_version(empty_redis: OwnRedis) -> None:
    (finding,) = check_store(Settings(store_url=empty_redis.url))
    assert (finding.verdict, "Redis " in finding.seen) == (Verdict.FINE, True)


def test_a_store_that_drops_what_it_is_given_is_a_caution(empty_redis: OwnRedis) -> None:
    with redis.Redis.from_url(empty_redis.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        (finding,) = check_store(Settings(store_url=empty_redis.url))
        client.config_set("maxmemory-policy", "noeviction")
    assert (finding.verdict, "noeviction" in str(finding.remedy)) == (Verdict.CAUTION, True)


def test_a_store_that_does_not_answer_is_a_caution_that_shows_no_password() -> None:
    (finding,) = check_store(Settings(store_url="redis://:secret@127.0.0.1:9/0"))
    assert (finding.verdict, "secret" in finding.seen) == (Verdict.CAUTION, False)
