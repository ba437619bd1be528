"""How commands end: bad files, wrong settings and full disks are sentences, with exit codes that say what happened."""

import json
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from server.cli.main import app
from server.settings import DEMO
from tests.models.test_files import room_for

SOON_S = 2.5
"""Of CPU time, on a machine that may be busy; a mistake is reported within a second, and without loading torch."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def invoke(*arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result


def run(*arguments: str, **variables: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """The command in a process that may not import torch, and the CPU time that it took."""
    start = cpu_s()
    lines = ["import os, sys", "sys.modules['torch'] = None", f"os.environ |= {variables!r}"]
    code = "; ".join([*lines, "from server.cli.main import main", "main()"])
    command = [sys.executable, "-c", code, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return result, cpu_s() - start


def cpu_s() -> float:
    """Of all processes that this one has waited for."""
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


@pytest.fixture
def taken() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield str(server.getsockname()[1])


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A folder that lacks weights."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    (folder / "tokenizer.json").write_text("{}")
    return folder


def assert_refused(result: subprocess.CompletedProcess[str], seconds: float, message: str) -> None:
    assert (result.returncode, result.stderr.count("\n"), message in result.stderr) == (2, 1, True), result.stderr
    assert seconds < SOON_S


@pytest.mark.parametrize("command", [["serve"], ["engine", "policy"]])
def test_a_port_in_use_is_reported_before_anything_is_loaded(command: list[str], taken: str) -> None:
    assert_refused(*run(*command, "--port", taken), f"port {taken} of 127.0.0.1 is in use")


def test_an_address_of_another_machine_is_reported_before_anything_is_loaded() -> None:
    options = ["--host", "192.0.2.1", "--allow-public-without-keys", "true"]
    assert_refused(*run("serve", *options), "not an address of this machine")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--policy-model", "/nowhere"], "/nowhere: no such directory"),
        (["--verifier-model", "/nowhere"], "/nowhere: no such directory"),
        (["--policy-model", "./checkpoint/config.json"], "config.json: not a directory"),
        (["--policy-model", "checkpoint"], "checkpoint: no *.safetensors file"),
        (["--policy-model", "model.gguf"], "model.gguf: a GGUF file, which llama.cpp reads"),
        (["--policy-model", "base"], "base: chat_template is missing, so this is a base model"),
        (["--policy-model", "bert"], "BertForMaskedLM is an encoder, which reads text and writes none"),
        (["--calibration", "nowhere.yaml"], "nowhere.yaml cannot be read: No such file"),
        (["--calibration", "latin.yaml"], "latin.yaml cannot be read: not UTF-8"),
        (["--api-keys-file", "nowhere"], "api_keys_file nowhere cannot be read: No such file"),
        (["--recipe", "latin.yaml"], "recipe latin.yaml cannot be read: not UTF-8"),
        (["--recipe", "typo.yaml"], "unknown setting 'policy_modell'; did you mean policy_model"),
        (["--recipe", "date.yaml"], "date.yaml is not YAML"),
        (["--engine-silence-s", "inf"], "setting engine_silence_s"),
    ],
)
def test_a_wrong_setting_is_reported_before_anything_is_loaded(
    checkpoint: Path, options: list[str], message: str
) -> None:
    Path("model.gguf").write_bytes(b"GGUF")
    shutil.copytree(DEMO / "policy", "base", ignore=shutil.ignore_patterns("chat_template.jinja"))
    shutil.copytree(DEMO / "policy", "bert")
    Path("bert/config.json").write_text('{"architectures": ["BertForMaskedLM"]}')
    Path("latin.yaml").write_bytes(b"system_prompt: L\xf6se\n")
    Path("typo.yaml").write_text("policy_modell: x\n")
    Path("date.yaml").write_text("policy_model: 2020-02-31\n")
    assert_refused(*run("serve", *options), message)


def test_a_misspelt_variable_has_a_suggestion() -> None:
    assert_refused(*run("serve", WINNOW_PROT="1"), "unknown environment variable WINNOW_PROT; did you mean WINNOW_PORT")


@pytest.mark.parametrize(
    ("format_name", "message"),
    [("none", "there is no verifier to run"), ("confidence", "verifier_format confidence has no engine of its own")],
)
def test_a_verifier_without_an_engine_cannot_be_run_as_one(format_name: str, message: str) -> None:
    assert_refused(*run("engine", "verifier", "--port", "0", "--verifier-format", format_name), message)


@pytest.mark.parametrize(
    "command",
    [
        ["solve", "1 + 1"],
        ["eval", "--held-out", "1"],
        ["calibrate"],
        ["label-steps", "--problems", "problems.jsonl", "--out", "labels.jsonl"],
        ["engine", "policy", "--port", "0"],
    ],
)
def test_every_command_that_starts_models_reports_a_missing_one_at_once(command: list[str]) -> None:
    Path("problems.jsonl").write_text('{"problem": "1 + 1", "answer": "2"}\n')
    result, seconds = run(*command, WINNOW_POLICY_MODEL="/nowhere")
    assert_refused(result, seconds, "/nowhere: no such directory")


@pytest.mark.parametrize(
    "option", [("--n", "4"), ("--temperature", "1"), ("--evidence", "e.jsonl"), ("--concurrency", "2")]
)
def test_costs_alone_are_of_the_table_that_is_there(option: tuple[str, str]) -> None:
    result, _ = run("calibrate", "--only", "costs", *option)
    assert (result.returncode, f"{option[0]} does not go with --only costs" in result.stderr) == (2, True)


def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-m", "server", "tasks", "--count", "0"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, "--count" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("gold", ["grade", "--gold", "gold", "--pred", "pred", "--out"]),
        ("pred", ["grade", "--gold", "gold", "--pred", "pred", "--out"]),
        ("gold", ["solve", "--file", "gold", "--out"]),
        ("gold", ["eval", "--problems", "gold", "--out"]),
        ("gold", ["calibrate", "--problems", "gold", "--out"]),
        ("gold", ["calibrate", "--problems", "gold", "--evidence"]),
        ("gold", ["label-steps", "--problems", "gold", "--out"]),
        ("policy", ["train-prm", "--policy", "policy", "--labels", "gold", "--out"]),
        ("plot.png", ["plan", "plot.png", "--accuracy", "0.9", "--plot"]),
    ],
)
@pytest.mark.parametrize("alias", ["itself", "symbolic link", "hard link", "another spelling"])
def test_a_file_that_is_read_is_never_written(name: str, arguments: list[str], alias: str) -> None:
    content = '{"problem": "1 + 1", "answer": "2"}\n'
    Path("policy").mkdir()
    for file in ("gold", "pred", "plot.png"):
        Path(file).write_text(content)
    out = Path(f"link-{name}")
    match alias:
        case "itself":
            out = Path(name)
        case "another spelling":
            out = Path("policy") / ".." / name
        case "hard link" if Path(name).is_file():
            out.hardlink_to(name)
        case _:
            out.symlink_to(name)
    result = invoke(*arguments, str(out))
    assert (result.exit_code, "the same file as" in " ".join(result.output.split())) == (2, True), result.output
    assert Path("gold").read_text() == Path("pred").read_text() == content


def graded(*options: str) -> Result:
    Path("gold").write_text('{"answer": "7"}\n' * 9)
    return invoke("grade", "--gold", "gold", "--pred", "gold", *options)


def test_grades_that_do_not_fit_on_the_disk_are_one_sentence() -> None:
    assert graded("--out", "out").exit_code == 0
    before = Path("out").read_text()
    with room_for(150):
        result = graded("--out", "out")
    assert (result.exit_code, "cannot be written: File too large" in result.output) == (1, True)
    assert Path("out").read_text() == before


def test_a_device_without_room_is_one_sentence() -> None:
    result = graded("--out", "/dev/full")
    assert (result.exit_code, "No space left on device" in result.output) == (1, True)


def test_files_that_are_refused_leave_the_output_as_it_was() -> None:
    Path("out").write_text("mine")
    Path("gold").write_text("{}\n")
    assert invoke("grade", "--gold", "gold", "--pred", "gold", "--out", "out").exit_code == 2
    assert Path("out").read_text() == "mine"


def test_every_bad_line_of_a_benchmark_is_named() -> None:
    lines = ['{"problem": "1"}', "{", '{"problem": "\\ud800", "answer": "1"}', "[]"]
    Path("bad").write_text("\n".join(lines))
    result = invoke("eval", "--problems", "bad")
    assert result.exit_code == 2
    assert [f"line {number}:" in result.output for number in (1, 2, 3, 4)] == [True, True, True, True]


def test_bad_lines_among_good_ones_are_named_and_left_out() -> None:
    Path("mixed").write_text('{"problem": "1 + 1", "answer": "2"}\n[]\n')
    result = invoke("eval", "--problems", "mixed", "--url", "http://127.0.0.1:9")
    assert "left out: mixed, line 2: not an object" in result.output
    assert "line 1" not in result.output


def test_fields_of_a_benchmark_may_be_named() -> None:
    Path("mine").write_text('{"a": {"q": "1 + 1"}, "gold": "2", "note": "n"}\n{"a": {"q": "1 + 2"}}\n')
    options = ["--problem-field", "note,a.q", "--answer-field", "gold"]
    result = invoke("eval", "--problems", "mine", *options, "--url", "http://127.0.0.1:9")
    assert "left out: mine, line 2: note is not text" in result.output


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://host", "http://", "", "http://[::1", "http://host:port"])
def test_what_is_no_address_of_a_service_is_refused(url: str) -> None:
    assert invoke("solve", "1 + 1", "--url", url).exit_code == 2


@pytest.mark.parametrize("key", ["schlüssel-0123456789", "two words 0123456789", "line\nbreak-0123456789"])
def test_a_key_that_cannot_be_sent_is_one_sentence(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("WINNOW_API_KEY", key)
    result = invoke("solve", "1 + 1", "--url", "http://127.0.0.1:9")
    assert (result.exit_code, "WINNOW_API_KEY" in result.output) == (2, True)
    assert key not in result.output


def test_an_interrupted_command_says_so() -> None:
    @click.command()
    def endless() -> None:
        raise KeyboardInterrupt  # not by a signal: the service of other tests runs in this process

    group = type(app)("winnow", commands={"endless": endless})
    result = CliRunner().invoke(group, ["endless"])
    assert (result.exit_code, "winnow: interrupted" in result.output) == (130, True)


def test_the_first_of_several_errors_at_once_is_the_sentence() -> None:
    @click.command()
    def several() -> None:
        raise ExceptionGroup("", [ExceptionGroup("", [OSError(28, "No space left on device", "f")])])

    group = type(app)("winnow", commands={"several": several})
    result = CliRunner().invoke(group, ["several"])
    assert (result.exit_code, result.output) == (1, "winnow: f: No space left on device\n")


def test_records_of_another_file_are_not_written_over() -> None:
    Path("problems").write_text('{"problem": "1 + 1"}\n')
    Path("notes").write_text(json.dumps({"note": 1}) + "\n")
    result = invoke("solve", "--file", "problems", "--out", "notes", "--url", "http://127.0.0.1:9")
    assert (result.exit_code, Path("notes").read_text()) == (2, '{"note": 1}\n')
