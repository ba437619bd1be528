"""`winnow` as it runs where nothing but a set of requirements is installed: what others bring is not found.

    python -m tests.gateway deploy/requirements/gateway.txt serve --policy-url ...

With GATEWAY_MODULES, a file, the names of all modules that were imported are written there at the end.
"""

import atexit
import os
import re
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType
from typing import ClassVar

OURS = {"winnow", "pip", "setuptools"}


class SetFinder(PathFinder):
    """Finds what lies on the path, but for packages that are not in a set: those are not installed."""

    absent: ClassVar[set[str]] = set()

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return None if name.partition(".")[0] in cls.absent else super().find_spec(name, path, target)


def install(lock: Path) -> None:
    pinned = {canonical(line.split("==")[0]) for line in lock.read_text().splitlines() if "==" in line} | OURS
    owners = packages_distributions()
    SetFinder.absent = {name for name, each in owners.items() if pinned.isdisjoint(map(canonical, each))}
    sys.meta_path[sys.meta_path.index(PathFinder)] = SetFinder


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    lock = sys.argv.pop(1)
    if lock != "all":
        install(Path(lock))
    if listing := os.environ.pop("GATEWAY_MODULES", None):  # noqa: TID251 - not a setting of winnow's
        atexit.register(lambda: Path(listing).write_text("\n".join(sorted(sys.modules))))
    from server.cli.main import main as winnow

    winnow()


if __name__ == "__main__":
    main()
