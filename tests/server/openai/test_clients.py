"""What real clients ask is answered: bodies that `python -m tests.clients.record` wrote down.

`make test-clients` runs the clients themselves.
"""

import json
from typing import Any

import httpx
import pytest

from tests.clients.record import RECORDED
from tests.clients.scripts import POLICY, SEARCHED

CLIENTS: dict[str, list[dict[str, Any]]] = json.loads(RECORDED.read_text())


@pytest.mark.parametrize("model", [POLICY, SEARCHED], ids=["plain", "searched"])
@pytest.mark.parametrize("name", CLIENTS)
async def test_a_clients_requests_are_answered(client: httpx.AsyncClient, name: str, model: str) -> None:
    for path, body in ((note["path"], note["body"]) for note in CLIENTS[name]):
        if model == SEARCHED and body.get("stop"):  # Vercel's provider sets it for completions
            continue
        reply = await client.post(path, json=body | {"model": model})
        assert (reply.status_code, reply.text[:300] if reply.is_error else "") == (200, "")
        if body.get("stream"):
            assert reply.text.startswith(("data: {", "event: "))
            assert '"error": {' not in reply.text
        else:
            assert reply.json()["object"] in ("chat.completion", "text_completion", "response")


def test_every_client_asks_by_every_route_that_it_has() -> None:
    routes = {name: {note["path"].removeprefix("/v1/") for note in notes} for name, notes in CLIENTS.items()}
    everything = {"chat/completions", "completions", "responses"}
    assert routes == dict.fromkeys(routes, everything) | {
        "agents_sdk.py": {"chat/completions", "responses"},
        "autogen_sdk.py": {"chat/completions"},
    }
    assert len(routes) == 8
