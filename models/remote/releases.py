"""What a server's release of vLLM lacks, as the server describes itself; and what follows for searches.

Releases are told apart by the fields and paths that they have, not by their numbers, so that builds of others count
for what they can do. What a flag decides is not in the description: whether replies say what came from the cache.
"""

from dataclasses import dataclass
from typing import Any, Literal

from models.remote.replies import Reply, ReplyError, read

OPENAPI = "/openapi.json"
VERSION = "/version"
OPENAPI_BYTES = 1 << 21
"""The description of 0.32 takes 0.3 MB."""
GRAMMARS = "structured_outputs"

Runner = Literal["generate", "pooling"]


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that a release may lack.

    Attributes:
        runner: Of the servers that are asked for it.
        path: Where it is.
        field: Of the requests there; None: it is the path itself.
        consequence: What follows where it is missing.
        is_fatal: Whether the server is of no use then.
    """

    runner: Runner
    path: str
    field: str | None
    consequence: str
    is_fatal: bool = False

    def __str__(self) -> str:
        """Say what is missing, and what follows."""
        return f"no {self.field or self.path} ({self.consequence})"


GAPS = (
    Gap("generate", "/v1/completions", "return_token_ids", "replies say no token ids", is_fatal=True),
    Gap("generate", "/v1/completions", GRAMMARS, "no search is held to a grammar: such requests fail"),
    Gap("generate", "/v1/completions", "logprob_token_ids", "verifiers that judge in words do not run there"),
    Gap("generate", "/v1/completions", "stream_interval", "each token is an event: more CPU time in winnow"),
    Gap("pooling", "/classify", None, "no verifier runs there", is_fatal=True),
    Gap("pooling", "/classify", "use_activation", "verifiers of the format outcome may be read wrongly"),
    Gap(
        "pooling",
        "/v1/winnow/scores",
        None,
        "each step is judged by a request of its own, and what comes from the cache is not on the bill",
    ),
)


class Release(Reply):
    """The release of a server."""

    version: str


class Description(Reply):
    """What a server says of its interface."""

    paths: dict[str, dict[str, Any]]
    components: dict[str, Any]

    def has(self, path: str, field: str | None) -> bool:
        """Return whether requests to a path may have a field, or, without one, whether the path is there."""
        if field is None or path not in self.paths:
            return path in self.paths
        return any(field in schema.get("properties", {}) for schema in self._schemas(self.paths[path].get("post")))

    def _schemas(self, described: Any) -> list[dict[str, Any]]:
        """Return the schemas that a description of a request names; those that they name in turn are not read."""
        if isinstance(described, list):
            return [schema for each in described for schema in self._schemas(each)]
        if not isinstance(described, dict):
            return []
        name = str(described.get("$ref", "")).removeprefix("#/components/schemas/")
        named = self.components.get("schemas", {}).get(name)
        if isinstance(named, dict):
            return [named]
        return [schema for each in described.values() for schema in self._schemas(each)]


def read_gaps(data: bytes, runner: Runner | None = None) -> tuple[Gap, ...]:
    """Return what a server lacks, by its description.

    Args:
        data: The description.
        runner: What the server is asked to do; None: what it offers.

    Raises:
        ReplyError: It is no description.
    """
    described = read(Description, data)
    if runner is None:
        runner = "generate" if "/v1/completions" in described.paths else "pooling"
    try:
        return tuple(gap for gap in GAPS if gap.runner == runner and not described.has(gap.path, gap.field))
    except (AttributeError, RecursionError, TypeError):
        raise ReplyError("its description is none of OpenAPI") from None
