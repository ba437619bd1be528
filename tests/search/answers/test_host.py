import io
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue

import pytest

from search.answers import host
from search.answers.workers import Job
from tests.search.answers.processes import descendants, newest

SLOW = r"\sum_{a=1}^{15} \sum_{b=1}^{15} \sum_{c=1}^{15} " + "".join(rf"\sqrt[{k}]{{abc+{k}}}" for k in range(2, 22))
"""As many terms as are read, each of which takes its time."""


class Client(io.StringIO):
    """Both streams of a host: hands out requests, each when the one before is replied."""

    def __init__(self, *requests: object) -> None:
        super().__init__()
        self._requests = iter([*requests, None])
        self._replied: Queue[None] = Queue()
        self._replied.put(None)

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]  # typeshed derives text from bytes
        self._replied.get(timeout=10)
        return json.dumps(next(self._requests))

    def flush(self) -> None:
        self._replied.put(None)


class Assassin(Client):
    """Ends the worker between the first reply and the second request."""

    def __init__(self, *requests: object) -> None:
        super().__init__(*requests)
        self.ended_by: int | None = None
        self._before = descendants()

    def flush(self) -> None:
        if self.getvalue().count("\n") == 1:
            newest(self._before).kill()
        super().flush()


def serve(client: Client, timeout_s: float = 5.0, job: Job = Job.CANONICALISE) -> list[object]:
    host.serve(client, client, job, num_workers=1, timeout_s=timeout_s, memory_bytes=1 << 29)
    return [json.loads(line) for line in client.getvalue().splitlines()]


@pytest.fixture
def signal_handlers() -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_answers_are_replied_with_their_numbers_and_keys() -> None:
    client = Client([7, [r"\frac12"]], [8, ["5 kg"]])
    assert serve(client) == [[7, "done", ["1/2", None]], [8, "done", ["5", "1 kg^1"]]]


def test_a_slow_answer_is_replied_without_a_key() -> None:
    assert serve(Client([7, [SLOW]]), timeout_s=0.1) == [[7, "timeout", None]]


def test_checks_are_replied_with_their_verdicts() -> None:
    client = Client([7, ["Solve 2x = 6.", "3"]], [8, ["Solve 2x = 6.", "4"]], [9, ["Solve 2x = 6.", "no solution"]])
    assert serve(client, job=Job.CHECK) == [[7, "done", True], [8, "done", False], [9, "done", None]]


def test_a_host_whose_worker_died_idle_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Assassin([1, ["1"]], [2, ["2"]])

    def end(thread: int, number: int) -> None:
        client.ended_by = number
        Client.flush(client)

    monkeypatch.setattr(signal, "pthread_kill", end)
    assert len(serve(client)) == 1
    assert client.ended_by == signal.SIGTERM


def test_the_process_ends_when_its_parent_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[int] = []
    monkeypatch.setattr(os, "getppid", iter([7, 7, 1]).__next__)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr(signal, "pthread_kill", lambda thread, number: ends.append(number))
    host.end_with(7)
    assert ends == [signal.SIGTERM]


class Watch:
    """Stands where the thread would that ends the process."""

    def __init__(self, target: Callable[[int], None], args: tuple[int], daemon: bool) -> None:
        assert (target, args, daemon) == (host.end_with, (os.getppid(),), True)

    def start(self) -> None:
        pass


def test_the_process_serves_its_streams(monkeypatch: pytest.MonkeyPatch, signal_handlers: None, tmp_path: Path) -> None:
    (tmp_path / "stdin").write_text("null\n")
    for stream, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        monkeypatch.setattr(sys, stream, (tmp_path / stream).open(mode))
    monkeypatch.setattr(host, "Thread", Watch)
    monkeypatch.setattr(sys, "argv", ["-c", "canonicalise", "1", "0.5", str(1 << 29)])
    host.main()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    with pytest.raises(SystemExit):
        signal.raise_signal(signal.SIGTERM)
