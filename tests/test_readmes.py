"""What the project's Markdown says is so: its length, links, paths, commands and settings.

What it shows of running models is run in `tests/server/test_readme.py`.
"""

import argparse
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import chain, pairwise
from pathlib import Path

import click
import pytest
import yaml
from pydantic import BaseModel, ValidationError

from server import given, schemas
from server.cli.main import app
from server.keys import read_keys
from server.settings import PREFIX, Settings
from tests.markdown import READMES, ROOT, Block, anchors, blocks, commands, links, pages, spans

BIN = Path(sys.executable).parent
LANGUAGES = {"bash", "json", "python", "text", "toml", "yaml"}
SHELL = [(block, command) for block in blocks("bash") for command in commands(block)]
ENVIRONMENT = {"WINNOW_RECIPE", *(PREFIX + name.upper() for name in Settings.model_fields)}
NOT_ENGLISH = ("that is none", "whoever", "has no use for", "have no use for")
each_page = pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
each_command = pytest.mark.parametrize(
    ("block", "command"), SHELL, ids=[f"{block}: {command[:40]}" for block, command in SHELL]
)


def test_the_five_readmes_have_fewer_than_9000_words_together() -> None:
    assert sum(len(page.read_text().split()) for page in READMES) < 9000


def test_nothing_else_is_called_a_readme_but_the_measurements_and_the_library() -> None:
    others = {page for page in pages() if page.name == "README.md"} - set(READMES)
    places = ("tests/bench", "tests/bench/gpu", "search/answers", "deploy/k8s", "deploy/ray")
    assert others == {ROOT / page / "README.md" for page in places}


def test_the_first_readme_is_read_in_a_few_minutes() -> None:
    assert len(READMES[0].read_text().splitlines()) <= 120


def test_the_tree_of_the_readme_is_that_of_the_folders() -> None:
    shown = {
        line.split("/")[0]: set(line.split("  ")[-1].split())
        for block in blocks("text")
        for line in block.code.splitlines()
        if block.page == READMES[0] and re.match(r"[a-z]+/", line)
    }
    assert shown == {name: set(folders(ROOT / name)) for name in folders(ROOT) if name != "runs"}


def folders(parent: Path) -> Iterator[str]:
    """Those that hold files of the project, at any depth."""
    for child in parent.iterdir():
        is_ours = child.is_dir() and not re.search(r"^\.|__pycache__|\.egg-info$|^secrets$", child.name)
        if is_ours and any(path.is_file() and "__pycache__" not in path.parts for path in child.rglob("*")):
            yield child.name


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        target, _, anchor = link.partition("#")
        if target.startswith(("https://", "http://")):
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), f"{link} leads to nothing"
        assert not anchor or anchor in anchors(path), f"{link} leads to no heading"


@each_page
def test_paths_are_there(page: Path) -> None:
    for span in spans(page):
        if not re.fullmatch(r"[\w.*-]+(/[\w.*-]+)+/?", span) or re.search(r"NAME|my_", span):
            continue
        homes = [home for home in (page.parent, ROOT) if (home / span.split("/")[0]).is_dir()]
        assert not homes or any([*home.glob(span.rstrip("/"))] for home in homes), f"{span} is not there"


@each_page
def test_commands_and_settings_within_sentences_exist(page: Path) -> None:
    for span in spans(page):
        match span.split():
            case ["winnow", name, *_] if re.fullmatch(r"[a-z-]+", name):
                assert name in app.commands, span
            case ["make", *words]:
                check_make(words)
            case ["python", "-m", module, *_]:
                assert find_spec(module), span
        named = set(re.findall(rf"\b{PREFIX}[A-Z][A-Z_]*[A-Z]\b", span))
        assert named <= ENVIRONMENT, named - ENVIRONMENT


@each_page
def test_the_english_is_that_of_an_engineer(page: Path) -> None:
    text = " ".join(page.read_text().lower().split())
    assert [phrase for phrase in NOT_ENGLISH if phrase in text] == []


@pytest.mark.parametrize("block", blocks(), ids=str)
def test_every_block_of_code_says_its_language(block: Block) -> None:
    assert block.language in LANGUAGES


@each_command
def test_every_command_can_be_given(block: Block, command: str) -> None:
    words = shlex.split(command, comments=True)
    program, arguments = words[0].removeprefix(".venv/bin/"), words[1:]
    match program:
        case "winnow":
            parse(arguments)
        case "make":
            check_make(arguments)
        case "python":
            assert arguments[0] == "-m"
            assert find_spec(arguments[1])
        case "pytest":
            assert all((ROOT / argument).exists() for argument in arguments if not argument.startswith("-"))
        case "docker":
            check_docker(arguments)
        case "export":
            assert arguments[0].split("=")[0] in ENVIRONMENT | {"RAY_AUTH_MODE"}
        case "ray" | "serve":
            check_ray(block, program, arguments)
        case "hf" | "pre-commit":
            subcommand = arguments[:2] if arguments[0] == "auth" else arguments[:1]
            subprocess.run([BIN / program, *subcommand, "--help"], check=True, capture_output=True, timeout=60)
        case "vllm-router":
            router = pytest.importorskip("vllm_router.router_args", reason="vllm-router is not installed")
            parser = argparse.ArgumentParser()
            router.RouterArgs.add_cli_args(parser)
            parser.parse_args(arguments)
        case "pip":
            assert (ROOT / arguments[-1]).exists()
        case "kubectl":
            check_kubectl(arguments)
        case "curl":
            assert arguments[0].startswith("http://127.0.0.1:8000/")  # run in tests/server/test_readme.py
        case _:
            homes = (block.page.parent, ROOT)
            assert program.endswith(".sh"), f"nothing checks {program}"
            assert any((home / program).exists() for home in homes)


