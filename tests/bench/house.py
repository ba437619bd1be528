"""How a checkout is built: its size, who imports whom, and how far a request has to go.

    python -m tests.bench.house [CHECKOUT] [--json]

Counts the lines and files of each folder, the longest chain of imports, circles of modules and of folders, the places
in server/ that spell a strategy, the functions and frames that `POST /solve` by beam search passes before a model is
asked for its first step (in an exact world, no engine), and the modules and memory of a process that has imported the
service as a gateway does. Runs with the packages of this interpreter, whatever the checkout.
"""

import argparse
import ast
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

ROOTS = ("models", "search", "server")
STRATEGIES = re.compile(r"\b(majority|(weighted_)?best_of_n|beam_search|dvts|rebase)\b")

HOPS = """
import asyncio, importlib, json, os, sys
import httpx
from server.app import create_app
from server.settings import Settings
from tests.natures import Chance
from tests.worlds import World, WorldPolicy
for name in ("server.keys", "server.solving.keys"):
    try:
        Keyring = importlib.import_module(name).Keyring
    except ImportError:
        pass
ours = tuple(os.getcwd() + os.sep + name + os.sep for name in ("models", "search", "server"))
functions, depths, frames = set(), {}, []

def depth():
    frame, number = sys._getframe(1), 0
    while frame:
        number += frame.f_code.co_filename.startswith(ours)
        frame = frame.f_back
    return number

def total():
    return depth() + depths.get(asyncio.current_task(), 0)

def factory(loop, work, **options):
    task = asyncio.Task(work, loop=loop, **options)
    depths[task] = total() if asyncio.current_task(loop) else 0
    return task

def note(frame, event, argument):
    if event == "call" and not frames:
        if frame.f_code is WorldPolicy.propose.__code__:
            frames.append(total())
        elif frame.f_code.co_filename.startswith(ours) and not frame.f_code.co_name.startswith("<"):
            functions.add(frame.f_code)

async def main():
    asyncio.get_running_loop().set_task_factory(factory)
    app = create_app(World(Chance(1)).models, (), Settings(), Keyring())
    body = {"problem": "1 + 1", "strategy": "beam_search", "n": 4, "beam_width": 2, "seed": 1}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://winnow") as client:
        await client.post("/solve", json=body)  # fills caches
        sys.setprofile(note)
        reply = await client.post("/solve", json=body)
        sys.setprofile(None)
    reply.raise_for_status()
    print(json.dumps({"functions": len(functions), "frames": frames[0]}))

asyncio.run(main())
"""
GATEWAY = """
import importlib, json, os, sys
import psutil
importlib.import_module("server.composition" if os.path.exists("server/composition.py") else "server.__main__")
memory = psutil.Process().memory_info().rss / 1e6
print(json.dumps({"modules": len(sys.modules), "megabytes": round(memory)}))
"""


