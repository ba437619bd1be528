"""Outcomes on file: a run that was cut goes on, and never mixes what was made in different ways."""

from pathlib import Path

import click
import pytest

from server.evaluation.plan import Cell
from server.evaluation.results import Outcome, Results

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
    with pytest.raises(click.BadParameter, match="made with another temperature"):
        Results(tmp_path / "o.jsonl", MADE | {"temperature": 1.0})


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "o.jsonl").write_text("one\ntwo\n")
    with pytest.raises(click.BadParameter, match="holds no outcomes"):
        Results(tmp_path / "o.jsonl", MADE)
