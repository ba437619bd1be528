"""Quantised checkpoints on this machine's engine: which run, and how near they are to the weights that they stand for.

python -m tests.bench.quantised [SCHEME ...]      two engines each, some seven seconds; none: as it was drawn

A verifier is compared by its scores on 100 responses, a policy by how many of 16 greedy tokens come before one that
plain transformers does not choose in float32: with weights drawn at random, two logits are often nearly the same.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForCausalLM

from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import ModelError
from models.generation import Generation
from models.prm.formats import open_verifier
from models.vllm.engine import start_engine
from models.vllm.settings import MIB, EngineSettings
from tests.models.backbones import largest_difference, plain_scores, save_backbone
from tests.models.quantised import SCHEMES, save_quantised
from tests.models.tiny import save_tiny_llama

PROMPT = [5 + 7 * place % 300 for place in range(60)]
NUM_TOKENS = 16


async def main(schemes: list[str]) -> None:
    table = Table(
        "scheme", "verifier: largest difference", "spread", "policy: same tokens", title="bfloat16, tiny Llama"
    )
    with tempfile.TemporaryDirectory() as folder:
        verifier = save_backbone("llama", Path(folder) / "verifier")
        policy = save_tiny_llama(Path(folder) / "policy")
        for scheme in schemes:
            judged = await _run(judge, *_saved(verifier, scheme, Path(folder) / "verifiers")) or ("refused", "")
            spoken = await _run(speak, *_saved(policy, scheme, Path(folder) / "policies")) or ("refused",)
            table.add_row(scheme, *judged, *spoken)
    Console(width=100).print(table)


def _saved(checkpoint: Path, scheme: str, directory: Path) -> tuple[Path, Path]:
    directory.mkdir(exist_ok=True)
    return save_quantised(checkpoint, scheme, directory) if scheme in SCHEMES else (checkpoint, checkpoint)


async def _run(compare: Any, stored: Path, read_back: Path) -> tuple[str, ...] | None:
    try:
        row: tuple[str, ...] = await compare(stored, read_back)
    except ModelError as error:
        Console().print(stored.name, str(error))
        return None
    return row


async def judge(stored: Path, read_back: Path) -> tuple[str, ...]:
    prompts = PromptBuilder(ChatTokenizer(stored))
    settings = EngineSettings(stored, "verifier", dtype="bfloat16", kv_cache_bytes=32 * MIB)
    async with open_verifier("winnow", settings, prompts) as verifier:
        difference, spread, _ = await largest_difference(
            verifier, plain_scores(read_back), prompts.build, prompts.tokenizer.encode
        )
    return f"{difference:.1e}", f"{spread:.2f}"


async def speak(stored: Path, read_back: Path) -> tuple[str, ...]:
    model: Any = AutoModelForCausalLM.from_pretrained(read_back, dtype=torch.float32)
    drawn = model.generate(torch.tensor([PROMPT]), max_new_tokens=NUM_TOKENS, do_sample=False)
    expected = drawn[0, len(PROMPT) :].tolist()
    settings = EngineSettings(stored, "policy", dtype="bfloat16", kv_cache_bytes=32 * MIB)
    async with start_engine(settings, "generate") as engine:
        generated = await engine.complete(PROMPT, Generation(max_tokens=NUM_TOKENS, temperature=0.0))
    same = [own == other for own, other in zip(generated.token_ids, expected, strict=False)]
    return (f"{same.index(False) if False in same else len(same)} of {len(expected)}",)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("schemes", nargs="*", metavar="SCHEME")
    asyncio.run(main(parser.parse_args().schemes or ["none", *SCHEMES]))
