"""What runs in the worker process of a checker: its limits, and one response at a time.

Imports neither engine nor tensor, so that a worker starts in a moment. Whatever a checker does, only a score or a
sentence about its failure leaves the process: an exception might not survive the way, or end the service.
"""

import importlib.metadata
import re
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import cache

from models.spelling import did_you_mean

GROUP = "winnow.checkers"
"""The entry points that name checkers."""

Checker = Callable[[str, str], float | bool]
"""From the problem and the response so far to the probability in [0, 1] that it is right so far."""

_REFERENCE = re.compile(r"[\w.]+:[\w.]+")


def find_checker(name: str) -> importlib.metadata.EntryPoint:
    """Find a checker without importing it.

    Args:
        name: Of an entry point, or `module:function`.

    Raises:
        LookupError: There is none of that name.
    """
    if _REFERENCE.fullmatch(name):
        return importlib.metadata.EntryPoint(name, value=name, group=GROUP)
    known = {entry.name: entry for entry in importlib.metadata.entry_points(group=GROUP)}
    if name not in known:
        names = f"neither module:function nor one of the entry points {GROUP} ({', '.join(sorted(known)) or 'none'})"
        raise LookupError(f"{names}; {meant}" if (meant := did_you_mean(name, known)) else names)
    return known[name]


@cache
def load_checker(name: str) -> Checker:
    """Import a checker, once a process.

    Raises:
        TypeError: It is not a function; importing it may raise whatever it likes.
    """
    checker: Checker = find_checker(name).load()
    if not callable(checker):
        raise TypeError(f"{type(checker).__name__} cannot be called")
    return checker


def start_worker(name: str, memory_bytes: int) -> None:
    """Limit this process for good and import the checker, so that no response waits for that.

    A termination signal ends it at once, even in the middle of a long computation.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(BaseException):  # load() says what is wrong, and the process must live to be asked
        load_checker(name)


def load(name: str) -> str | None:
    """Import a checker; return why it cannot be, or None."""
    try:
        load_checker(name)
    except BaseException as error:  # noqa: BLE001 - foreign code
        return _sentence(error)
    return None


def check(name: str, problem: str, response: str) -> float | str:
    """Return what a checker says of a response, or why it says nothing."""
    try:
        verdict = load_checker(name)(problem, response)
        score = float(verdict) if isinstance(verdict, bool | int | float) else None
    except BaseException as error:  # noqa: BLE001 - foreign code, which may also call sys.exit()
        return _sentence(error)
    if score is None or not 0 <= score <= 1:
        return f"returned {verdict!r:.80}, not a number from 0 to 1"
    return score


def _sentence(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:200]
