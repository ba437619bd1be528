"""The clients themselves against the real service: `make test-clients`, which installs them first."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from tests.clients.scripts import SCRIPTS, run

Outcomes = Mapping[Path, tuple[int, str]]


@pytest.fixture(scope="module")
async def outcomes(client: httpx.AsyncClient) -> Outcomes:
    """What became of all scripts, which run beside each other: most of their time goes into imports."""
    ended = await asyncio.gather(*(run(script, str(client.base_url)) for script in SCRIPTS))
    return dict(zip(SCRIPTS, ended, strict=True))


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.name for script in SCRIPTS])
def test_a_client_gets_its_answers_plain_and_searched(outcomes: Outcomes, script: Path) -> None:
    code, said = outcomes[script]
    assert code == 0, said
