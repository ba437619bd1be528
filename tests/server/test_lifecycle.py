"""The service as a process: it starts, answers, stops, and leaves nothing behind."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psutil
import pytest

from tests.server.processes import WINNOW, engines_of, free_port

pytestmark = pytest.mark.engine

START_WITHIN_S, STOP_WITHIN_S = 120, 30


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A running `winnow serve` and its address."""
    with running() as service:
        yield service


@contextmanager
def running() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
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


def test_solve_asks_a_service_and_prints_json(service: tuple[subprocess.Popen[bytes], str]) -> None:
    command = [WINNOW, "solve", "Compute (17 + 28) * 3 - 45.", "--url", service[1], "--n", "4", "--json"]
    reply = json.loads(subprocess.check_output(command, timeout=60))
    assert len(reply["candidates"]) >= 1


def test_solve_draws_the_candidates_the_votes_and_the_bill(service: tuple[subprocess.Popen[bytes], str]) -> None:
    command = [WINNOW, "solve", "Compute (17 + 28) * 3 - 45.", "--url", service[1], "--n", "4"]
    shown = subprocess.check_output(command, timeout=60, text=True)
    assert all(title in shown for title in ("candidates", "votes", "bill", "answer"))


def test_solve_says_why_it_was_refused(service: tuple[subprocess.Popen[bytes], str]) -> None:
    command = [WINNOW, "solve", "1 + 1", "--url", service[1], "--n", "0"]
    result = subprocess.run(command, timeout=60, text=True, capture_output=True, check=False)
    assert (result.returncode, "allowed: 1 to 1,024" in result.stderr) == (1, True)


def test_a_dead_engine_is_started_again_and_requests_wait_for_it(service: tuple[subprocess.Popen[bytes], str]) -> None:
    process, url = service
    engine = engines_of(psutil.Process(process.pid))[0]
    engine.kill()
    engine.wait(10)
    ready = httpx.get(f"{url}/readyz")
    assert (ready.status_code, int(ready.headers["retry-after"]) > 0) == (503, True)
    assert httpx.get(f"{url}/healthz").status_code == 200
    assert httpx.post(f"{url}/solve", json={"problem": "1 + 1"}, timeout=90).json()["status"] == "complete"
    assert httpx.get(f"{url}/readyz").status_code == 200


def test_a_stop_ends_every_process(service: tuple[subprocess.Popen[bytes], str]) -> None:
    process, _ = service
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    assert process.wait(STOP_WITHIN_S) == 0
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []


def test_a_service_that_is_killed_leaves_no_process_behind() -> None:
    with running() as (process, url):
        service = psutil.Process(process.pid)
        first, _ = engines_of(service)
        first.kill()  # the one that takes its place is started in another way
        assert httpx.post(f"{url}/solve", json={"problem": "1 + 1"}, timeout=90).status_code == 200
        held = {"model": "winnow-demo", "prompt": "1", "structured_outputs": {"choice": ["yes", "no"]}}
        assert httpx.post(f"{url}/v1/completions", json=held, timeout=90).status_code == 200  # a grammar is tried
        family = service.children(recursive=True)
        process.kill()
        _, alive = psutil.wait_procs(family, timeout=10)
        assert alive == []
