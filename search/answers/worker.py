"""What runs in a worker process: its limits, and one answer at a time."""

import resource
import signal

from search.answers.canonical import canonical_key


def limit_worker(memory_bytes: int) -> None:
    """Limit this process for good: its memory, and that it writes no file.

    A termination signal ends it at once, even in the middle of a long computation.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def canonicalise(text: str, timeout_s: float) -> str:
    """Return the key of an answer; the kernel ends this process by SIGPROF if it takes more CPU time."""
    signal.setitimer(signal.ITIMER_PROF, timeout_s)
    try:
        return canonical_key(text)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
