"""The interface is written down, and it is what is served."""

import json
from pathlib import Path

import httpx
import pytest

from server.app import create_app
from server.keys import Keyring
from server.settings import Settings
from tests.server.services import world_of

COMMITTED = Path(__file__).parents[2] / "server" / "openapi.json"


async def test_the_committed_interface_is_the_served_one(client: httpx.AsyncClient) -> None:
    served = (await client.get("/openapi.json")).json()
    hint = "winnow serve & curl -s localhost:8000/openapi.json | python -m json.tool > server/openapi.json"
    assert json.loads(COMMITTED.read_text()) == served, hint


@pytest.mark.parametrize(
    ("model", "field", "bound", "most"),
    [
        ("SolveRequest", "n", "maximum", 8),
        ("SolveRequest", "n", "default", 8),
        ("SolveRequest", "max_tokens", "maximum", 64),
        ("SearchOptions", "n", "maximum", 8),
        ("SearchOptions", "max_steps", "maximum", 1000),
        ("BatchRequest", "requests", "maxItems", 2),
        ("SolveRequest", "seed", "maximum", 2**63 - 1),
        ("ChatRequest", "seed", "minimum", -(2**63)),
    ],
)
def test_the_interface_of_a_service_has_its_own_limits(model: str, field: str, bound: str, most: int) -> None:
    settings = Settings(max_n=8, max_tokens=64, max_batch=2)
    document = create_app(world_of().models, (), settings, Keyring()).openapi()
    schema = document["components"]["schemas"][model]["properties"][field]
    assert most in (schema.get(bound), *(each.get(bound) for each in schema.get("anyOf", ())))
