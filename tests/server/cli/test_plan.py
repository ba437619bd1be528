"""`winnow plan`: outcomes in, advice out."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from search.evaluation.outcomes import Outcome
from search.evaluation.results import Results
from server.cli.main import app
from tests.search.scaling.growth import grow, power_law

BUDGETS = (1, 4, 16, 64)
LAWS = {"best_of_n": power_law(0.3, 0.75, 0.9), "dvts": power_law(0.3, 0.9, 0.5)}
SMALL = [outcome for name, law in LAWS.items() for outcome in grow(name, law, BUDGETS, 300)]


def write(path: Path, outcomes: Sequence[Outcome], policy: str = "demo/policy") -> Path:
    made = {"policy": policy, "verifier": "demo/prm", "beam_width": 4, "temperature": 0.8}
    Results(path, made).add(outcomes)
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write(tmp_path / "small.jsonl", SMALL)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["plan", *map(str, arguments)])


def planned(*arguments: object) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    record: dict[str, Any] = json.loads(result.stdout)
    return record


def test_an_accuracy_gets_the_cheapest_measured_request_that_reaches_it(small: Path) -> None:
    record = planned(small, "--accuracy", 0.77)
    chosen = record["recommendation"]
    assert record["is_met"]
    assert chosen["is_measured"]
    assert chosen["request"] == {"strategy": "dvts", "n": 64, "beam_width": 4, "temperature": 0.8}
    assert (chosen["cost"]["generated"], chosen["cost"]["judged"], chosen["cost"]["tokens"]) == (6400, 3200, 9600)
    assert chosen["accuracy"]["low"] < LAWS["dvts"](64) < chosen["accuracy"]["high"]


def test_what_was_not_measured_is_chosen_only_where_nothing_measured_will_do_and_says_so(small: Path) -> None:
    record = planned(small, "--accuracy", 0.82, "--chance", 0.6)
    assert not record["recommendation"]["is_measured"]
    assert record["recommendation"]["request"]["n"] > 64
    assert "measure it first" in record["reason"]


def test_the_law_says_by_how_much_it_errs_where_it_was_not_measured(small: Path) -> None:
    record = planned(small, "--accuracy", 0.9)
    (law,) = (each["law"] for each in record["curves"] if each["strategy"] == "dvts")
    by_n = {each["request"]["n"]: each for each in record["options"] if each["request"]["strategy"] == "dvts"}
    assert [n for n in sorted(by_n) if by_n[n]["is_measured"]] == [1, 4, 16, 64]
    assert sorted(by_n) == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    measured, guessed = (by_n[n]["accuracy"]["high"] - by_n[n]["accuracy"]["low"] for n in (4, 8))
    assert guessed == pytest.approx(((2 * 1.96 * law["error"]) ** 2 + measured**2) ** 0.5, rel=0.05)
    assert abs(by_n[256]["accuracy"]["estimate"] - LAWS["dvts"](256)) <= law["error"]
    assert f"{100 * law['error']:.1f}" in run(small, "--accuracy", 0.9).stdout


def test_a_budget_and_a_deadline_are_kept(small: Path) -> None:
    chosen = planned(small, "--budget-tokens", 2400, "--deadline", 1.7)["recommendation"]
    assert (chosen["request"]["n"], chosen["cost"]["seconds"]) == (16, 1.6)


def test_no_n_is_larger_than_asked_for(small: Path) -> None:
    def largest(max_n: int) -> int:
        options = planned(small, "--accuracy", 0.5, "--max-n", max_n)["options"]
        return max(int(each["request"]["n"]) for each in options)

    assert (largest(20), largest(1024)) == (16, 1024)


def test_three_budgets_are_no_curve(tmp_path: Path) -> None:
    path = write(tmp_path / "o.jsonl", [outcome for outcome in SMALL if outcome.n > 1])
    record = planned(path, "--accuracy", 0.5)
    assert {each["request"]["n"] for each in record["options"]} == {4, 16, 64}
    assert "needs 4 N" in run(path, "--accuracy", 0.5).stdout


def test_an_impossible_requirement_is_answered_with_what_is_possible(small: Path) -> None:
    record = planned(small, "--accuracy", 0.99)
    assert not record["is_met"]
    assert "Nothing reaches 99% with a chance of 80%" in record["reason"]
    assert "Nothing keeps within 10 tokens" in run(small, "--budget-tokens", 10).stdout


def test_the_same_files_and_seed_give_the_same_plan(small: Path) -> None:
    first, again, other = (run(small, "--accuracy", 0.7, "--json", "--seed", seed).stdout for seed in (0, 0, 1))
    assert first == again != other


def test_curves_against_tokens_begin_at_the_tokens_of_the_smallest_budget(small: Path) -> None:
    record = planned(small, "--budget-tokens", 2000, "--compute", "tokens")
    (law,) = (each["law"] for each in record["curves"] if each["strategy"] == "dvts")
    assert law["smallest"] == 150  # a candidate has 150 tokens


def test_two_pairs_of_models_compete(small: Path, tmp_path: Path) -> None:
    large = write(tmp_path / "large.jsonl", grow("majority", lambda _: 0.85, (1,), 300), policy="big/policy")
    record = planned(small, large, "--accuracy", 0.8)
    assert (record["recommendation"]["models"], record["recommendation"]["request"]["n"]) == (
        "big/policy + demo/prm",
        1,
    )
    assert "majority@1 of big/policy + demo/prm" in run(small, large, "--accuracy", 0.8).stdout


def test_values_of_a_varied_field_compete(tmp_path: Path) -> None:
    best = [replace(each, varied=(("aggregation", "min"),)) for each in grow("dvts", lambda _: 0.8, (4,), 300)]
    worse = [replace(each, varied=(("aggregation", "last"),)) for each in grow("dvts", lambda _: 0.5, (4,), 300)]
    chosen = planned(write(tmp_path / "o.jsonl", [*worse, *best]), "--budget-tokens", 1000)["recommendation"]
    assert chosen["request"]["aggregation"] == "min"


def test_the_tables_show_the_answer_first_and_mark_what_was_not_measured(small: Path) -> None:
    first, *_ = rows(run(small, "--accuracy", 0.77).stdout)
    assert first[1:3] == ["dvts", "64"]
    shown = rows(run(small, "--accuracy", 0.5, "--all").stdout)
    marks = {(name, n): accuracy[4:5] for _, name, n, accuracy, *_ in shown if accuracy}
    assert [marks["dvts", n] for n in ("1", "8", "64", "128")] == [" ", "?", " ", "?"]


def rows(shown: str) -> list[list[str]]:
    """The rows of the first table."""
    lines = shown.split("└")[0].splitlines()
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.startswith("│")]


def test_a_cell_that_is_not_complete_is_noted(tmp_path: Path) -> None:
    path = write(tmp_path / "part.jsonl", SMALL[:-100])
    assert "dvts@64 was measured on 200 of 300 problems" in run(path, "--accuracy", 0.5).stdout


def test_other_problems_are_noted(small: Path, tmp_path: Path) -> None:
    other = [Outcome("another", None, "majority", 1, 0, None, True, 10)]
    path = write(tmp_path / "other.jsonl", other, policy="big/policy")
    assert "big/policy + demo/prm was asked 1 of all 301 problems" in run(small, path, "--accuracy", 0.5).stdout


def test_curves_are_drawn(small: Path, tmp_path: Path) -> None:
    for axis in ("n", "tokens"):
        assert run(small, "--accuracy", 0.5, "--compute", axis, "--plot", tmp_path / "p.png").exit_code == 0
        assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "give --accuracy, --budget-tokens or --deadline"),
        (("--accuracy", "90"), "90.0 is not in the range 0<x<1"),
        (("--budget-tokens", "0"), "is not in the range x>0"),
        (("--accuracy", ".9", "--max-n", "2000"), "is not in the range 1<=x<=1024"),
        (("--accuracy", ".9", "--plot", "p.docx"), "is not a picture; use .png or .svg"),
    ],
)
def test_a_requirement_that_makes_no_sense_is_refused(small: Path, options: tuple[str, ...], message: str) -> None:
    result = run(small, *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_files_that_cannot_be_planned_with_are_refused(small: Path, tmp_path: Path) -> None:
    assert "more than one file is of demo/policy + demo/prm" in run(small, small, "--accuracy", 0.5).stderr
    assert "nowhere.jsonl' does not exist" in run(tmp_path / "nowhere.jsonl", "--accuracy", 0.5).stderr
    assert (
        "nothing was measured at N up to 2"
        in run(
            write(tmp_path / "o.jsonl", [outcome for outcome in SMALL if outcome.n == 4]),
            "--accuracy",
            0.5,
            "--max-n",
            2,
        ).stderr
    )
    assert "holds no outcome" in run(write(tmp_path / "empty.jsonl", []), "--accuracy", 0.5).stderr
    untimed = write(tmp_path / "untimed.jsonl", [Outcome("p", None, "dvts", 4, 0, None, True, 10)])
    assert "the outcomes hold no seconds" in run(untimed, "--deadline", 3).stderr
