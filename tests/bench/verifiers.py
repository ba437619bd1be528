"""Reward models on every backbone that tests/models/backbones.py draws: a served one against plain transformers.

python -m tests.bench.verifiers [MODEL_TYPE ...]      an engine each, some three seconds; 100 responses
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.prm.formats import open_verifier
from models.vllm.settings import MIB, EngineSettings
from tests.models.backbones import BACKBONES, OTHERS, largest_difference, plain_scores, save_backbone


async def main(model_types: list[str]) -> None:
    table = Table("backbone", "largest difference", "spread", "cached tokens", "computed", "s", title="100 responses")
    with tempfile.TemporaryDirectory() as folder:
        for model_type in model_types:
            table.add_row(model_type, *await compare(save_backbone(model_type, Path(folder) / model_type)))
    Console(width=100).print(table)


async def compare(directory: Path) -> tuple[str, ...]:
    start, prompts = time.perf_counter(), PromptBuilder(ChatTokenizer(directory))
    settings = EngineSettings(directory, "verifier", dtype="float32", kv_cache_bytes=32 * MIB)
    async with open_verifier("winnow", settings, prompts) as verifier:
        difference, spread, meter = await largest_difference(
            verifier, plain_scores(directory), prompts.build, prompts.tokenizer.encode
        )
    seconds = time.perf_counter() - start
    bill = f"{meter.verifier_cached_tokens:,}", f"{meter.verifier_tokens:,}"
    return f"{difference:.1e}", f"{spread:.2f}", *bill, f"{seconds:.1f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model_types", nargs="*", metavar="MODEL_TYPE")
    asyncio.run(main(parser.parse_args().model_types or [*BACKBONES, *OTHERS]))
