import resource
import signal
from collections.abc import Iterator

import pytest

from search.answers import worker
from search.answers.canonical import Form
from search.answers.worker import canonicalise, check, limit_worker


@pytest.fixture
def termination_handler() -> Iterator[None]:
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


def test_an_answer_has_an_allowance_of_cpu_time(monkeypatch: pytest.MonkeyPatch) -> None:
    allowances: list[float] = []

    def form(text: str) -> Form:
        allowances.append(signal.getitimer(signal.ITIMER_PROF)[0])
        return Form(text)

    monkeypatch.setattr(worker, "answer_form", form)
    canonicalise(30, "0.5")
    assert 29 < allowances[0] < 31
    assert signal.getitimer(signal.ITIMER_PROF)[0] == 0


def test_an_answer_within_its_allowance_has_its_key() -> None:
    assert canonicalise(30, "0.5") == ("1/2", None)
    assert canonicalise(30, "2 km") == ("2", "1000 m^1")


def test_a_check_within_its_allowance_has_its_verdict() -> None:
    assert [check(30, "Solve 2x = 6.", text) for text in ("3", "4")] == [True, False]
    assert signal.getitimer(signal.ITIMER_PROF)[0] == 0


def test_a_worker_is_limited_for_good(monkeypatch: pytest.MonkeyPatch, termination_handler: None) -> None:
    limits: dict[int, tuple[int, int]] = {}
    monkeypatch.setattr(resource, "setrlimit", limits.__setitem__)
    limit_worker(1 << 30)
    assert limits[resource.RLIMIT_AS] == (1 << 30, 1 << 30)
    assert limits[resource.RLIMIT_FSIZE] == limits[resource.RLIMIT_CORE] == (0, 0)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
