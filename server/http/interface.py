"""The app whose document says what this service allows: the limits of its settings, narrower than the schema's.

FastAPI writes every limit as a double, which has no room for the last digits of a seed's: these are put right too.
"""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from server.http.limits import LIMITS
from server.settings import Settings
from server.state import State

SEEDS = 2**63
"""Seeds are whole numbers below this."""
NARROWED = {
    "SolveRequest": LIMITS,
    "SearchOptions": LIMITS,
    "BatchRequest": {"requests": "max_batch"},
    "ChatRequest": {**LIMITS, "max_completion_tokens": "max_tokens"},
    "CompletionRequest": LIMITS,
}
"""By model: the setting that bounds a field."""


class Interface(FastAPI):
    """An app with the state of a service."""

    def openapi(self) -> dict[str, Any]:
        """Return the document, made once."""
        if self.openapi_schema is None:
            state = self.state.winnow
            assert isinstance(state, State)  # noqa: S101 - set by create_app
            narrow(super().openapi()["components"]["schemas"], state.settings)
        return super().openapi()


def narrow(schemas: dict[str, Any], settings: Settings) -> None:
    """Write the limits of a service into the schemas of its requests."""
    for model, limits in NARROWED.items():
        for field, setting in limits.items():
            for schema in _choices(schemas[model], field):
                _lower(schema, getattr(settings, setting))
    for model in ("SolveRequest", "ChatRequest", "CompletionRequest"):
        for schema in _choices(schemas[model], "seed"):
            if "maximum" in schema:
                schema["maximum"] = SEEDS - 1
                schema["minimum"] = -SEEDS if schema["minimum"] < 0 else 0


def _choices(model: dict[str, Any], field: str) -> Iterator[dict[str, Any]]:
    """The schemas of a field, null beside others; none for a field that the model does not have."""
    schema = model["properties"].get(field, {})
    yield from schema.get("anyOf", [schema])


def _lower(schema: dict[str, Any], most: float) -> None:
    for bound in ("maximum", "maxItems"):
        if bound in schema:
            schema[bound] = type(schema[bound])(min(schema[bound], most))
    if "default" in schema:
        schema["default"] = min(schema["default"], most)
