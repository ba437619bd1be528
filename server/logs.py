"""How the service logs: one line a record, with the id of the request it belongs to, as text or as JSON."""

import logging
from typing import Literal

from asgi_correlation_id import CorrelationIdFilter
from pythonjsonlogger.json import JsonFormatter

FIELDS = "%(asctime)s %(levelname)s %(name)s %(correlation_id)s %(message)s"


def log_to_stderr(level: str, form: Literal["text", "json"]) -> None:
    """Log everything from `level` on; "-" is no request."""
    handler = logging.StreamHandler()
    handler.addFilter(CorrelationIdFilter(default_value="-"))
    handler.setFormatter(JsonFormatter(FIELDS) if form == "json" else logging.Formatter(FIELDS))
    logging.basicConfig(level=level.upper(), handlers=[handler])
