"""The calibration table: what it says, whom it holds for, and what of it is refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from models.files import UnreadableFileError, UnwritableFileError
from search.beam_search import BeamSearch
from search.best_of_n import BestOfN
from search.calibration.table import Calibrated, Calibration, read_calibration, write_calibration
from search.dvts import DVTS
from search.stopping import Probable
from server.identity import identity_of, load_calibration
from server.settings import DEMO, Settings, SettingsError
from tests.models.test_files import room_for

KNOTS = [[0.0, 0.1], [1.0, 0.9]]
SPENT: dict[str, Any] = {"problems": 60, "accuracy": 0.9}


def row(n: int, probe_n: int, **fields: Any) -> dict[str, Any]:
    rests: list[dict[str, Any] | None] = [None, {"strategy": "beam_search", "beam_width": 4}]
    bins = [{**SPENT, "floor": floor, "rest": rest} for floor, rest in zip([0.8, 0.0], rests, strict=True)]
    return {
        "n": n,
        "probe": {"strategy": "dvts", "beam_width": 4},
        "probe_n": probe_n,
        "bins": bins,
        "confidence": KNOTS,
        "final_confidence": KNOTS,
        "accuracy": 0.8,
        "tokens": [n * 100.0, n * 150.0],
        "seconds": [n / 10, n / 5],
    } | fields


def table(**fields: Any) -> dict[str, Any]:
    identity = identity_of(Settings()).model_dump()
    rows = [row(4, 4), row(16, 8)]
    return {
        "identity": identity,
        "temperature": 0.8,
        "made": {},
        "budgets": rows,
        "confidence": {"majority": {4: KNOTS, 64: [[0.0, 0.5]]}},
    } | fields


def written(path: Path, values: Any) -> Path:
    path.write_text(yaml.safe_dump(values))
    return path


def test_a_table_says_the_same_after_it_was_written(tmp_path: Path) -> None:
    read = Calibration.model_validate(table())
    write_calibration(read, tmp_path / "t.yaml")
    assert read_calibration(tmp_path / "t.yaml") == read


def test_a_row_makes_the_search_it_describes() -> None:
    strategy = Calibration.model_validate(table()).budgets[1].build(18)
    assert strategy.probe == DVTS(8, 4, early_stop=False)
    assert [bin.rest for bin in strategy.bins] == [None, BeamSearch(8, 4)]  # of the ten left, whole beams


def test_a_probable_stop_is_shared_by_the_probe_and_what_follows_where_these_can() -> None:
    bins = [
        {"floor": 0.5, "rest": {"strategy": "weighted_best_of_n"}} | SPENT,
        {"floor": 0.0, "rest": {"strategy": "beam_search", "beam_width": 4}} | SPENT,
    ]
    (budget,) = Calibration.model_validate(table(budgets=[row(16, 8, bins=bins)])).budgets
    strategy = budget.build(16, early_stop=Probable(0.9))
    assert strategy.probe == DVTS(8, 4, early_stop=Probable(0.95))
    assert [bin.rest for bin in strategy.bins] == [BestOfN(8, early_stop=Probable(0.95)), BeamSearch(8, 4)]


def test_a_probe_that_is_the_whole_search_has_all_of_the_risk() -> None:
    bins = [{"floor": 0.0, "rest": None} | SPENT]
    (budget,) = Calibration.model_validate(table(budgets=[row(16, 16, bins=bins)])).budgets
    assert budget.build(16, early_stop=Probable(0.9)).probe == DVTS(16, 4, early_stop=Probable(0.9))


def test_a_probe_that_cannot_stop_so_runs_to_its_end() -> None:
    probe = {"probe": {"strategy": "beam_search", "beam_width": 4}}
    (budget,) = Calibration.model_validate(table(budgets=[row(16, 8) | probe])).budgets
    assert budget.build(16, early_stop=Probable(0.9)).probe == BeamSearch(8, 4, early_stop=False)


def test_what_is_left_may_be_too_little_for_a_beam() -> None:
    strategy = Calibration.model_validate(table()).budgets[0].build(6)
    assert [bin.rest for bin in strategy.bins] == [None, None]


def test_a_flat_rest_spends_all_that_is_left() -> None:
    bins = [{"floor": 0.0, "rest": {"strategy": "weighted_best_of_n"}} | SPENT]
    (budget,) = Calibration.model_validate(table(budgets=[row(16, 8, bins=bins)])).budgets
    assert budget.build(19, early_stop=False).bins[0].rest == BestOfN(11, early_stop=False)


@pytest.mark.parametrize(
    ("n", "tokens", "seconds", "expected"),
    [(3, None, None, None), (4, None, None, 4), (64, None, None, 16), (64, 2000, None, 4), (64, None, 1.0, 4)],
)
def test_the_largest_row_within_the_limits_is_taken(
    n: int, tokens: float | None, seconds: float | None, expected: int | None
) -> None:
    found = Calibration.model_validate(table()).budget(n, tokens, seconds)
    assert (found and found.n) == expected


@pytest.mark.parametrize(("n", "num_knots"), [(2, 2), (4, 2), (8, 2), (32, 1), (128, 1)])
def test_the_nearest_measured_budget_tells_the_confidence(n: int, num_knots: int) -> None:
    confidence = Calibration.model_validate(table()).confidence_of("majority", n)
    assert confidence is not None
    assert len(confidence.supports) == num_knots


@pytest.mark.parametrize("n", [1, 16, 256])
def test_a_budget_that_is_not_near_a_measured_one_has_no_confidence(n: int) -> None:
    assert Calibration.model_validate(table()).confidence_of("majority", n) is None


def test_a_strategy_that_was_not_measured_has_no_confidence() -> None:
    assert Calibration.model_validate(table()).confidence_of("dvts", 4) is None


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"version": 2}, "version"),
        ({"budgets": []}, "budgets"),
        ({"budgets": [row(16, 8, confidence=[[0.0, 1.5]])]}, "budgets.0.confidence.0.1"),
        ({"budgets": [row(4, 8)]}, "budgets.0: Value error, n: a budget of 4 is too small"),
        ({"budgets": [row(16, 8, bins=[{"floor": 0.5, "rest": None} | SPENT])]}, "floors of bins fall to 0"),
        ({"budgets": [row(16, 2)]}, "probe_n: 2 is too small for one beam"),
        ({"extra": 1}, "extra"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"budgets": [row(16, 8, seconds=[float("nan"), 1.0])]}, "budgets.0.seconds.0"),
        ({"budgets": [row(16, 8, tokens=[1.0, -1.0])]}, "budgets.0.tokens.1"),
        ({"budgets": [row(16, 8), row(4, 4)]}, "budgets must rise"),
        ({"confidence": {"majority": {0: KNOTS}}}, "confidence.majority.0"),
        ({"confidence": {"majority": {4: []}}}, "knots of confidence must rise"),
        ({"budgets": [row(16, 8, final_confidence=[[1.0, 0.5], [0.0, 0.5]])]}, "knots of confidence must rise"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_table_that_makes_no_search_is_refused_by_field(tmp_path: Path, fields: dict[str, Any], place: str) -> None:
    with pytest.raises(UnreadableFileError, match=r"t\.yaml") as refused:
        read_calibration(written(tmp_path / "t.yaml", table(**fields)))
    assert place in str(refused.value)


@pytest.mark.parametrize("content", [b"a: [", b"a: \x07", b"[" * 100_000])
def test_what_is_no_yaml_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.yaml").write_bytes(content)
    with pytest.raises(UnreadableFileError, match="is not YAML"):
        read_calibration(tmp_path / "t.yaml")


def test_what_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_bytes("made: {by: Löwe}".encode("latin-1"))
    with pytest.raises(UnreadableFileError, match="not UTF-8"):
        read_calibration(tmp_path / "t.yaml")


def test_a_table_that_does_not_fit_on_the_disk_leaves_the_old_one(tmp_path: Path) -> None:
    path = written(tmp_path / "t.yaml", table())
    before = path.read_text()
    with room_for(100), pytest.raises(UnwritableFileError):
        write_calibration(Calibration.model_validate(table()), path)
    assert path.read_text() == before


def test_a_file_that_is_not_there_is_refused_where_it_was_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="No such file"):
        load_calibration(Settings(calibration=tmp_path / "t.yaml"))


def test_a_table_for_another_pair_is_refused_where_it_was_named(tmp_path: Path) -> None:
    path = written(tmp_path / "t.yaml", table())
    with pytest.raises(SettingsError, match="made with another system_prompt"):
        load_calibration(Settings(calibration=path, system_prompt="Think."))
    assert load_calibration(Settings(calibration=path)).table is not None


def test_the_bundled_table_is_for_the_bundled_pair_and_its_prompt() -> None:
    assert load_calibration(Settings()).table is not None
    swapped = load_calibration(Settings(verifier_format="torch"))
    assert swapped == Calibrated(None, swapped.reason)
    assert "another verifier_format" in swapped.reason


def test_a_policy_without_a_table_beside_it_has_none(tmp_path: Path) -> None:
    policy = tmp_path / "policy"
    policy.mkdir()
    settings = Settings(policy_model=str(policy), verifier_format="winnow")
    assert "no calibration table" in load_calibration(settings).reason


def test_a_policy_without_a_verifier_has_no_table() -> None:
    assert load_calibration(Settings(verifier_format="none")).reason == "this service has no verifier"
    with pytest.raises(SettingsError, match="calibration: a table is for a policy and its verifier"):
        load_calibration(Settings(verifier_format="none", calibration=DEMO / "calibration.yaml"))


def test_a_checker_is_known_by_its_name() -> None:
    assert identity_of(Settings(verifier_format="checker", verifier_model="arithmetic")).verifier == "arithmetic"
