"""The app whose document is of this service: its limits, its examples, and whether it asks for a key.

FastAPI writes every limit as a double, which has no room for the last digits of a seed: those are written again. It
makes summaries of the names of functions; here the first sentence of a docstring is the summary.
"""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from server.http.access import OPEN
from server.http.examples import with_examples, with_refusals
from server.http.streams import SCHEMAS
from server.settings import LIMITS, Settings
from server.stream import EVENTS

NUM_SEEDS = 2**63
"""Seeds are whole numbers below this."""
REQUESTS = ("SolveRequest", "SearchOptions", "BatchRequest", "ChatRequest", "CompletionRequest")


KEY = "key"
"""What the document calls the scheme by which a service knows its clients."""


class Interface(FastAPI):
    """An app that documents the service that it is.

    Args:
        settings: Of the service.
        needs_key: Whether its routes need a key, but for those that are open.
        options: FastAPI's.
    """

    def __init__(self, settings: Settings, *, needs_key: bool, **options: Any) -> None:
        super().__init__(**options)
        self._settings = settings
        self._needs_key = needs_key

    def openapi(self) -> dict[str, Any]:
        """Return the document, made once."""
        if self.openapi_schema is None:
            document = super().openapi()
            schemas = document["components"]["schemas"]
            narrow(schemas, self._settings)
            for name, schema in event_schemas().items():
                schemas.setdefault(name, schema)
            for operation in operations(document).values():
                summarise(operation)
            with_examples(document, self._settings)
            with_refusals(document)
            if self._needs_key:
                with_key(document)
        return super().openapi()


def event_schemas() -> dict[str, Any]:
    """Return the schemas of the events of a search, which no reply names."""
    models = [(model, "serialization") for model in EVENTS.values()]
    _, document = models_json_schema(models, ref_template=f"{SCHEMAS}{{model}}")  # type: ignore[arg-type]
    return dict(document["$defs"])


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the operations of a document by path and method."""
    return {(path, method): each for path, methods in document["paths"].items() for method, each in methods.items()}


def summarise(operation: dict[str, Any]) -> None:
    """Make the first line of an operation's description its summary; what follows is the description."""
    first, _, rest = operation.pop("description", "").partition("\n")
    operation["summary"] = first.rstrip(".")
    if rest.strip():
        operation["description"] = rest.strip()


def with_key(document: dict[str, Any]) -> None:
    """Say that a key is needed, and where none is."""
    scheme = {"type": "http", "scheme": "bearer", "description": "A key of this service, as its operator gave it out."}
    document["components"]["securitySchemes"] = {KEY: scheme}
    document["security"] = [{KEY: []}]
    for (path, _), operation in operations(document).items():
        if path in OPEN:
            operation["security"] = []


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
