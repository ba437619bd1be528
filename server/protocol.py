"""HTTP/1.1 whose headers have an end: uvicorn's h11, which bounds them while they come, with the status that says so.

uvicorn's other parser, httptools, keeps headers of any size, and uvicorn answers 400 to all that h11 refuses.
"""

import sys

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from server.settings import Settings

TOO_LARGE = 431
REFUSAL = b'{"error":{"message":"headers: too large","type":"invalid_request_error","param":"headers","code":null}}'


class BoundedH11Protocol(H11Protocol):
    """Answers 431 to headers that do not end within `h11_max_incomplete_event_size`."""

    def send_400_response(self, msg: str) -> None:
        """Refuse what h11 could not read; called while its error is handled."""
        error = sys.exc_info()[1]
        if not isinstance(error, h11.RemoteProtocolError) or error.error_status_hint != TOO_LARGE:
            return super().send_400_response(msg)
        headers = [("content-type", "application/json"), ("connection", "close")]
        events = (h11.Response(status_code=TOO_LARGE, headers=headers), h11.Data(data=REFUSAL), h11.EndOfMessage())
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def uvicorn_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """Return how the app is served."""
    return uvicorn.Config(
        app,
        settings.host,
        settings.port,
        http=BoundedH11Protocol,
        h11_max_incomplete_event_size=settings.max_header_bytes,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=settings.drain_s,
    )
