"""A plain request outlives its engine as a search does, as long as nothing has been said."""

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psutil
import pytest

from tests.server.processes import engines_of
from tests.server.test_lifecycle import running

pytestmark = pytest.mark.engine

CHAT = {"model": "winnow-demo", "messages": [{"role": "user", "content": "Compute 8 + 6."}], "max_tokens": 64}
PATIENCE_S = 90

Service = tuple[subprocess.Popen[bytes], str]


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running() as service:
        yield service


def kill(service: Service, number: int) -> None:
    """Kill an engine by its place in the order of their starts: the policy's is the first; started anew, the last."""
    engine = engines_of(psutil.Process(service[0].pid))[number]
    engine.kill()
    engine.wait(10)


def ask(url: str, **fields: Any) -> httpx.Response:
    return httpx.post(f"{url}/v1/chat/completions", json=CHAT | fields, timeout=PATIENCE_S)


def test_what_has_said_nothing_is_asked_again(service: Service) -> None:
    _, url = service
    kill(service, 0)
    with ThreadPoolExecutor() as threads:
        whole, streamed = threads.submit(ask, url), threads.submit(ask, url, stream=True)
    assert whole.result().status_code == 200
    assert whole.result().json()["choices"][0]["finish_reason"] in ("stop", "length")
    *chunks, done, rest = streamed.result().text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    assert all("error" not in json.loads(chunk.removeprefix("data: ")) for chunk in chunks)


def test_a_stream_that_has_begun_ends_with_our_own_error(service: Service) -> None:
    _, url = service
    endless = CHAT | {"stream": True, "ignore_eos": True, "max_tokens": 1000, "n": 64}
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=endless, timeout=PATIENCE_S) as response:
        events = (line for line in response.iter_lines() if line)
        next(events)
        kill(service, -1)
        *_, error, done = events
    assert done == "data: [DONE]"
    told = json.loads(error.removeprefix("data: "))
    assert told["error"]["type"] == "server_error"
    assert "a model is unavailable" in told["error"]["message"]
    assert told["request_id"]
