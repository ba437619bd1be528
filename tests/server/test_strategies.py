"""A strategy of a package elsewhere is served like the project's own, and a broken one stops the start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.search.test_strategies import PLUGIN

ROOT = Path(__file__).parents[2]
ASK = """
from fastapi.testclient import TestClient
from server.app import create_app
from server.keys import Keyring
from server.settings import Settings
from tests.server.services import world_of

client = TestClient(create_app(world_of("7").models, (), Settings(), Keyring()))
reply = client.post("/solve", json={"problem": "?", "strategy": "first", "patience": 3}).json()
print(reply["answer"], len(reply["candidates"]), reply["strategy"]["name"], reply["strategy"]["patience"])
print(client.post("/solve", json={"problem": "?", "strategy": "dvts", "patience": 3}).json()["error"]["message"])
print("winnow-demo@first-4" in [model["id"] for model in client.get("/v1/models").json()["data"]])
"""


@pytest.mark.parametrize(
    ("target", "code", "said"),
    [
        ("winnow_first:ROW", ASK, ["7 3 first 3", "omit it or use first", "True"]),
        (
            "winnow_gone:ROW",
            "import server.cli.main",
            ["strategy first (winnow_gone:ROW of winnow-first 0.1) cannot be"],
        ),
    ],
)
def test_a_package_adds_a_strategy(tmp_path: Path, target: str, code: str, said: list[str]) -> None:
    (tmp_path / "winnow_first.py").write_text(PLUGIN)
    info = tmp_path / "winnow_first-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: winnow-first\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(f"[winnow.strategies]\nfirst = {target}\n")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}  # noqa: TID251 - of a child
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert all(text in done.stdout + done.stderr for text in said), done.stderr
    assert (done.returncode == 0) == (code == ASK)
