"""Benchmarks are read as they come, and what is none is refused in one sentence that says where."""

import json
import sys
from pathlib import Path

import pytest

from models.files import UnreadableFileError
from search.evaluation.tasks import Fields, Task, read_tasks
from server.cli.demo_tasks import demo_tasks
from tests.search.answers.shared_data import read_rows

SHARED = Path(__file__).parents[4] / "shared" / "data"


def written(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.mark.parametrize(
    ("record", "task"),
    [
        ({"problem": "p", "answer": "7", "level": 3, "subject": "Algebra"}, Task("p", "7", 3)),
        (
            {"problem": "p", "level": "Level 5", "type": "Algebra", "solution": r"So $\boxed{\frac12}$."},
            (r"\frac12", 5),
        ),
        ({"problem": "p", "level": "Level ?", "answer": "7"}, Task("p", "7")),
        ({"question": "p", "answer": "2 + 2 = <<2+2=4>>4\n#### 4"}, Task("p", "4")),
        ({"ID": "2024-II-4", "Problem": "p", "Solution": r"\boxed{33}", "Answer": 33}, Task("p", "33")),
        ({"id": 60, "problem": "p", "solution": r"\boxed{204}", "answer": "204", "year": "2024"}, Task("p", "204")),
        ({"question": "p", "answer": "336^\\circ"}, Task("p", "336^\\circ")),
        ({"problem": "p", "answer": 0.50}, Task("p", "0.5")),
        ({"problem": "p", "answer": "7", "level": 3, "family": "chain"}, Task("p", "7", 3, family="chain")),
    ],
    ids=["MATH-500", "MATH", "MATH, unknown level", "GSM8K", "AIME 2024", "AIME", "AIME 2025", "a number", "our own"],
)
def test_the_usual_fields_are_known(tmp_path: Path, record: object, task: Task | tuple[str, int]) -> None:
    expected = task if isinstance(task, Task) else Task("p", *task)
    assert read_tasks(written(tmp_path / "p.jsonl", record)).tasks == (expected,)


@pytest.mark.parametrize(
    ("name", "field", "has_levels"), [("math500", "problem", True), ("gsm8k_test", "question", False)]
)
def test_benchmarks_are_read_whole(name: str, field: str, has_levels: bool) -> None:
    rows = read_rows(f"{name}.jsonl")
    tasks = read_tasks(SHARED / f"{name}.jsonl").tasks
    assert [(task.problem, task.answer) for task in tasks] == [(row[field].strip(), row["answer"]) for row in rows]
    assert [task.level for task in tasks] == [row["level"] if has_levels else None for row in rows]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no problem"),
        (b"\n \n", "holds no problem"),
        (b"problem,answer\n1 + 1,2\n", "line 1: not JSON"),
        (b'\n\n"2 + 2"\n', "line 3: not an object"),
        (
            b'{"text": "1 + 1", "answer": "2"}',
            "line 1: needs text as one of problem, question, .*; it has text, answer",
        ),
        (b'{"problem": "1 + 1", "note": "2"}', "line 1: needs an answer as one of expected_answer, .*; it has problem"),
        (b'{"problem": "1 + 1", "answer": null}', "needs an answer as one of"),
        (b'{"problem": "p", "choices": 5, "answer": "2"}', "its choices are not two texts or more"),
        (b'{"problem": "p", "choices": ["x", "y"], "answer": "AB"}', "its answer is none of its 2 choices"),
        (b'{"problem": "p", "choices": ["x", "y"], "answer": 2}', "its answer is none of its 2 choices"),
        (b'[{"problem": "p"', "not JSON"),
        (b'["p"]', "line 1: not an object"),
        (b'{"problem": "1 + 1", "solution": "two"}', "solution states no answer"),
        (b"PAR1\x15\x04\x15", "not a whole Parquet file"),
        (b"\xff\xfe{", "line 1: not JSON in UTF-8: byte 1 is not UTF-8"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "p").write_bytes(content)
    with pytest.raises(UnreadableFileError, match=message):
        read_tasks(tmp_path / "p")


STORY = {"Body": "Ann has 2 eggs.", "Question": "How many?"}
LETTERS = "Which?\n(A) one\n(B) two\n(C) three"
ONE_TO_THREE = ["one", "two", "three"]


@pytest.mark.parametrize(
    ("record", "task"),
    [
        (
            {"question": "Which?", "choices": ONE_TO_THREE, "answer": 1, "subject": "algebra"},
            Task(LETTERS, "B", None, ("two",)),
        ),
        ({"question": "Which?", "options": ["A)one", "B)two", "C)three"], "correct": "C"}, (LETTERS, "C", "three")),
        ({"question": "Which?", "options": ["(A)one", "(B)two", "(C)three"], "label": "A"}, (LETTERS, "A", "one")),
        ({"question": "Which?", "options": "A) one B) two C) three", "Answer": "A"}, (LETTERS, "A", "one")),
        ({"Problem": "Which?", "options": "a ) one , b ) two , c ) three", "correct": "b"}, (LETTERS, "B", "two")),
        (
            {"question": "Which?", "choices": {"text": ONE_TO_THREE, "label": ["1", "2", "3"]}, "answerKey": "3"},
            (LETTERS, "C", "three"),
        ),
        (
            {"question": "Which?", "options": {"A": "one", "B": "two", "C": "three"}, "label": "B", "answer": None},
            (LETTERS, "B", "two"),
        ),
        ({"question": "p", "A": "one", "answer": "7"}, Task("p", "7")),
        (
            {"question": "q", **dict(zip("ABCDEF", "uvwxyz", strict=True)), "answer": "F"},
            Task("q\n(A) u\n(B) v\n(C) w\n(D) x\n(E) y\n(F) z", "F", None, ("z",)),
        ),
        ({"question": "Which?", "A": "one", "B": "two", "C": "three", "answer": "C"}, (LETTERS, "C", "three")),
        ({"input": "Which?", "choices": ONE_TO_THREE, "target": "two"}, (LETTERS, "B", "two")),
        ({"question": "Which?", "choices": ONE_TO_THREE, "answer": "2"}, (LETTERS, "C", "three")),
        ({**STORY, "Answer": 145.0, "Type": "Sum"}, Task("Ann has 2 eggs.\nHow many?", "145.0")),
        ({"body": "Ann.", "question": "How many?", "answer": "9 (apples)"}, Task("Ann.\nHow many?", "9 (apples)")),
        ({"Body": "Ann.", "Question": "Ann. How many?", "Answer": "9"}, Task("Ann. How many?", "9")),
        ({"question": "p", "context": None, "final_answer": ["2,-3"], "solution": ["s"]}, Task("p", "2,-3")),
        ({"problem": "p", "expected_answer": "7", "generation": "g"}, Task("p", "7")),
        ({"input": "p", "target": 43.0}, Task("p", "43.0")),
        ({"question": "p", "answers": 1, "gold": ["7", "seven"]}, Task("p", "7", None, ("seven",))),
        ({"doc_id": 0, "doc": {"question": "p", "answer": "#### 7"}, "target": "s"}, Task("p", "7")),
        (
            {"prompt": [{"role": "user", "content": "p"}], "reward_model": {"ground_truth": "34"}},
            Task("p", "34"),
        ),
        ({"question": "p", "answer": None, "answer_number": 18}, Task("p", "18")),
        ({"question": "p", "label": None, "answer": "2", "options": None, "passage": None}, Task("p", "2")),
    ],
    ids=[
        "MMLU", "AQuA", "SAT of AGIEval", "SAT, one text", "MathQA", "ARC", "Gaokao", "one column", "six columns",
        "C-Eval", "inspect_ai", "index",
        "SVAMP", "ASDiv", "MAWPS", "OlympiadBench", "NeMo-Skills", "MAWPS of lm-eval", "several answers", "lm-eval",
        "verl", "MGSM", "AGIEval cloze",
    ],
)  # fmt: skip
def test_benchmarks_are_read_as_they_come(tmp_path: Path, record: object, task: Task | tuple[str, str, str]) -> None:
    expected = task if isinstance(task, Task) else Task(*task[:2], None, task[2:])
    assert read_tasks(written(tmp_path / "p.jsonl", record)).tasks == (expected,)


CONTENTS = {
    "array.json": '[{"problem": "1 + 1", "answer": 2}, {"problem": "2 + 2", "answer": 4}]',
    "pretty.json": json.dumps(
        {"data": [{"problem": "1 + 1", "answer": 2}, {"problem": "2 + 2", "answer": 4}]}, indent=1
    ),
    "table.csv": "problem,answer\r\n1 + 1,2\r\n\r\n2 + 2,4\r\n",
    "table.tsv": "problem\tanswer\n1 + 1\t2\n2 + 2\t4\n",
}


@pytest.mark.parametrize("name", CONTENTS)
def test_other_formats_hold_the_same(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(CONTENTS[name])
    assert read_tasks(tmp_path / name).tasks == (Task("1 + 1", "2"), Task("2 + 2", "4"))


def test_a_single_object_over_several_lines_is_one_problem(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(json.dumps({"problem": "1 + 1", "answer": 2}, indent=1))
    assert read_tasks(tmp_path / "p.json").tasks == (Task("1 + 1", "2"),)


def test_tables_of_mmlu_need_no_header(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("Which?,one,two,three,four,B\n")
    (task,) = read_tasks(tmp_path / "p.csv").tasks
    assert (task.problem, task.answer) == (f"{LETTERS}\n(D) four", "B")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"a,b\n1,2,3\n", "line 2: 3 cells; the header has 2"), (b"\xff", "not UTF-8"), (b"", "no problem")],
)
def test_a_broken_table_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "p.csv").write_bytes(content)
    with pytest.raises(UnreadableFileError, match=message):
        read_tasks(tmp_path / "p.csv")


