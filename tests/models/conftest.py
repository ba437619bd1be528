"""A third engine, on a seeded tiny Llama: for published reward models, and for tokenizers unlike the demo's."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from models.checkpoints.tokenizer import ChatTokenizer
from models.vllm.engine import Engine, start_engine
from models.vllm.settings import EngineSettings
from tests.models.tiny import save_tiny_llama


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llama(tmp_path_factory.mktemp("tiny") / "llama")


@pytest.fixture(scope="session")
def tiny_tokenizer(tiny_llama: Path) -> ChatTokenizer:
    return ChatTokenizer(tiny_llama)


@pytest.fixture(scope="session")
async def tiny_engine(tiny_llama: Path) -> AsyncIterator[Engine]:
    async with start_engine(EngineSettings(tiny_llama, "tiny"), "generate") as engine:
        yield engine