def main() -> None:
    """Describe a checkout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, nargs="?", default=Path(__file__).parents[2])
    parser.add_argument("--json", action="store_true", help="One JSON object.")
    arguments = parser.parse_args()
    found = describe(arguments.checkout.resolve())
    if arguments.json:
        print(json.dumps(found, indent=1))  # noqa: T201 - a command
        return
    for name, value in found.items():
        shown = "\n  ".join(["", *map(str, value)]) if isinstance(value, list) else value
        print(f"{name}: {shown}")  # noqa: T201 - a command


def describe(root: Path) -> dict[str, Any]:
    """Return everything that is counted, by name."""
    trees = {_module(root, path): ast.parse(path.read_text()) for path in _files(root)}
    imports = {name: set(_imported(name, tree, trees)) for name, tree in trees.items()}
    chain = longest_chain(imports)
    spelt = Counter({name: len(list(_spelt(tree))) for name, tree in trees.items() if name.startswith("server")})
    return {
        "lines": sum(map(_lines, _files(root))),
        "files": len(_files(root)),
        "folders": [f"{folder}: {lines:,} lines, {files} files" for folder, lines, files in _folders(root)],
        "longest chain": f"{len(chain)} modules: {' > '.join(chain)}",
        "circles of modules": [" ".join(sorted(circle)) for circle in circles(imports)],
        "circles of folders": [" ".join(sorted(circle)) for circle in circles(_between_folders(imports, trees))],
        "strategies spelt in server/": f"{spelt.total()} places in {len(+spelt)} files",
        "POST /solve": _run(root, HOPS),
        "gateway": _run(root, GATEWAY),
    }


def longest_chain(imports: Mapping[str, set[str]]) -> list[str]:
    """Return the longest way from a module to one that it imports, through others; circles are passed once."""

    @cache
    def chain_from(circle: frozenset[str]) -> tuple[str, ...]:
        others = {home[name] for module in circle for name in imports[module]} - {circle}
        return (*sorted(circle), *max(map(chain_from, others), key=lambda chain: len(chain), default=()))

    home = {name: component for component in _components(imports) for name in component}
    chains: list[tuple[str, ...]] = [chain_from(circle) for circle in home.values()]
    longest: tuple[str, ...] = max(chains, key=len)
    return list(longest)


def circles(edges: Mapping[str, set[str]]) -> list[frozenset[str]]:
    """Return the groups of those that import each other."""
    return [component for component in _components(edges) if len(component) > 1]


def _components(edges: Mapping[str, set[str]]) -> set[frozenset[str]]:
    reach = {name: _reachable(name, edges) for name in edges}
    return {frozenset({name, *(each for each in reach[name] if name in reach[each])}) for name in edges}


def _reachable(start: str, edges: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        new = edges[waiting.pop()] - seen
        seen |= new
        waiting += new
    return seen


def _files(root: Path) -> list[Path]:
    return sorted(path for name in ROOTS for path in (root / name).rglob("*.py"))


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def _folders(root: Path) -> Iterator[tuple[str, int, int]]:
    for folder in sorted({path.parent for path in _files(root)}):
        paths = list(folder.glob("*.py"))
        yield str(folder.relative_to(root)), sum(map(_lines, paths)), len(paths)


def _module(root: Path, path: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(name: str, tree: ast.Module, known: Mapping[str, Any]) -> Iterator[str]:
    """The modules that a module imports as it is loaded."""
    for node in _loaded(tree.body):
        if isinstance(node, ast.Import):
            asked = [each.name for each in node.names]
        else:
            asked = [f"{node.module}.{each.name}" for each in node.names]
            asked = [each if each in known else str(node.module) for each in asked]
        yield from (each for each in asked if each in known and each != name)


def _loaded(body: Iterable[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.Try):
            yield from _loaded(node.body)


def _between_folders(imports: Mapping[str, set[str]], trees: Mapping[str, Any]) -> dict[str, set[str]]:
    def folder(module: str) -> str:
        is_package = any(name.startswith(f"{module}.") for name in trees)
        return module if is_package else module.rpartition(".")[0] or module

    edges: dict[str, set[str]] = {folder(name): set() for name in trees}
    for name, others in imports.items():
        mine = folder(name)
        # A folder and what it holds are one house: only neighbours can make a circle.
        away = {folder(other) for other in others}
        edges[mine] |= {other for other in away if not _is_within(mine, other) and not _is_within(other, mine)}
    return edges


def _is_within(inner: str, outer: str) -> bool:
    return inner == outer or inner.startswith(f"{outer}.")


def _spelt(tree: ast.Module) -> Iterator[str]:
    """Strategies that code names, docstrings left out."""
    bodies = (node for node in ast.walk(tree) if hasattr(node, "body") and isinstance(node.body, list))
    words = {id(each.value) for node in bodies for each in node.body if isinstance(each, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in words:
            yield from (found[0] for found in STRATEGIES.finditer(node.value))
        elif isinstance(node, ast.Name | ast.Attribute):
            name = node.id if isinstance(node, ast.Name) else node.attr
            yield from (found[0] for found in STRATEGIES.finditer(name))


def _run(root: Path, program: str) -> str:
    """Run a program in the checkout; return what it found, or why it found nothing."""
    environment = {**os.environ, "PYTHONPATH": str(root)}  # noqa: TID251 - of the program
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        return f"failed: {done.stderr.strip().splitlines()[-1]}"
    return ", ".join(f"{value:,} {name}" for name, value in json.loads(done.stdout.splitlines()[-1]).items())


if __name__ == "__main__":
    main()
