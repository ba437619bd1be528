"""The clients themselves against the real service: `make test-clients`, which installs them first."""

from pathlib import Path

import httpx
import pytest

from tests.clients.scripts import SCRIPTS, run


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.name for script in SCRIPTS])
async def test_a_client_gets_its_answers_plain_and_searched(client: httpx.AsyncClient, script: Path) -> None:
    code, said = await run(script, str(client.base_url))
    assert code == 0, said
