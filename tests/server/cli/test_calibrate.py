"""`winnow calibrate --only familiarity`: what it adds to a table, and what it refuses. No engine starts."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from server.cli import calibrate
from server.cli.main import app
from server.settings import DEMO

TABLE = DEMO / "calibration.yaml"


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    """A file of 81 problems."""
    path = tmp_path / "sums.jsonl"
    rows = ({"problem": f"Compute {a} + {b}.", "answer": str(a + b)} for a in range(1, 10) for b in range(1, 10))
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The demo's table without familiarity."""
    table = yaml.safe_load(TABLE.read_text())
    del table["familiarity"]
    path = tmp_path / "table.yaml"
    path.write_text(yaml.safe_dump(table, sort_keys=False, default_flow_style=None, width=110))
    return path


def only(*options: str | Path) -> Result:
    return CliRunner().invoke(app, ["calibrate", "--only", "familiarity", *map(str, options)])


def read(path: Path) -> dict[str, Any]:
    table: dict[str, Any] = yaml.safe_load(path.read_text())
    return table


def test_it_is_added_and_nothing_else_changes(copied: Path, sums: Path) -> None:
    before = read(copied)
    result = only("--problems", sums, "--out", copied)
    assert result.exit_code == 0, result.output
    added = (after := read(copied)).pop("familiarity")
    assert after == before
    assert (added["problems"], added["false_alarms"], added["made_for"]) == (81, 0.02, None)
    assert added["made"].keys() == {"date", "commit"}


def test_the_recipe_says_what_the_policy_was_made_for(copied: Path, sums: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("made_for: sums of two digits\n")
    assert only("--problems", sums, "--out", copied, "--recipe", recipe, "--false-alarms", "0.1").exit_code == 0
    added = read(copied)["familiarity"]
    assert (added["made_for"], added["false_alarms"]) == ("sums of two digits", 0.1)


def test_without_a_file_the_problems_are_the_demos(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrate, "LOOKED_AT", 100)
    assert only("--out", copied).exit_code == 0
    assert read(copied)["familiarity"]["problems"] == 100


def test_the_demos_table_was_made_with_the_words_of_its_recipe() -> None:
    recipe = yaml.safe_load((DEMO.parents[1] / "deploy" / "recipes" / "demo.yaml").read_text())
    assert read(TABLE)["familiarity"]["made_for"] == recipe["made_for"].strip()
    assert read(TABLE)["familiarity"]["problems"] == calibrate.LOOKED_AT


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--n", "4"], "--n does not go with --only familiarity"),
        (["--held-out", "300"], "--held-out does not go with"),
        (["--evidence", "e.jsonl"], "--evidence does not go with"),
        (["--false-alarms", "0"], "--false-alarms"),
        (["--out", "nowhere.yaml"], "nowhere.yaml cannot be read: No such file"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_is_not_measured_and_what_is_not_there_is_refused(
    sums: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = only("--problems", sums, *options)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())


def test_too_few_problems_are_refused_with_their_number(copied: Path, sums: Path) -> None:
    before = copied.read_text()
    sums.write_text("\n".join(sums.read_text().splitlines()[:48]))
    result = only("--problems", sums, "--out", copied)
    assert result.exit_code == 2
    assert "48 problems are too few for a share of 0.02: at least 49" in " ".join(result.output.split())
    assert copied.read_text() == before


def test_a_table_of_other_models_is_left_as_it_is(copied: Path, sums: Path, tmp_path: Path) -> None:
    recipe, before = tmp_path / "recipe.yaml", copied.read_text()
    recipe.write_text("system_prompt: Think.\n")
    result = only("--problems", sums, "--out", copied, "--recipe", recipe)
    assert result.exit_code == 2
    assert "made with another system_prompt" in " ".join(result.output.split())
    assert copied.read_text() == before


def test_a_policy_alone_has_no_table(tmp_path: Path) -> None:
    policy = shutil.copytree(DEMO / "policy", tmp_path / "policy")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"policy_model: {policy}\n")
    result = only("--recipe", recipe)
    assert result.exit_code == 2
    assert "a table is for a policy and its verifier" in " ".join(result.output.split())
