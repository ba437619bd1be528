"""install.sh with indexes of the tests' own: where it takes the CPU build of torch from, and what it says."""

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "deploy" / "requirements"
TORCH = "2.13.0+cpu"
UNREACHABLE = "http://127.0.0.1:9/simple"  # the port of the discard service, which refuses


class Recording(SimpleHTTPRequestHandler):
    """Serves a folder, and keeps what was asked for."""

    def __init__(self, *arguments: Any, asked: list[str], **options: Any) -> None:
        self._asked = asked
        super().__init__(*arguments, **options)

    def log_message(self, format: str, *arguments: Any) -> None:
        self._asked.append(self.path)


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """An index on loopback: its URL, and the paths that were asked for."""
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Recording, asked=asked, directory=str(folder)))
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()


def publish(index: Path, name: str, version: str) -> str:
    """Put a wheel with one empty module into an index; return its SHA-256."""
    folder = index / name
    folder.mkdir(parents=True)
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    metadata = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": b"",
        f"{metadata}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{metadata}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {path: base64.urlsafe_b64encode(hashlib.sha256(content).digest()) for path, content in files.items()}
    record = "".join(f"{path},sha256={digests[path].decode().rstrip('=')},{len(files[path])}\n" for path in files)
    with ZipFile(wheel, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
        archive.writestr(f"{metadata}/RECORD", f"{record}{metadata}/RECORD,,\n")
    (folder / "index.html").write_text(f'<a href="{wheel.name.replace("+", "%2B")}">{wheel.name}</a>')
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """An index like PyPI: every package, but no CPU build of torch."""
    index = tmp_path / "plain"
    digest = publish(index, "engine", "1.0")
    publish(index, "torch", "2.13.0")
    requirements = tmp_path / "project" / "deploy" / "requirements"
    requirements.mkdir(parents=True)
    shutil.copy(REQUIREMENTS / "install.sh", requirements)
    (requirements / "torch-cpu.txt").write_text(f"torch=={TORCH}\n")
    (requirements / "cpu.txt").write_text(f"engine==1.0 \\\n    --hash=sha256:{digest}\n")
    return index


@pytest.fixture
def special(tmp_path: Path) -> Path:
    """An index like PyTorch's, which has packages of others as well."""
    index = tmp_path / "special"
    publish(index, "torch", TORCH)
    publish(index, "engine", "1.0")
    return index


def install(plain: Path, torch_index: str, **variables: str) -> subprocess.CompletedProcess[str]:
    project = plain.parent / "project"
    own = os.environ  # noqa: TID251 - of another process
    kept = {name: value for name, value in own.items() if not name.startswith("PIP_")}
    pip = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": plain.as_uri(), "PIP_RETRIES": "0", "PIP_NO_CACHE_DIR": "1"}
    return subprocess.run(
        [project / "deploy" / "requirements" / "install.sh", sys.executable, "cpu", "run"],
        env={**kept, **pip, "TORCH_CPU_INDEX": torch_index, **variables},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def installed(plain: Path) -> dict[str, str]:
    python = plain.parent / "project" / ".venv" / "bin" / "python"
    command = [str(python), "-m", "pip", "list", "--format=freeze"]
    lines = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split()
    return dict(line.split("==") for line in lines)


def test_a_build_that_pip_finds_as_configured_is_taken_and_no_index_is_asked(plain: Path, special: Path) -> None:
    with served(special) as (url, asked):
        result = install(plain, url, PIP_NO_INDEX="1", PIP_FIND_LINKS=f"{special / 'torch'} {plain / 'engine'}")

    assert result.returncode == 0, result.stdout + result.stderr
    assert installed(plain)["torch"] == TORCH
    assert asked == []
    assert url not in result.stdout


def test_a_build_that_pip_does_not_find_and_no_other_package_comes_from_the_index(plain: Path, special: Path) -> None:
    with served(special) as (url, asked):
        result = install(plain, url)

    assert result.returncode == 0, result.stdout + result.stderr
    assert [line for line in result.stdout.splitlines() if url in line] == [
        f"==> pip as configured finds no CPU build of torch: taking it from PyTorch's index, {url}"
    ]
    assert {"torch": TORCH, "engine": "1.0"}.items() <= installed(plain).items()
    assert {path.split("/")[1] for path in asked} == {"torch"}


def test_an_index_that_does_not_answer_stops_set_up_with_what_to_do(plain: Path) -> None:
    result = install(plain, UNREACHABLE)

    assert result.returncode == 1
    assert "for Linux on x86-64: 0.7 GB to download" in result.stdout.splitlines()[0]
    assert f"no CPU build of torch came from {UNREACHABLE}" in result.stderr
    assert "TORCH_CPU_INDEX=URL" in result.stderr
    assert "PIP_FIND_LINKS=FOLDER" in result.stderr


def test_the_index_stands_in_one_place() -> None:
    found = re.search(r"TORCH_CPU_INDEX:-https://([^/]+)/", (REQUIREMENTS / "install.sh").read_text())
    assert found
    command = ["git", "grep", "-lF", found[1]]
    named = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert named == ["deploy/requirements/install.sh"]
