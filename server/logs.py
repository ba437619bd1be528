"""How the service logs: one line a record, with the id of the request it belongs to, as text or as JSON.

A repeated line is written a few times and then counted, so that no client can fill the disk.
"""

import logging
import re
import time
from collections.abc import Callable
from copy import copy
from typing import Literal

from asgi_correlation_id import CorrelationIdFilter
from pythonjsonlogger.json import JsonFormatter

FIELDS = "%(asctime)s %(levelname)s %(name)s %(correlation_id)s %(message)s"

WINDOW_S = 60.0
"""How long a line is remembered."""
MAX_REPEATS = 20
"""How often a line may come within this time; after that, every tenth power of it is written."""
MAX_REMEMBERED = 1024


def is_request_id(text: str) -> bool:
    """Return whether a client may use this id for its request: a UUID, with or without hyphens."""
    return re.fullmatch(r"[0-9a-fA-F]{8}(-?)([0-9a-fA-F]{4}\1){3}[0-9a-fA-F]{12}", text) is not None


class CountingHandler(logging.StreamHandler):  # type: ignore[type-arg]  # of whatever stderr is
    """Writes lines to stderr, and counts those that repeat.

    Args:
        clock: Seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}  # when a line came first, and how often since

    def emit(self, record: logging.LogRecord) -> None:
        text, now = record.getMessage(), self._clock()
        key = (record.name, text)
        since, count = self._seen.pop(key, (now, 0))
        if now - since > WINDOW_S:
            missed = count - MAX_REPEATS
            since, count = now, 0
            if missed > 0:
                text += f" (and {missed:,} times before)"
        count += 1
        self._seen[key] = since, count
        if len(self._seen) > MAX_REMEMBERED:
            del self._seen[next(iter(self._seen))]
        if count <= MAX_REPEATS or is_power_of_ten(count):
            shown = copy(record)
            shown.msg = text if count <= MAX_REPEATS else f"{text} (for the {count:,}th time in {now - since:.0f} s)"
            shown.args = None
            super().emit(shown)


def is_power_of_ten(count: int) -> bool:
    """Say whether a number is 1, 10, 100 and so on."""
    return str(count).rstrip("0") == "1"


def log_to_stderr(level: str, form: Literal["text", "json"]) -> None:
    """Log everything from `level` up; "-" means no request."""
    handler = CountingHandler()
    handler.addFilter(CorrelationIdFilter(default_value="-"))
    handler.setFormatter(JsonFormatter(FIELDS) if form == "json" else logging.Formatter(FIELDS))
    logging.basicConfig(level=level.upper(), handlers=[handler])
