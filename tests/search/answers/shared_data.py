"""The labelled data beside the project, for tests that use it; they skip where it is absent."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[4] / "shared" / "data"


def read_rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _path(name).read_text().splitlines()]


def hostile_answers() -> list[tuple[str, str]]:
    answers: list[tuple[str, str]] = runpy.run_path(str(_path("hostile_answers.py")))["HOSTILE"]
    return answers


def _path(name: str) -> Path:
    if not (FOLDER / name).exists():
        pytest.skip(f"../shared/data/{name} is absent")
    return FOLDER / name
