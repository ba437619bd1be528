"""The command `winnow`: help that can be read, mistakes that are one sentence."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from server.cli.main import app
from server.cli.showing import show
from tests.server.processes import WINNOW


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([WINNOW, *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("command", sorted(app.commands))
def test_every_command_explains_itself(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert all(parameter.help for parameter in app.commands[command].params if parameter.param_type_name == "option")


def test_the_commands_are_listed_by_what_they_are_for_and_none_is_forgotten() -> None:
    listed = CliRunner().invoke(app, ["--help"]).output
    assert "..." not in listed.partition("Serve:")[2]
    for name in app.commands:
        assert re.search(rf"^  {name}  +[A-Z]", listed, re.MULTILINE), name


@pytest.mark.parametrize(
    ("command", "headings"),
    [
        ("solve", ["Arguments", "Options", "Search", "Hyperparameters of strategies", "Policy", "Examples"]),
        ("serve", ["Options", "Service", "Models", "Answers", "Programs that are tested", "Access", "Limits"]),
    ],
)
def test_many_options_stand_under_headings(command: str, headings: list[str]) -> None:
    shown = CliRunner().invoke(app, [command, "--help"]).output
    places = [shown.index(f"\n{heading}") if heading != "Examples" else shown.index(heading) for heading in headings]
    assert places == sorted(places)
    options = [option for each in app.commands[command].params for option in each.opts if option.startswith("--")]
    assert [option for option in options if shown.count(f"{option} ") + shown.count(f"{option}\n") < 1] == []


def test_tasks_are_json_lines_and_depend_on_the_seed() -> None:
    first, again, other = [CliRunner().invoke(app, ["tasks", "--seed", s, "--count", "20"]).output for s in "112"]
    assert first == again != other
    assert {tuple(json.loads(line)) for line in first.splitlines()} == {("problem", "answer", "level", "family")}


def imported_by(code: str) -> set[str]:
    """Modules of a process that has run this."""
    command = [sys.executable, "-c", f"import sys; from server.cli.main import app; {code}; print(*sys.modules)"]
    return set(subprocess.run(command, timeout=60, check=True, capture_output=True, text=True).stdout.split())


def test_help_does_not_load_an_engine() -> None:
    assert imported_by("print([app.commands[name] for name in app.commands])").isdisjoint({"vllm", "torch"})


def test_a_command_does_not_load_the_others() -> None:
    loaded = imported_by("print(app.commands['tasks'])")
    assert {"server.cli.solve", "server.cli.serve", "server.cli.calibrate"}.isdisjoint(loaded)


def test_an_unknown_setting_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_PROT", "1")
    result = run("serve")
    assert result.returncode == 2
    assert result.stderr.startswith("winnow: unknown environment variable WINNOW_PROT")


def test_a_setting_out_of_range_is_one_sentence() -> None:
    result = run("serve", "--port", "70000")
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "port" in result.stderr


def test_a_model_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    result = run("serve", "--policy-model", str(tmp_path))
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith(f"winnow: {tmp_path}")


def test_a_service_that_is_not_there_is_one_sentence() -> None:
    result = run("solve", "1 + 1", "--url", "http://127.0.0.1:9")
    assert result.returncode == 1
    assert "http://127.0.0.1:9 cannot be reached" in result.stderr


def test_a_file_without_any_answer_is_refused_by_line(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"problem": "1 + 1"}\n{"problem": "2 + 2"}\n')
    result = CliRunner().invoke(app, ["eval", "--problems", str(tmp_path / "bad.jsonl")])
    assert result.exit_code == 2
    assert "line 2" in result.output


def test_answers_with_brackets_are_shown_as_they_are() -> None:
    console = Console(record=True, width=200)
    candidate = {"id": "0", "answer": "[true]", "score": None, "tokens": 1, "finish": "complete", "verified": None}
    show(
        {
            "answer": "[true]",
            "response": "[true]",
            "candidates": [candidate | {"response": "[true]", "steps": []}],
            "votes": [{"answer": "[true]", "count": 1, "weight": None}],
            "usage": {},
            "timing": {"total_s": 0.0},
            "diagnostics": {"warnings": []},
            "status": "complete",
        },
        console,
    )
    assert console.export_text().count("[true]") == 3


def test_a_search_from_the_command_line_can_ask_for_json() -> None:
    outcome = CliRunner().invoke(app, ["solve", "1 + 1?", "--response-format", "{"])
    assert outcome.exit_code == 2
    assert "--response-format" in outcome.output