def test_parquet_is_read_with_its_numbers_and_lists(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [{"question": "Which?", "choices": ONE_TO_THREE, "answer": 1}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "p.parquet")
    assert read_tasks(tmp_path / "p.parquet").tasks == (Task(LETTERS, "B", None, ("two",)),)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "p").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UnreadableFileError, match=r"install pyarrow \(winnow\[parquet\]\)"):
        read_tasks(tmp_path / "p")


def test_fields_may_be_named(tmp_path: Path) -> None:
    record = {
        "Story": "Ann.",
        "ask": {"text": "How many?"},
        "gold": [{"value": "so it is \\boxed{7}"}],
        "alt": ["7", "8"],
        "best": "B",
    }
    fields = Fields(("Story", "ask.text"), "gold.0.value")
    found = read_tasks(written(tmp_path / "p.jsonl", record), fields)
    assert found.tasks == (Task("Ann.\nHow many?", "7"),)
    assert found.template == "{Story} + {ask.text}"
    with_choices = read_tasks(tmp_path / "p.jsonl", Fields(("ask.text",), "best", "alt"))
    assert with_choices.tasks == (Task("How many?\n(A) 7\n(B) 8", "B", None, ("8",)),)
    assert with_choices.template == "{ask.text} + ({alt} as (A), (B), ...)"


def test_bad_rows_are_named_counted_and_left_out(tmp_path: Path) -> None:
    good, other = {"problem": "1 + 1", "answer": "2"}, {"problem": "1 + 1", "answer": "3"}
    found = read_tasks(written(tmp_path / "p.jsonl", good, good, other, *[{}] * 30))
    assert (len(found.tasks), found.num_rows, found.num_repeated, len(found.faults)) == (1, 33, 1, 31)
    assert "line 3: the problem of an earlier line with another answer" in found.faults[0]
    assert [*found.named_faults()][-1] == "and 11 more"
    assert found.description == "33 rows, 1 problems, 1 repeated, 31 left out; a problem is {problem}"


def test_demo_problems_are_a_file_of_problems_too(tmp_path: Path) -> None:
    tasks = demo_tasks(0, 5)
    records = [{"problem": task.problem, "answer": task.answer, "level": task.level} for task in tasks]
    assert read_tasks(written(tmp_path / "p.jsonl", *records)).tasks == tuple(tasks)
