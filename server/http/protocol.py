"""HTTP/1.1 whose connections have an end: uvicorn's h11 protocol under the limits of `connections.py`.

uvicorn's own options set the largest headers, how long a connection may be idle and how long a stop may take; it has no
others for this. Its limit of concurrency counts idle sockets and answers health checks with 503, its proxy headers
become names of clients as they come, and httptools, its other parser, keeps headers of any size: none of them is used.
hypercorn and granian were weighed: neither bounds what a client leaves unread, or keeps connections for health checks.
"""

import asyncio
import logging
import socket
import sys
from functools import partial
from typing import Any, cast
from uuid import uuid4

import h11
import uvicorn
from asgi_correlation_id import correlation_id
from fastapi import FastAPI
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol

from server.http.connections import STATE, Connections, free_descriptors
from server.http.errors import ErrorReply
from server.http.headers import CLOSE, HEADERS
from server.http.limits import LINGER_S, headers_too_large
from server.settings import Settings

logger = logging.getLogger(__name__)

KERNEL_BUFFER_BYTES = 262_144
"""Send buffer of the kernel: small, so that a client that reads nothing is noticed soon."""


class _CountedTransport:
    """A transport that counts what is written to it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.num_written = 0
        self._transport = transport

    def write(self, data: bytes) -> None:
        self.num_written += len(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _Unheld(FlowControl):
    """Yields to other tasks when the reader is slow, but does not wait for it."""

    def __init__(self, protocol: "GuardedProtocol") -> None:
        super().__init__(protocol.transport)
        self._protocol = protocol

    async def drain(self) -> None:
        self._protocol.note_slow_reader()
        await asyncio.sleep(0)


class GuardedProtocol(H11Protocol):
    """A connection that is closed if it takes too long or leaves too much unread.

    Args:
        connections: Of the service.
        uvicorn: Arguments of uvicorn's protocol.
    """

    def __init__(self, connections: Connections, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._connections = connections
        self._settings = connections.settings
        self._asking_since: float | None = None  # when the headers that are on their way began
        self._answered: float | None = None  # when a reply ended before the body of its request did
        self._num_taken, self._taken_at = 0, 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Count the connection, and start the clock of its first request."""
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER_BYTES // 2)
        self._counted = _CountedTransport(transport)
        super().connection_made(cast(asyncio.Transport, self._counted))
        self.flow = _Unheld(self)
        self._asking_since = self.loop.time()
        self._connection = self._connections.open(self, self.client[0] if self.client else None)
        self.app_state = {**self.app_state, STATE: self._connection}

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.close(self._connection)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read data; the first of a request starts the clock of its headers."""
        if self._asking_since is None and self.conn.their_state is h11.IDLE:
            self._asking_since = self.loop.time()
        super().data_received(data)
        self._note_progress()

    def on_response_complete(self) -> None:
        """Wait for the next request, and briefly for the rest of this one."""
        if self.conn.their_state is h11.SEND_BODY:
            self._answered = self.loop.time()
        super().on_response_complete()
        self._note_progress()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._connections.note_unread(self._connection, self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        super().resume_writing()
        self._connections.note_unread(self._connection, 0)

    def note_slow_reader(self) -> None:
        """Cut off the client if it has left too much unread."""
        num_unread = self.transport.get_write_buffer_size()
        if num_unread > self._settings.max_unread_bytes:
            self.cut_off("it leaves too much unread")
        else:
            self._connections.note_unread(self._connection, num_unread)

    def check(self, now: float) -> None:
        num_unread = self.transport.get_write_buffer_size()
        num_taken = self._counted.num_written - num_unread
        if not num_unread or num_taken != self._num_taken:
            self._num_taken, self._taken_at = num_taken, now
        elif now - self._taken_at > self._settings.send_timeout_s:
            return self.cut_off("it reads nothing")
        if self.flow.write_paused:
            self._connections.note_unread(self._connection, num_unread)
        if self.transport.is_closing():
            return None
        if self._answered is not None and now - self._answered > LINGER_S:
            return self.cut_off("its request was answered and goes on")
        if self._asking_since is not None and now - self._asking_since > self._settings.header_timeout_s:
            return self._end_waiting()
        return None

    def cut_off(self, why: str) -> None:
        if self._counted.num_written or self.conn.trailing_data[0] or self.conn.their_state is not h11.IDLE:
            logger.info("cut off client=%s: %s", self._connection.address or "-", why)
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Answer what h11 could not parse; called while its error is being handled."""
        error = sys.exc_info()[1]
        if isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == 431:
            self._refuse(headers_too_large(self._settings))
        else:
            self._refuse(ErrorReply(400, "request: cannot be read; allowed: HTTP/1.1", "request"))

    def _should_upgrade(self) -> bool:
        return False  # no route speaks anything else, and uvicorn would warn of every request that asks for it

    def _end_waiting(self) -> None:
        """Refuse headers that take too long; a client that has sent nothing gets no reply."""
        if self.conn.trailing_data[0]:
            allowed = f"{self._settings.header_timeout_s:g} s"
            self._refuse(ErrorReply(408, f"headers: arrive too slowly; allowed: {allowed}", "headers"))
        else:
            self.transport.close()

    def _refuse(self, error: ErrorReply) -> None:
        request_id = uuid4().hex
        token = correlation_id.set(request_id)
        try:
            reply = error.response()
            logger.info("refused unread status=%d client=%s", error.status, self._connection.address or "-")
        finally:
            correlation_id.reset(token)
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # its app's reply comes too late
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            reply.headers.update({**HEADERS, **CLOSE, "X-Request-ID": request_id})
            events = (
                h11.Response(status_code=error.status, headers=reply.raw_headers),
                h11.Data(data=bytes(reply.body)),
                h11.EndOfMessage(),
            )
            for event in events:
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _note_progress(self) -> None:
        their_state = self.conn.their_state
        if their_state is not h11.IDLE:
            self._asking_since = None
        if their_state is not h11.SEND_BODY:
            self._answered = None
        if their_state in (h11.IDLE, h11.SEND_BODY):
            self._connections.wait(self._connection)
        else:
            self._connections.stop_waiting(self._connection)


def uvicorn_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """Return how the app is served."""
    protocol: Any = partial(GuardedProtocol, Connections(settings, free_descriptors()))
    return uvicorn.Config(
        app,
        settings.host,
        settings.port,
        http=protocol,
        ws="none",
        proxy_headers=False,
        h11_max_incomplete_event_size=settings.max_header_bytes,
        timeout_keep_alive=settings.keep_alive_s,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=settings.drain_s,
    )
