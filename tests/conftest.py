"""The one pair of engines of a test run, on the demo checkpoints, and the servers of the pair.

A test that starts engines without these fixtures, such as one that runs `winnow serve`, is marked `engine` by hand.
vLLM is imported where a test needs an engine, so that the others run at once.
"""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.servers import Fleet, demo_servers

if TYPE_CHECKING:
    from models.checkpoints.prompt import PromptBuilder
    from models.policy.engine_policy import EnginePolicy
    from models.prm.winnow import WinnowPRM

DEMO = Path(__file__).parents[1] / "models" / "demo"
SEARCH = Path(__file__).parent / "search"
SHARED = {"pair": {"policy", "verifier", "servers"}, "smollm2": {"smollm2"}, "gemma3": {"gemma3"}}
"""The fixtures whose engines live as long as the tests run, by model."""
ENGINES = set().union(*SHARED.values()) | {"tiny_engine", "published", "outcome_engine", "wide", "cramped"}
"""The fixtures that start an engine: what asks for one, however indirectly, is marked `engine`."""


hypothesis.settings.register_profile("busy machine", deadline=None)
hypothesis.settings.load_profile("busy machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """More servers than one of each model take more memory than tests may; not every machine has a browser."""
    parser.addoption("--replicas", type=int, default=1, help="Servers of the policy, and as many of the verifier.")
    parser.addoption("--browser", action="store_true", help="Fail where there is no browser for the tests of the page.")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs an engine, and put it first: engines are forked, and other tests leave threads behind.

    Where tests run in several processes, one of them has all tests that share an engine, and a module stays whole.
    """
    places = {}
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if fixtures & ENGINES:
            item.add_marker(pytest.mark.engine)
        shared = [name for name, own in SHARED.items() if fixtures & own]
        item.add_marker(pytest.mark.xdist_group((*shared, item.nodeid.partition("::")[0])[0]))
        places[item] = (not shared, item.get_closest_marker("engine") is None)
    items.sort(key=places.__getitem__)


def pytest_sessionstart() -> None:
    """Look for no garbage while tests are collected."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Set aside what was imported and collected: else every search for garbage would go through it again."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let the tests of search/ alone count for its coverage: searches take 2.4 times as long where lines are counted.

    Of these, laws over hundreds of random worlds are marked `no_cover`, which is pytest-cov's.
    """
    counting = getattr(item.config.pluginmanager.getplugin("_cov"), "cov_controller", None)
    if counting is None or item.path.is_relative_to(SEARCH):
        return (yield)
    counting.pause()
    try:
        return (yield)
    finally:
        counting.resume()


@pytest.fixture(scope="session")
def prompts() -> PromptBuilder:
    from models.checkpoints.prompt import PromptBuilder
    from models.checkpoints.tokenizer import ChatTokenizer

    return PromptBuilder(ChatTokenizer(DEMO / "policy"))


@pytest.fixture(scope="session")
async def policy(prompts: PromptBuilder) -> AsyncIterator[EnginePolicy]:
    from models.policy.engine_policy import open_policy
    from models.vllm.settings import EngineSettings

    async with open_policy(EngineSettings(DEMO / "policy", "policy"), prompts) as policy:
        yield policy


@pytest.fixture(scope="session")
async def verifier(prompts: PromptBuilder) -> AsyncIterator[WinnowPRM]:
    from models.prm.formats import open_verifier
    from models.prm.winnow import WinnowPRM
    from models.vllm.settings import EngineSettings

    async with open_verifier("winnow", EngineSettings(DEMO / "prm", "verifier"), prompts) as verifier:
        assert isinstance(verifier, WinnowPRM)
        yield verifier


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> Iterator[Fleet]:
    with demo_servers(DEMO, request.config.getoption("--replicas")) as fleet:
        yield fleet


@pytest.fixture(scope="session")
async def remote_policy(servers: Fleet, prompts: PromptBuilder) -> AsyncIterator[EnginePolicy]:
    from models.policy.engine_policy import open_policy
    from models.remote.settings import RemoteSettings

    async with open_policy(RemoteSettings(DEMO / "policy", "policy", servers.policies), prompts) as policy:
        yield policy


@pytest.fixture(scope="session")
async def remote_verifier(servers: Fleet, prompts: PromptBuilder) -> AsyncIterator[WinnowPRM]:
    from models.prm.formats import open_verifier
    from models.prm.winnow import WinnowPRM
    from models.remote.settings import RemoteSettings

    settings = RemoteSettings(DEMO / "prm", "verifier", servers.verifiers)
    async with open_verifier("winnow", settings, prompts) as verifier:
        assert isinstance(verifier, WinnowPRM)
        yield verifier
