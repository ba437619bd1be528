"""Outcomes on file: a run that was cut goes on, and never mixes what was made in different ways."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from models.files import UnreadableFileError
from search.evaluation.grid import Cell
from search.evaluation.outcomes import Outcome
from search.evaluation.results import Results

MADE = {"policy": "here", "temperature": 0.8}


def outcome(problem: str, *, is_correct: bool = True, strategy: str = "dvts", seed: int = 0) -> Outcome:
    return Outcome(problem, 1, strategy, 16, seed, "7", is_correct, 100)


def test_what_was_kept_is_there_again(tmp_path: Path) -> None:
    first = Results(tmp_path / "o.jsonl", MADE)
    first.add([outcome("a"), outcome("a", seed=1)])
    again = Results(tmp_path / "o.jsonl", MADE)
    assert again.outcomes == first.outcomes
    assert again.has("a", [Cell("dvts", 16, 0), Cell("dvts", 16, 1)])
    assert not again.has("b", [Cell("dvts", 16, 0)])


def test_a_torn_last_line_is_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    Results(path, MADE).add([outcome("a"), outcome("b")])
    path.write_text(path.read_text()[:-20])
    again = Results(path, MADE)
    assert [kept.problem for kept in again.outcomes] == ["a"]
    again.add([outcome("b")])
    assert len(Results(path, MADE).outcomes) == 2


def test_other_settings_do_not_mix(tmp_path: Path) -> None:
    Results(tmp_path / "o.jsonl", MADE)
    with pytest.raises(UnreadableFileError, match=r"made otherwise: temperature 0\.8, now 1\.0"):
        Results(tmp_path / "o.jsonl", MADE | {"temperature": 1.0})


def test_what_is_told_is_kept_and_not_compared(tmp_path: Path) -> None:
    Results(tmp_path / "o.jsonl", MADE, {"commit": "a"}).add([outcome("a")])
    again = Results(tmp_path / "o.jsonl", MADE, {"commit": "b"})
    again.add([outcome("b")])
    assert len(Results(tmp_path / "o.jsonl", MADE).outcomes) == 2
    first, *lines = map(json.loads, (tmp_path / "o.jsonl").read_text().splitlines())
    assert first == {"made": MADE, "told": {"commit": "a"}}
    assert {"told": {"commit": "b"}} in lines


def test_a_file_without_the_newer_fields_is_read(tmp_path: Path) -> None:
    old = {"problem": "a", "level": 1, "strategy": "dvts", "n": 4, "seed": 0, "answer": "7", "is_correct": True}
    lines = [{"made": MADE}, old | {"completion_tokens": 100, "verifier_tokens": 9, "seconds": 1.5}]
    (tmp_path / "o.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    results = Results(tmp_path / "o.jsonl", MADE)
    assert results.has("a", [Cell("dvts", 4, 0)], with_costs=True)


def test_a_problem_with_odd_line_ends_is_one_line(tmp_path: Path) -> None:
    Results(tmp_path / "o.jsonl", MADE).add([outcome("a\u2028b\x85c")])
    assert [kept.problem for kept in Results(tmp_path / "o.jsonl", MADE).outcomes] == ["a\u2028b\x85c"]


def test_a_subsampled_outcome_is_no_request_of_its_own(tmp_path: Path) -> None:
    results = Results(None, MADE)
    results.add(
        [replace(outcome("a"), seconds=1.5, early_stop=False), replace(outcome("b"), seconds=1.5, early_stop=True)]
    )
    cells = [Cell("dvts", 16, 0)]
    assert [results.has(name, cells) for name in "ab"] == [True, True]
    assert [results.has(name, cells, with_costs=True) for name in "ab"] == [False, True]


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "o.jsonl").write_text("one\ntwo\n")
    with pytest.raises(UnreadableFileError, match="holds no outcomes"):
        Results(tmp_path / "o.jsonl", MADE)
