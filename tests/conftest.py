"""The one pair of engines of a test run, on the demo checkpoints, and the one pair of servers.

vLLM is imported where a test needs an engine, so that the others run at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers import demo_servers

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


@pytest.fixture(scope="session")
def servers() -> Iterator[tuple[str, str]]:
    """URLs of the policy's server and the verifier's."""
    with demo_servers(DEMO) as urls:
        yield urls


@pytest.fixture(scope="session")
async def remote_policy(servers: tuple[str, str], prompts: PromptBuilder) -> AsyncIterator[VLLMPolicy]:
    from models.policy.vllm_policy import open_policy
    from models.remote.settings import RemoteSettings

    async with open_policy(RemoteSettings(DEMO / "policy", "policy", servers[:1]), prompts) as policy:
        yield policy


@pytest.fixture(scope="session")
async def remote_verifier(servers: tuple[str, str], prompts: PromptBuilder) -> AsyncIterator[VLLMVerifier]:
    from models.prm.vllm_verifier import open_verifier
    from models.remote.settings import RemoteSettings

    async with open_verifier(RemoteSettings(DEMO / "prm", "verifier", servers[1:]), prompts) as verifier:
        yield verifier
