"""Breaks the strategies on purpose, one way at a time: `python -m tests.bench.mutants`.

Every mutant is a defect that a search could have. Each is made in a copy of the tree, where the tests of the searches
run until one fails. A mutant that no test kills ends the run with status 1.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 120
"""A mutant may search for ever; that kills it, too."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A defect: in `file`, each `old` (of which there is one) becomes its `new`."""

    defect: str
    file: str
    edits: list[tuple[str, str]]


def load() -> list[Mutant]:
    """Read the mutants of `mutants.toml`."""
    found = tomllib.loads((Path(__file__).parent / "mutants.toml").read_text())["mutant"]
    return [Mutant(each["defect"], each["file"], [(old, new) for old, new in each["edits"]]) for each in found]


def main() -> int:
    """Try every mutant; 1 if one survives, or if the tests fail without any."""
    console, table = Console(), Table("defect", "killed by the test that")
    mutants, num_survivors = load(), 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "winnow"
        _copy(tree)
        if (failed := _first_failure(tree)) is not None:
            console.print(f"without any mutant: {failed}", style="red")
            return 1
        for each in track(mutants, "mutants", console=console):
            killer = _try(each, tree)
            num_survivors += killer is None
            table.add_row(each.defect, killer or "[red]survived")
    console.print(table)
    console.print(f"{len(mutants) - num_survivors} of {len(mutants)} mutants killed")
    return 1 if num_survivors else 0


def _copy(tree: Path) -> None:
    for package in ("models", "search", "tests"):
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__", "demo"))
    shutil.copy(ROOT / "pyproject.toml", tree)


def _try(each: Mutant, tree: Path) -> str | None:
    """Return the name of the test that kills the mutant."""
    path = tree / each.file
    original = source = path.read_text()
    for old, new in each.edits:
        if source.count(old) != 1:
            raise ValueError(f"{each.defect}: {each.file} has {source.count(old)} times {old!r}")
        source = source.replace(old, new)
    path.write_text(source)
    try:
        return _first_failure(tree)
    finally:
        path.write_text(original)


def _first_failure(tree: Path) -> str | None:
    """Run the tests of the searches (not those of the answers) until one fails; return its name as a sentence."""
    tests = sorted(str(path) for path in (tree / "tests/search").glob("test_*.py"))
    options = ["-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--confcutdir", "tests/search"]
    command = [sys.executable, "-m", "pytest", *options, *tests]
    try:
        run = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return "the time limit"
    if run.returncode == 0:
        return None
    failed = re.search(r"^FAILED \S+?::test_(\w+)", run.stdout, re.MULTILINE)
    return failed[1].replace("_", " ") if failed else run.stdout.strip().splitlines()[-1]


if __name__ == "__main__":
    sys.exit(main())
