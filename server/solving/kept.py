"""Searches that outlive the connection of their client, as everybody sees them: wherever they run, and however kept.

A store keeps them: for one service in its own memory (`background.py`), for several gateways in Redis (`shared.py`).
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from fastapi.responses import Response

from server.errors import RequestError
from server.http.errors import ErrorReply
from server.keys import Client

if TYPE_CHECKING:
    from server.solving.searching import Search  # whose state holds a store

Progress = Literal["queued", "running", "complete", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """What a client names a request by.

    Attributes:
        text: Of the header.
        body: Digest of the request that came with it.
    """

    text: str
    body: str


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a search besides its events.

    Attributes:
        id: Unguessable; also the request id of its log lines and its reply.
        client: Name of the client that asked.
        key: That it was asked for with.
        is_background: Whether it runs on without anybody who waits for it.
        created: Unix time.
        expires: Unix time at which it is forgotten; None until it has ended.
        progress: How far it is.
        failure: What it ended with, unless it is complete.
    """

    id: str
    client: str
    key: IdempotencyKey | None
    is_background: bool
    created: float
    expires: float | None = None
    progress: Progress = "queued"
    failure: ErrorReply | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it runs."""
        return self.progress not in ("queued", "running")

    def response(self, latest: bytes) -> Response:
        """Return what `POST /solve` replies without `background`; it has ended.

        Args:
            latest: The data of its latest event.
        """
        return self.failure.response() if self.failure else Response(latest, media_type="application/json")

    def json(self, latest: bytes) -> str:
        """Return it as `GET /solve/{id}` shows it: a `BackgroundOut`, whose result is written already.

        Args:
            latest: The data of its latest event; read if it is complete.
        """
        error = self.failure.body.model_dump() if self.failure and self.progress == "failed" else None
        shown = {"id": self.id, "state": self.progress, "created": self.created, "expires": self.expires}
        result = latest.decode() if self.progress == "complete" else "null"
        return f'{json.dumps(shown | {"error": error})[:-1]}, "result": {result}}}'

    def require_body(self, key: IdempotencyKey | None) -> None:
        """Require that it was asked for with this key and this body.

        Raises:
            RequestError: The key came with another body.
        """
        if self.key != key:
            message = "idempotency-key: came with another body before; send a new key with a new request"
            raise RequestError(message, "idempotency-key", code="idempotency_key_reused")

    def require_client(self, client: Client, *, has_keys: bool) -> None:
        """Require that the client may see it; without keys, its id is all that is needed.

        Raises:
            RequestError: Another client asked for it.
        """
        if has_keys and self.client != client.name:
            raise not_found()


def not_found() -> RequestError:
    """Return the error for a search that is not there, or not for this client."""
    message = "id: there is no such search; it may have been forgotten, or belong to another key"
    return RequestError(message, "id", 404, "search_not_found")


class Log(Protocol):
    """The events of a search."""

    def require(self, after: int, param: str) -> None:
        """Require that `follow(after)` has everything behind that event.

        Raises:
            RequestError: An event is gone, or there never was one with the number; the message names `param`.
        """

    def follow(self, after: int = 0) -> AsyncIterator[bytes]:
        """Yield the events behind number `after`, and wait for more until the last."""


class Kept(Protocol):
    """A search that outlives its connection."""

    @property
    def record(self) -> Record:
        """What is known of it; as of now, or as of the last look at it."""

    @property
    def log(self) -> Log:
        """Its events."""

    async def attend(self, patience_s: float) -> None:
        """Wait for the end.

        Args:
            patience_s: How long a search that is not in the background goes on once nobody attends.

        Raises:
            StoreUnavailableError: It cannot be seen.
        """

    async def stop(self) -> None:
        """Stop it, and the engines' work for it, and return when it has ended.

        Raises:
            StoreUnavailableError: It cannot be reached.
        """

    def response(self) -> Response:
        """Return what `POST /solve` replies without `background`; it has ended."""

    def json(self) -> str:
        """Return it as `GET /solve/{id}` shows it."""


@dataclass(frozen=True, slots=True)
class Amount:
    """So many searches, and the bytes of their events and results."""

    num_searches: int = 0
    num_bytes: int = 0


class Store(Protocol):
    """Keeps searches."""

    @property
    def shared(self) -> Amount | None:
        """What all gateways keep together, when this one looked last; None where it keeps its own."""

    @property
    def num_bytes(self) -> int:
        """Of the events and results that this process holds."""

    def __len__(self) -> int:
        """How many searches this process holds."""

    async def open(self) -> None:
        """Begin to keep searches."""

    async def begin(self, search: "Search", key: IdempotencyKey | None) -> Kept:
        """Begin a search, or join the one that the client began with the same key; return once it is in the queue.

        Raises:
            RequestError: It cannot be served, or the key came with another body.
            BackgroundFullError: As many as allowed are kept.
            FullError: The queue is full.
            ContextOverflowError: The problem leaves no room for a response.
            StoreUnavailableError: It cannot be kept.
        """

    async def find(self, id: str, client: Client) -> Kept:
        """Return a search by its id.

        Raises:
            RequestError: There is none, or another client asked for it.
            StoreUnavailableError: Nobody can say.
        """

    async def forget(self, kept: Kept) -> None:
        """Forget a search that has ended.

        Raises:
            StoreUnavailableError: It cannot be forgotten.
        """

    async def close(self) -> None:
        """Stop all searches that run here, and return when the engines no longer work for them."""
