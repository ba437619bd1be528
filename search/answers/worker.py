"""What runs in a worker process: its limits, and one answer at a time."""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from search.answers.canonical import answer_form


def limit_worker(memory_bytes: int) -> None:
    """Limit this process for good: its memory, and that it writes no file.

    A termination signal ends it at once, even in the middle of a long computation.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def canonicalise(timeout_s: float, text: str) -> tuple[str, str | None]:
    """Return the key of an answer, and its unit."""
    with limited(timeout_s):
        form = answer_form(text)
    return form.key, form.unit


def check(timeout_s: float, problem: str, text: str) -> bool | None:
    """Say whether an answer solves its problem; None where nobody can say."""
    from search.answers.checking.substitution import is_solution  # SymPy: in the workers that need it, nowhere else

    with limited(timeout_s):
        return is_solution(problem, text)


@contextmanager
def limited(timeout_s: float) -> Iterator[None]:
    """Let the kernel end this process by SIGPROF if the block takes more CPU time."""
    signal.setitimer(signal.ITIMER_PROF, timeout_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
