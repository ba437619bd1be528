"""`winnow export` on files of searches and of labels: what it writes, what it leaves out, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from models.labels.formats import FORMATS, read_labels
from models.labels.response import LabelledResponse
from models.rows import MAX_LINE_BYTES
from search.export.formats import EXPORTS
from server.cli.main import app
from server.cli.searches import bounded, read_searches
from tests.models.labels.test_formats import SAMPLES

STEP = {"text": "So", "score": 0.5, "thinking": False}


def candidate(place: int, answer: str | None, score: float) -> dict[str, Any]:
    steps = [
        STEP | {"text": f"Let me see.{place}\n\n", "score": 0.6 - place / 10},
        STEP | {"text": f"It is {answer}.", "score": score},
    ]
    response = "".join(str(step["text"]) for step in steps)
    told = {"thinking": None, "verified": None, "finish": "complete", "tokens": 9}
    return told | {"id": str(place), "response": response, "answer": answer, "score": score, "steps": steps}


def record(problem: str, **change: Any) -> dict[str, Any]:
    candidates = [candidate(0, "1/2", 0.9), candidate(1, "0.5", 0.7), candidate(2, "3", 0.1)]
    strategy = {"name": "weighted_best_of_n", "n": 3, "seed": 1, "temperature": 0.8, "aggregation": "last"}
    chosen = {name: candidates[0][name] for name in ("answer", "response", "score")}
    made = {"policy": "p", "verifier": "v", "system_prompt": "Be brief.", "version": "1", "commit": None}
    told = {"request": {"problem": problem}, "strategy": strategy, "candidates": candidates, "made": made}
    return told | chosen | change


@pytest.fixture
def searches(tmp_path: Path) -> Path:
    return write(tmp_path / "searches.jsonl", record("half of 1"), record("a half", gold=["0.5"], level=3))


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def export(*arguments: object) -> Result:
    result = CliRunner().invoke(app, ["export", *map(str, arguments)])
    assert "Traceback" not in result.output
    return result


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("name", EXPORTS)
def test_every_format_is_written_from_searches(searches: Path, tmp_path: Path, name: str) -> None:
    result = export(searches, "--format", name, "--out", tmp_path / "rows.jsonl")
    assert result.exit_code == 0, result.output
    found = rows(tmp_path / "rows.jsonl")
    assert f"{len(found)} rows: " in result.output
    assert {row["winnow"]["source"] for row in found} == {"searches.jsonl"}
    assert {row["winnow"]["system_prompt"] for row in found} == {"Be brief."}


@pytest.mark.parametrize("name", FORMATS)
def test_step_labels_of_any_format_become_those_of_another(tmp_path: Path, name: str) -> None:
    file = write(tmp_path / "labels.jsonl", SAMPLES[name])
    for other in FORMATS:
        result = export(file, "--format", other, "--out", tmp_path / f"{other}.jsonl")
        assert result.exit_code == 0, result.output
        found = [each for _, each in read_labels(tmp_path / f"{other}.jsonl")]
        assert all(isinstance(each, LabelledResponse) for each in found)
        assert found


def test_known_answers_decide_what_is_right(searches: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    result = export(searches, "--format", "trl-stepwise", "--correct-only", "--out", out)
    assert [row["winnow"]["is_correct"] for row in rows(out)] == [True, True]
    assert "left out: 3: the right answer is not known" in result.output
    golds = write(tmp_path / "golds.jsonl", {"problem": "half of 1", "answer": "3"})
    export(searches, "--format", "trl-stepwise", "--correct-only", "--problems", golds, "--out", out)
    assert [row["winnow"]["answer"] for row in rows(out)] == ["3", "0.5", "0.5"]


def test_repeats_and_what_is_over_the_limit_are_counted(searches: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    result = export(searches, searches, "--format", "preference", "--dedup", "--limit", 1, "--text", "--out", out)
    assert [(row["chosen"], row["rejected"]) for row in rows(out)] == [
        ("Let me see.0\n\nIt is 1/2.", "Let me see.2\n\nIt is 3."),
    ]
    assert rows(out)[0]["prompt"] == "Be brief.\n\nhalf of 1\n\n"
    assert "left out: 1: it repeats an earlier row" in result.output
    assert "left out: 2: --limit was reached" in result.output


def test_parquet_holds_the_same_rows(searches: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    for file in ("rows.jsonl", "rows.parquet"):
        assert export(searches, "--format", "preference", "--out", tmp_path / file).exit_code == 0
    assert parquet.read_table(tmp_path / "rows.parquet").to_pylist() == rows(tmp_path / "rows.jsonl")
    assert {path.name for path in tmp_path.iterdir()} == {"rows.jsonl", "rows.parquet", "searches.jsonl"}


def test_parquet_without_pyarrow_says_what_to_install(
    searches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = export(searches, "--format", "preference", "--out", tmp_path / "rows.parquet")
    assert result.exit_code == 2
    assert "install pyarrow (winnow[parquet])" in " ".join(result.output.split())


REFUSED = [
    (["--format", "trl-stepwise", "--margin", "0.1"], "--margin: not supported by trl-stepwise"),
    (["--format", "prompt-completion", "--threshold", "0.1"], "not supported by prompt-completion; allowed:"),
    (["--format", "preference", "--threshold", "0.1"], "not supported by preference"),
    (["--format", "winnow", "--threshold", "0.1"], "not supported by winnow"),
    (["--format", "prm800k", "--text"], "not supported by prm800k; allowed: --min-score, --max-score, --threshold"),
    (["--format", "csv"], "'csv' is not one of"),
    (["--format", "preference", "--min-score", "1.5"], "1.5 is not in the range 0<=x<=1"),
    (["--format", "preference", "--limit", "0"], "0 is not in the range x>=1"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_what_a_format_does_not_read_is_refused(
    searches: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    result = export(searches, *options, "--out", tmp_path / "rows.jsonl")
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())
    assert not (tmp_path / "rows.jsonl").exists()


def test_an_input_is_not_overwritten(searches: Path) -> None:
    result = export(searches, "--format", "preference", "--out", searches)
    assert result.exit_code == 2
    assert "is the same file as the input" in " ".join(result.output.split())


def test_bad_lines_are_named_and_the_rest_is_written(searches: Path, tmp_path: Path) -> None:
    bad = [{"line": 9, "error": "too long"}, record("x", candidates=None, tree=None, response=3)] * 4
    write(tmp_path / "more.jsonl", *rows(searches), *bad)
    result = export(tmp_path / "more.jsonl", "--format", "prompt-completion", "--out", tmp_path / "rows.jsonl")
    assert result.exit_code == 1
    assert "more.jsonl, line 3: it has no reply: too long" in result.output
    assert "line 4: response: Input should be a valid string" in result.output
    assert "left out: 3 lines more" in result.output
    assert len(rows(tmp_path / "rows.jsonl")) == 2


def test_a_file_of_nothing_that_can_be_used_is_refused(tmp_path: Path) -> None:
    outcomes = write(tmp_path / "outcomes.jsonl", {"made": {}, "told": {}}, {"problem": "?"})
    result = export(outcomes, "--format", "preference", "--out", tmp_path / "rows.jsonl")
    assert result.exit_code == 2
    assert "keep the searches, too: winnow eval --searches FILE" in " ".join(result.output.split())


def test_a_search_that_was_asked_again_counts_once(tmp_path: Path) -> None:
    file = write(tmp_path / "searches.jsonl", record("x"), record("x", score=0.2), record("y"))
    assert [number for number, _ in read_searches(file)] == [2, 3]


def test_a_search_that_is_too_long_to_be_read_again_loses_its_tree() -> None:
    huge = [{"text": "x" * (MAX_LINE_BYTES // 2)}]
    assert bounded({"tree": huge, "candidates": huge}) == {
        "tree": None, "candidates": huge, "left_out": ["tree"],
    }  # fmt: skip
    assert bounded({"tree": None, "candidates": huge * 2}) == {
        "tree": None, "candidates": None, "left_out": ["candidates"],
    }  # fmt: skip
    assert bounded({"tree": huge}) == {"tree": huge}
