"""Files of outcomes for readers: what another version added is ignored, what is wrong is named by line."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from models.files import UnreadableFileError
from search.evaluation.grid import Cell, Configuration, Point
from search.evaluation.outcomes import Outcome, read_evaluation
from search.evaluation.results import Results

MADE = {"policy": "/somewhere/demo/policy", "verifier": "org/prm", "temperature": 0.8}
OUTCOME = Outcome("1 + 1", 1, "dvts", 16, 0, "2", True, 100)


def write(path: Path, *lines: object) -> Path:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def test_what_an_evaluation_wrote_is_read(tmp_path: Path) -> None:
    Results(tmp_path / "o.jsonl", MADE).add([OUTCOME])
    evaluation = read_evaluation(tmp_path / "o.jsonl")
    assert evaluation.outcomes == (OUTCOME,)
    assert (evaluation.name, evaluation.made) == ("demo/policy + org/prm", MADE)


def test_what_runs_tell_of_themselves_is_no_outcome_and_names_the_models(tmp_path: Path) -> None:
    head = {"made": {"policy": "0123456789abcdef"}, "told": {"models": ["/here/demo/policy", "org/prm"]}}
    evaluation = read_evaluation(write(tmp_path / "o.jsonl", head, {"told": {}}, OUTCOME.as_record()))
    assert (evaluation.outcomes, evaluation.name) == ((OUTCOME,), "demo/policy + org/prm")


def test_a_torn_last_line_and_unknown_fields_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "o.jsonl", {"made": {}}, OUTCOME.as_record() | {"mood": 0.5})
    path.write_text(path.read_text() + '{"problem": "2 +')
    evaluation = read_evaluation(path)
    assert (evaluation.outcomes, evaluation.name) == ((OUTCOME,), "o")


def test_names_from_a_file_tell_a_terminal_nothing(tmp_path: Path) -> None:
    head = {"made": {}, "told": {"models": ["a/\x1b]0;owned\x07"]}}
    outcome = OUTCOME.as_record() | {"varied": {"steps\x1b[2J": "\x1b[31m"}}
    evaluation = read_evaluation(write(tmp_path / "o.jsonl", head, outcome))
    (cell,) = [each.cell for each in evaluation.outcomes]
    for text in (evaluation.name, str(Configuration(cell.strategy, cell.varied)), str(Point(*cell[:2], cell.varied))):
        assert text.isprintable()
        assert "\\x1b" in text


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["one", "two"], "line 1: not JSON"),
        ([[1]], "line 1: not an object"),
        ([OUTCOME.as_record()], "line 1: does not say how it was made"),
        ([{"made": {}}, OUTCOME.as_record(), {"problem": "1", "n": 4}], "line 3: no answer, completion_tokens"),
        ([{"made": {}}, OUTCOME.as_record() | {"n": 0}], "line 2: n cannot be 0"),
        ([{"made": {}}, OUTCOME.as_record() | {"n": "4"}], "line 2: n cannot be '4'"),
        ([{"made": {}}, OUTCOME.as_record() | {"is_correct": None}], "line 2: is_correct cannot be None"),
        ([{"made": {}}, OUTCOME.as_record() | {"seconds": "4"}], "line 2: seconds cannot be '4'"),
        ([{"made": {}}, OUTCOME.as_record() | {"strategy": "oracle"}], "line 2: strategy 'oracle' is none of greedy, "),
        ([{"made": {}}, OUTCOME.as_record() | {"varied": [1]}], r"line 2: varied cannot be \[1\]"),
        ([{"made": {}}, OUTCOME.as_record() | {"varied": {"lookahead": {}}}], "line 2: varied cannot be"),
    ],
)
def test_what_is_no_such_file_is_refused_by_line(tmp_path: Path, lines: list[object], message: str) -> None:
    with pytest.raises(UnreadableFileError, match=message):
        read_evaluation(write(tmp_path / "o.jsonl", *lines))


def test_a_picture_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "o.png").write_bytes(b"\x89PNG\xff")
    with pytest.raises(UnreadableFileError, match="not UTF-8"):
        read_evaluation(tmp_path / "o.png")


def test_the_values_of_varied_fields_are_on_file_and_make_another_cell(tmp_path: Path) -> None:
    varied = replace(OUTCOME, varied=(("aggregation", "min"), ("lookahead", 2)))
    Results(tmp_path / "o.jsonl", MADE).add([OUTCOME, varied])
    assert json.loads((tmp_path / "o.jsonl").read_text().splitlines()[-1])["varied"] == {
        "aggregation": "min",
        "lookahead": 2,
    }
    again = Results(tmp_path / "o.jsonl", MADE)
    assert again.outcomes == read_evaluation(tmp_path / "o.jsonl").outcomes == (OUTCOME, varied)
    assert again.has(OUTCOME.problem, [varied.cell])
    assert again.of(OUTCOME.problem, [varied.cell, Cell("dvts", 4, 0), OUTCOME.cell]) == [varied, OUTCOME]