def check_ray(block: Block, program: str, arguments: list[str]) -> None:
    """See that files exist; where Ray is installed, that the command and its options do."""
    files = [argument for argument in arguments[1:] if argument.endswith(".yaml")]
    assert all((ROOT / file).exists() for file in files)
    if (BIN / program).exists():
        command = [str(BIN / program), arguments[0], "--help"]
        text = subprocess.run(command, check=True, capture_output=True, timeout=60, text=True).stdout
        options = [argument.split("=")[0] for argument in arguments if argument.startswith("--")]
        assert [option for option in options if option not in text] == []


def parse(arguments: list[str]) -> None:
    """Refuse a command of winnow with an unknown name, option or value. Files need not exist, but for recipes."""
    command = app.commands[arguments[0]]
    if isinstance(command, click.Group):
        command, arguments = command.commands[arguments[1]], arguments[1:]
    context = click.Context(command, info_name=arguments[0])
    values, left, _ = command.make_parser(context).parse_args(list(arguments[1:]))
    assert left == []
    for parameter in command.params:
        value = values.get(parameter.name or "")
        if isinstance(value, str | list | tuple) and not isinstance(parameter.type, click.Path | click.File):
            parameter.type_cast_value(context, value)
    recipe = values.get("recipe")
    assert not isinstance(recipe, str) or not recipe.startswith("deploy/") or (ROOT / recipe).exists()


def check_make(words: list[str]) -> None:
    """Refuse targets and variables that are not there."""
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    variables = set(re.findall(r"^([A-Z_]+) \?=", makefile, re.MULTILINE))
    assert {word.partition("=")[0] for word in words} <= targets | variables, words


def check_docker(arguments: list[str]) -> None:
    """Refuse profiles, files and targets that are not there."""
    services = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["services"].values()
    profiles = {profile for service in services for profile in service.get("profiles", ())}
    stages = set(re.findall(r"^FROM .* AS ([\w-]+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    known = {"--profile": profiles, "--target": stages}
    for option, value in pairwise(arguments):
        assert value in known.get(option, {value}), f"there is no {option} {value}"
        assert option not in ("--file", "-f") or any((ROOT / home / value).exists() for home in ("", "deploy"))


def check_kubectl(arguments: list[str]) -> None:
    """Refuse manifests, overlays and workloads that are not there."""
    for option, value in pairwise(arguments):
        assert option not in ("--filename", "--kustomize") or (ROOT / value).exists(), f"there is no {value}"
    workloads = [argument.split("/") for argument in arguments if argument.startswith("deployment/")]
    manifests = [yaml.safe_load_all(path.read_text()) for path in (ROOT / "deploy" / "k8s" / "base").glob("*.yaml")]
    known = {each["metadata"]["name"] for each in chain(*manifests) if each["kind"] == "Deployment"}
    assert {name for _, name in workloads} <= known


def test_grading_runs_as_it_is_shown(tmp_path: Path) -> None:
    (shown,) = [command for _, command in SHELL if command.startswith("winnow grade")]
    (tmp_path / "gold.jsonl").write_text('{"answer": "0.5"}\n')
    (tmp_path / "predictions.jsonl").write_text('{"response": "So it is $\\\\boxed{\\\\frac12}$."}\n')
    subprocess.run([BIN / "winnow", *shlex.split(shown)[1:]], cwd=tmp_path, check=True, timeout=120)
    assert '"right"' in (tmp_path / "grades.jsonl").read_text()


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_every_json_is_a_message_of_the_service(block: Block) -> None:
    messages = [
        kind
        for kind in (vars(schemas) | vars(given)).values()
        if isinstance(kind, type) and issubclass(kind, BaseModel)
    ]
    assert any(fits(message, block.code) for message in messages if message.model_fields)


def fits(message: type[BaseModel], code: str) -> bool:
    try:
        message.model_validate_json(code)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_every_yaml_is_a_file_of_keys(block: Block, tmp_path: Path) -> None:
    (tmp_path / "keys.yaml").write_text(block.code)
    assert read_keys(Settings(api_keys_file=str(tmp_path / "keys.yaml")))


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_every_toml_names_entry_points_that_are_read(block: Block) -> None:
    (group,) = tomllib.loads(block.code)["project"]["entry-points"]
    assert group in {"winnow.strategies", "winnow.checkers"}
