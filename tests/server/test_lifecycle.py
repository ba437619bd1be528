"""The service as a process: it starts, answers, outlives its engines, stops, and leaves nothing behind.

One service lives through all of it, to its end; another one is stopped.
"""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import psutil
import pytest

from tests.server.processes import WINNOW, engines_of, free_port

pytestmark = pytest.mark.engine

START_WITHIN_S, STOP_WITHIN_S, PATIENCE_S = 120, 30, 90
CHAT = {"model": "winnow-demo", "messages": [{"role": "user", "content": "Compute 8 + 6."}], "max_tokens": 64}

Service = tuple[subprocess.Popen[bytes], str]


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """A running `winnow serve` and its address."""
    with running() as service:
        yield service


@contextmanager
def running() -> Iterator[Service]:
    port = free_port()
    process = subprocess.Popen([WINNOW, "serve", "--port", str(port)])
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(process, url)
        yield process, url
    finally:
        for child in [*psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []:
            child.kill()
        process.kill()
        process.wait()


def wait_until_ready(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError(f"not ready within {START_WITHIN_S} s; exit code {process.poll()}")


def test_solve_asks_a_service_and_prints_json(service: Service) -> None:
    command = [WINNOW, "solve", "Compute (17 + 28) * 3 - 45.", "--url", service[1], "--n", "4", "--json"]
    reply = json.loads(subprocess.check_output(command, timeout=60))
    assert len(reply["candidates"]) >= 1


def test_solve_draws_the_candidates_the_votes_and_the_bill(service: Service) -> None:
    command = [WINNOW, "solve", "Compute (17 + 28) * 3 - 45.", "--url", service[1], "--n", "4"]
    shown = subprocess.check_output(command, timeout=60, text=True)
    assert all(title in shown for title in ("candidates", "votes", "bill", "answer"))


def test_solve_says_why_it_was_refused(service: Service) -> None:
    command = [WINNOW, "solve", "1 + 1", "--url", service[1], "--n", "0"]
    result = subprocess.run(command, timeout=60, text=True, capture_output=True, check=False)
    assert (result.returncode, "allowed: 1 to 1,024" in result.stderr) == (1, True)


def test_a_dead_engine_is_started_again_and_requests_wait_for_it(service: Service) -> None:
    _, url = service
    kill(service, 0)
    ready = httpx.get(f"{url}/readyz")
    assert (ready.status_code, int(ready.headers["retry-after"]) > 0) == (503, True)
    assert httpx.get(f"{url}/healthz").status_code == 200
    assert httpx.post(f"{url}/solve", json={"problem": "1 + 1"}, timeout=PATIENCE_S).json()["status"] == "complete"
    assert httpx.get(f"{url}/readyz").status_code == 200


def kill(service: Service, number: int) -> None:
    """Kill an engine by its place in the order of their starts: the policy's is the first; started anew, the last."""
    engine = engines_of(psutil.Process(service[0].pid))[number]
    engine.kill()
    engine.wait(10)


def ask(url: str, **fields: Any) -> httpx.Response:
    return httpx.post(f"{url}/v1/chat/completions", json=CHAT | fields, timeout=PATIENCE_S)


def test_what_has_said_nothing_is_asked_again(service: Service) -> None:
    _, url = service
    kill(service, -1)
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


def test_a_service_that_is_killed_leaves_no_process_behind(service: Service) -> None:
    """Not the engines that took the place of dead ones, which are started in another way, nor what tries grammars."""
    process, url = service
    held = {"model": "winnow-demo", "prompt": "1", "structured_outputs": {"choice": ["yes", "no"]}}
    assert httpx.post(f"{url}/v1/completions", json=held, timeout=PATIENCE_S).status_code == 200
    assert httpx.post(f"{url}/solve", json={"problem": "1 + 1"}, timeout=PATIENCE_S).status_code == 200
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) > 3
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(family, timeout=STOP_WITHIN_S)
    assert alive == []


def test_a_stop_ends_every_process() -> None:
    with running() as (process, _):
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_WITHIN_S) == 0
        _, alive = psutil.wait_procs(family, timeout=STOP_WITHIN_S)
        assert alive == []
