"""A third engine, on a seeded tiny Llama: for published reward models, and for tokenizers unlike the demo's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from models.checkpoints.tokenizer import ChatTokenizer
from tests.models.tiny import save_tiny_llama

if TYPE_CHECKING:
    from models.vllm.engine import Engine


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llama(tmp_path_factory.mktemp("tiny") / "llama")


@pytest.fixture(scope="session")
def tiny_tokenizer(tiny_llama: Path) -> ChatTokenizer:
    return ChatTokenizer(tiny_llama)


@pytest.fixture(scope="session")
async def tiny_engine(tiny_llama: Path) -> AsyncIterator[Engine]:
    from models.vllm.engine import start_engine
    from models.vllm.settings import EngineSettings

    async with start_engine(EngineSettings(tiny_llama, "tiny"), "generate") as engine:
        yield engine
