"""The labelled data beside the project, for tests that use it; they skip where it is absent."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[4] / "shared" / "data"


def read_rows(name: str, folder: Path = FOLDER) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _path(name, folder).read_text().splitlines()]


def hostile_answers(folder: Path = FOLDER) -> list[tuple[str, str]]:
    answers: list[tuple[str, str]] = runpy.run_path(str(_path("hostile_answers.py", folder)))["HOSTILE"]
    return answers


def _path(name: str, folder: Path) -> Path:
    if not (folder / name).exists():
        pytest.skip(f"../shared/data/{name} is absent")
    return folder / name
