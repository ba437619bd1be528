"""The one pair of engines of a test run, on the demo checkpoints.

vLLM is imported where a test needs an engine, so that the others run at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from models.policy.vllm_policy import VLLMPolicy
    from models.prm.vllm_verifier import VLLMVerifier
    from models.prompt import PromptBuilder

DEMO = Path(__file__).parents[1] / "models" / "demo"
ENGINES = {"policy", "verifier", "tiny_engine", "published", "outcome_engine"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need an engine come first: engines are forked, and other tests leave threads behind."""
    items.sort(key=lambda item: ENGINES.isdisjoint(getattr(item, "fixturenames", ())))


@pytest.fixture(scope="session")
def prompts() -> PromptBuilder:
    from models.prompt import PromptBuilder
    from models.tokenizer import ChatTokenizer

    return PromptBuilder(ChatTokenizer(DEMO / "policy"))


@pytest.fixture(scope="session")
async def policy(prompts: PromptBuilder) -> AsyncIterator[VLLMPolicy]:
    from models.launch import EngineSettings
    from models.policy.vllm_policy import open_policy

    async with open_policy(EngineSettings(DEMO / "policy", "policy"), prompts) as policy:
        yield policy


@pytest.fixture(scope="session")
async def verifier(prompts: PromptBuilder) -> AsyncIterator[VLLMVerifier]:
    from models.launch import EngineSettings
    from models.prm.vllm_verifier import open_verifier

    async with open_verifier(EngineSettings(DEMO / "prm", "verifier"), prompts) as verifier:
        yield verifier
