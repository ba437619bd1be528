"""What a sandbox shows of this machine: a Python interpreter, its standard library, and what they load."""

import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

PYTHON = "/usr/bin/python3"
_SEARCHED = ("/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/")
"""Where the loader looks for libraries without being told."""
_LIBRARY = re.compile(r"^\t(?:\S+ => )?(/\S+) \(0x", re.MULTILINE)
_LDD_S = 30


def mounts() -> list[str]:
    """Return bwrap's options for the file system: all of it read-only but a scratch folder, which is added elsewhere.

    Raises:
        OSError: The interpreter's libraries cannot be found out.
        subprocess.SubprocessError: Likewise.
    """
    interpreter, library = Path(sys.executable).resolve(), Path(sysconfig.get_path("stdlib"))
    inside = Path("/usr") / library.relative_to(Path(sys.base_prefix))
    options = ["--ro-bind", str(interpreter), PYTHON, "--ro-bind", str(library), str(inside)]
    for packages in ("site-packages", "dist-packages"):
        if (library / packages).is_dir():
            options += ["--tmpfs", str(inside / packages), "--remount-ro", str(inside / packages)]
    for shared in sorted(_libraries(interpreter, library)):
        options += ["--ro-bind", os.path.realpath(shared), _place(shared)]
    return [*options, "--dev-bind", os.devnull, os.devnull]


def _place(shared: str) -> str:
    """Return where a library lies in the sandbox: homes and other places of this machine are not shown."""
    return shared if shared.startswith(_SEARCHED) else f"/usr/lib/{Path(shared).name}"


def _libraries(interpreter: Path, library: Path) -> Iterator[str]:
    """Yield the shared libraries of the interpreter and of what it can import, as the loader looks for them."""
    binaries = [interpreter, *library.glob("lib-dynload/*.so")]
    listed = subprocess.run(
        ["ldd", *map(str, binaries)], capture_output=True, text=True, timeout=_LDD_S, check=True
    ).stdout
    yield from set(_LIBRARY.findall(listed))
