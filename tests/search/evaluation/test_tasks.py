"""Benchmarks are read as they come, and what is none is refused in one sentence that says where."""

import json
from pathlib import Path

import pytest

from models.files import UnreadableFileError
from search.evaluation.tasks import Task, read_tasks
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
        ({"problem": "p", "answer": "7", "level": 3, "family": "chain"}, Task("p", "7", 3, "chain")),
    ],
    ids=["MATH-500", "MATH", "MATH, unknown level", "GSM8K", "AIME 2024", "AIME", "AIME 2025", "a number", "our own"],
)
def test_the_usual_fields_are_known(tmp_path: Path, record: object, task: Task | tuple[str, int]) -> None:
    expected = task if isinstance(task, Task) else Task("p", *task)
    assert read_tasks(written(tmp_path / "p.jsonl", record)) == [expected]


@pytest.mark.parametrize(
    ("name", "field", "has_levels"), [("math500", "problem", True), ("gsm8k_test", "question", False)]
)
def test_benchmarks_are_read_whole(name: str, field: str, has_levels: bool) -> None:
    rows = read_rows(f"{name}.jsonl")
    tasks = read_tasks(SHARED / f"{name}.jsonl")
    assert [(task.problem, task.answer) for task in tasks] == [(row[field].strip(), row["answer"]) for row in rows]
    assert [task.level for task in tasks] == [row["level"] if has_levels else None for row in rows]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no problem"),
        (b"\n \n", "holds no problem"),
        (b"problem,answer\n1 + 1,2\n", "line 1: not JSON"),
        (b'{"problem": "1 + 1", "answer": "2"}\n\n["2 + 2", "4"]\n', "line 3: not an object"),
        (b'{"prompt": "1 + 1", "answer": "2"}', "line 1: needs text as problem or question; it has prompt, answer"),
        (b'{"problem": "1 + 1", "gold": "2"}', "line 1: needs text as answer or solution"),
        (b'{"problem": "1 + 1", "answer": null}', "needs text as answer or solution"),
        (b'{"problem": "1 + 1", "solution": "two"}', "solution states no answer"),
        (b'{"problem": "p", "answer": "2"}\n{"problem": "p", "answer": "3"}', "line 2: the problem of an earlier line"),
        (b"PAR1\x15\x04\x15", "is a Parquet file; only JSON lines are read"),
        (b"\xff\xfe{", "line 1: not JSON in UTF-8: byte 1 is not UTF-8"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "p").write_bytes(content)
    with pytest.raises(UnreadableFileError, match=message):
        read_tasks(tmp_path / "p")


def test_a_problem_that_is_repeated_is_read_once(tmp_path: Path) -> None:
    record = {"problem": "1 + 1", "answer": "2"}
    assert len(read_tasks(written(tmp_path / "p.jsonl", record, record))) == 1


def test_demo_problems_are_a_file_of_problems_too(tmp_path: Path) -> None:
    tasks = demo_tasks(0, 5)
    records = [{"problem": task.problem, "answer": task.answer, "level": task.level} for task in tasks]
    assert read_tasks(written(tmp_path / "p.jsonl", *records)) == tasks
