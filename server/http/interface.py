"""The app whose document says what this service allows: the limits of its settings, narrower than the schema's.

FastAPI writes every limit as a double, which has no room for the last digits of a seed: those are written again.
"""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from server.http.streams import SCHEMAS
from server.settings import LIMITS, Settings
from server.stream import EVENTS

NUM_SEEDS = 2**63
"""Seeds are whole numbers below this."""
REQUESTS = ("SolveRequest", "SearchOptions", "BatchRequest", "ChatRequest", "CompletionRequest")


class Interface(FastAPI):
    """An app that documents the limits of its settings."""

    def __init__(self, settings: Settings, **options: Any) -> None:
        super().__init__(**options)
        self._settings = settings

    def openapi(self) -> dict[str, Any]:
        """Return the document, made once."""
        if self.openapi_schema is None:
            schemas = super().openapi()["components"]["schemas"]
            narrow(schemas, self._settings)
            for name, schema in event_schemas().items():
                schemas.setdefault(name, schema)
        return super().openapi()


def event_schemas() -> dict[str, Any]:
    """Return the schemas of the events of a search, which no reply names."""
    models = [(model, "serialization") for model in EVENTS.values()]
    _, document = models_json_schema(models, ref_template=f"{SCHEMAS}{{model}}")  # type: ignore[arg-type]
    return dict(document["$defs"])


def narrow(schemas: dict[str, Any], settings: Settings) -> None:
    """Write the limits of a service into the schemas of its requests."""
    for model in REQUESTS:
        for field in LIMITS:
            for schema in _choices(schemas[model], field):
                _lower(schema, settings.most(field))
        for schema in _choices(schemas[model], "max_tokens"):
            if "default" in schema:
                schema["default"] = settings.response_tokens
        for schema in _choices(schemas[model], "seed"):
            if "maximum" in schema:
                schema["maximum"] = NUM_SEEDS - 1
                schema["minimum"] = -NUM_SEEDS if schema["minimum"] < 0 else 0


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
