"""Whether there is a calibration table for the models, and what it says of itself."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.doctor.calibration import check_calibration
from server.doctor.finding import Finding, Verdict
from server.settings import DEMO, Settings


def examined(**settings: Any) -> Finding | None:
    return next(check_calibration(Settings(**settings)), None)


def changed(path: Path, **fields: Any) -> dict[str, Path]:
    """Settings with the demo's table, other than it is."""
    table = yaml.safe_load((DEMO / "calibration.yaml").read_text())
    path.write_text(yaml.safe_dump({name: value for name, value in (table | fields).items() if value is not None}))
    return {"calibration": path}


def test_the_demo_has_a_table_that_tells_which_problems_are_unlike_its_own() -> None:
    found = examined()
    assert found is not None
    assert (found.check, found.verdict) == ("calibration", Verdict.FINE)
    assert found.seen.startswith("for auto with N = 4, 16, 64; it tells which problems are unlike its own (2% false")


def test_a_table_without_familiarity_says_how_to_add_it(tmp_path: Path) -> None:
    found = examined(**changed(tmp_path / "t.yaml", familiarity=None))
    assert found is not None
    assert (found.verdict, found.remedy) == (Verdict.CAUTION, "winnow calibrate --only familiarity")


def test_models_without_a_table_are_not_calibrated(tmp_path: Path) -> None:
    policy = shutil.copytree(DEMO / "policy", tmp_path / "policy")
    for settings in ({"verifier_format": "torch"}, {"policy_model": str(policy), "verifier_model": str(DEMO / "prm")}):
        found = examined(**settings)
        assert found is not None
        assert (found.verdict, found.remedy) == (Verdict.CAUTION, "winnow calibrate")


@pytest.mark.parametrize("fields", [{"version": 9}, {"temperature": "hot"}, {"familiarity": {"seen": "x"}}])
def test_a_named_table_that_cannot_be_read_stops(tmp_path: Path, fields: dict[str, Any]) -> None:
    found = examined(**changed(tmp_path / "t.yaml", **fields))
    assert found is not None
    assert found.verdict is Verdict.STOPS
    assert next(iter(fields)) in found.seen


@pytest.mark.parametrize(
    "settings",
    [
        {"verifier_format": "none"},
        {"policy_model": "nobody/nothing", "verifier_model": str(DEMO / "prm")},
        {"verifier_model": "nowhere"},
    ],
)
def test_without_two_models_that_are_here_there_is_no_table_to_speak_of(settings: dict[str, Any]) -> None:
    assert examined(**settings) is None
