"""The interface is written down, and it is what is served."""

import json
from pathlib import Path

import httpx

COMMITTED = Path(__file__).parents[2] / "server" / "openapi.json"


async def test_the_committed_interface_is_the_served_one(client: httpx.AsyncClient) -> None:
    served = (await client.get("/openapi.json")).json()
    hint = "winnow serve & curl -s localhost:8000/openapi.json | python -m json.tool > server/openapi.json"
    assert json.loads(COMMITTED.read_text()) == served, hint
