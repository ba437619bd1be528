"""`winnow grade`: files in, accuracy out."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from server.cli.main import app
from tests.search.answers.shared_data import read_rows

SHARED = Path(__file__).parents[4] / "shared" / "data"


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(f"{record if isinstance(record, str) else json.dumps(record)}\n" for record in records))
    return path


def run(gold: Path, pred: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["grade", "--gold", str(gold), "--pred", str(pred), *options])


def grades(folder: Path, gold: list[object], pred: list[object], *options: str) -> list[dict[str, Any]]:
    """Grade records and return the grades."""
    result = run(write(folder / "gold.jsonl", *gold), write(folder / "pred.jsonl", *pred), "--json", *options)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def verdicts(*args: Any) -> list[str]:
    return [grade["verdict"] for grade in grades(*args)]


def answers(*texts: Any) -> list[object]:
    return [{"answer": text} for text in texts]


def test_answers_are_graded_by_mathematics_line_by_line(tmp_path: Path) -> None:
    gold, pred = answers("1/2", "7", "7", "7"), answers(r"\frac12", r"\boxed{8}", None, "so #### 7")
    assert verdicts(tmp_path, gold, pred) == ["right", "wrong", "no answer", "right"]


def test_records_with_ids_are_matched_by_them(tmp_path: Path) -> None:
    gold = [{"id": 1, "answer": "7"}, {"id": "b", "answer": "8"}, {"id": "c", "answer": "9"}]
    found = grades(tmp_path, gold, [{"id": "b", "answer": "8"}, {"id": "1", "answer": "6"}])
    assert [(grade["id"], grade["verdict"]) for grade in found] == [("1", "wrong"), ("b", "right"), ("c", "missing")]


def test_a_response_counts_by_what_it_states_alone(tmp_path: Path) -> None:
    pred: list[object] = [{"response": r"It is $\boxed{7}$."}, {"response": "7"}]
    assert verdicts(tmp_path, answers("7", "7"), pred) == ["right", "no answer"]


def test_numbers_keep_their_digits(tmp_path: Path) -> None:
    gold, pred = answers("0.12345678901234567890", "100000000000000000001"), ['{"answer": 0.12345678901234567890}']
    assert verdicts(tmp_path, gold, [*pred, '{"answer": 100000000000000000000}']) == ["right", "wrong"]


def test_a_field_may_be_named_and_lie_within_others(tmp_path: Path) -> None:
    gold: list[object] = [{"truth": "7", "answer": "6"}]
    pred: list[object] = [{"samples": [{"answer": "8"}, {"text": "so the answer is 7."}]}]
    assert verdicts(tmp_path, gold, pred, "--gold-field", "truth", "--pred-field", "samples.1.text") == ["right"]


def test_a_bad_line_is_named_and_is_not_the_end(tmp_path: Path) -> None:
    gold = write(tmp_path / "gold", *answers("7", "7"), "{", {"answer": ""}, *answers("7", "7", "7"))
    pred = write(tmp_path / "pred", "[1]", {"reply": "7"}, *answers("7", "7", ["7"], "7"), "\ufeff{}")
    result = run(gold, pred, "--out", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert [line.split(":")[0].split(", ")[-1] for line in result.stderr.splitlines() if ", line" in line] == [
        "line 3", "line 4", "line 1", "line 2", "line 5", "line 7"
    ]  # fmt: skip
    found = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert [(grade["line"], grade["verdict"]) for grade in found] == [
        (1, "unreadable"), (2, "unreadable"), (5, "unreadable"), (6, "right"), (7, "unreadable")
    ]  # fmt: skip


def test_ids_that_repeat_or_that_no_gold_answer_has_are_named(tmp_path: Path) -> None:
    gold = write(tmp_path / "gold", {"id": "a", "answer": "7"}, {"id": "a", "answer": "8"})
    pred = write(tmp_path / "pred", {"id": "z", "answer": "7"}, {"id": "a", "answer": "7"})
    result = run(gold, pred)
    assert "gold, line 2: id 'a' stands in line 1 already" in result.stderr
    assert "pred, line 1: no gold answer has the id 'z'" in result.stderr


def test_many_bad_lines_are_counted(tmp_path: Path) -> None:
    gold = write(tmp_path / "gold", *answers(*"7" * 26))
    result = run(gold, write(tmp_path / "pred", *answers("7"), *["{"] * 25))
    assert result.stderr.count("not JSON") == 20
    assert "and 5 more bad lines" in result.stderr


def test_the_table_says_the_accuracy(tmp_path: Path) -> None:
    gold, pred = write(tmp_path / "gold", *answers(*"7777")), write(tmp_path / "pred", *answers(*"7778"))
    shown = run(gold, pred).stdout
    assert "75.0 (" in shown
    assert all(verdict in shown for verdict in ("right", "wrong", "no answer", "missing", "unreadable"))


@pytest.mark.parametrize(
    ("gold", "pred", "message"),
    [
        (answers("7", "8"), answers("7"), "2 gold lines and 1 predictions"),
        (answers("7"), [{"reply": "7"}], "no field answer or response or pred; it has reply"),
        ([{"id": 1}], answers("7"), "no field answer or gold; it has id"),
        (answers(""), answers("7"), "no line states an answer"),
        ([], answers("7"), "no line can be used"),
    ],
)
def test_files_that_cannot_be_graded_are_one_sentence(
    tmp_path: Path, gold: list[object], pred: list[object], message: str
) -> None:
    result = run(write(tmp_path / "gold", *gold), write(tmp_path / "pred", *pred))
    assert result.exit_code == 2
    assert message in result.stderr.splitlines()[-1]


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    result = run(tmp_path / "nowhere", tmp_path / "nowhere")
    assert (result.exit_code, "nowhere: No such file" in result.stderr) == (2, True)


@pytest.mark.parametrize("name", ["math500", "gsm8k_test"])
def test_the_gold_answers_of_benchmarks_are_right_as_they_come(name: str) -> None:
    num_answers = len(read_rows(f"{name}.jsonl"))
    file = SHARED / f"{name}.jsonl"
    result = run(file, file, "--json")
    assert [json.loads(line)["verdict"] for line in result.stdout.splitlines()] == ["right"] * num_answers


def test_real_samples_keep_their_grades() -> None:
    rows = read_rows("gsm8k_model_samples.jsonl")
    file = SHARED / "gsm8k_model_samples.jsonl"
    result = run(file, file, "--pred-field", "samples.0.text", "--json")
    found = [json.loads(line)["verdict"] == "right" for line in result.stdout.splitlines()]
    assert found == [row["samples"][0]["is_correct"] for row in rows]
