"""The engine of one published format at a time: `published` is its verifier, and lasts as long as its test module."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from models.checkpoints.prompt import PromptBuilder
from models.prm.formats import open_verifier
from models.prm.served import RunningVerifier
from models.vllm.settings import MIB, EngineSettings


@pytest.fixture(scope="module")
def options() -> object:
    """Of the format."""
    return None


@pytest.fixture(scope="module")
async def published(
    format_name: str, checkpoint: Path, options: object, prompts: PromptBuilder
) -> AsyncIterator[RunningVerifier]:
    settings = EngineSettings(checkpoint, format_name, dtype="float32", kv_cache_bytes=32 * MIB, options=options)
    async with open_verifier(format_name, settings, prompts) as verifier:
        yield verifier
