"""The process that owns the workers.

Reads a request a line, `[number, arguments]`, and writes a reply a line, `[number, outcome, result]`, as they are done.
It is a process of its own so that no engine's threads, memory and files come to be in a worker, and so that it can be
ended as a whole: at the request `null`, and when its parent is gone. The end of its input is no sign of that, as an
engine that the parent forked may hold it open.
"""

import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from threading import Lock, Thread, main_thread
from typing import Any, TextIO

from pebble import ProcessPool

from search.answers.worker import canonicalise, check, limit_worker
from search.answers.workers import Job, JobStatus

STARVATION = 4
"""Time on the clock in which a worker must have had the CPU time that one answer may take, as a multiple of that."""

FUNCTIONS: Mapping[Job, Callable[..., Any]] = {Job.CANONICALISE: canonicalise, Job.CHECK: check}
MODULES = {Job.CANONICALISE: "search.answers.worker", Job.CHECK: "search.answers.checking.substitution"}
"""What every worker of a job has imported when it starts, its limits not counted yet."""


def serve(requests: TextIO, replies: TextIO, job: Job, num_workers: int, timeout_s: float, memory_bytes: int) -> None:
    """Answer requests until their end."""
    writing = Lock()

    def reply(number: int, future: Future[Any]) -> None:
        error = future.exception()
        if isinstance(error, BrokenProcessPool):
            return _end()  # a worker died idle: the parent starts anew
        result = None if error else future.result()
        with writing:
            print(json.dumps([number, _outcome(error).value, result]), file=replies, flush=True)

    context = multiprocessing.get_context("forkserver")  # a worker is replaced while threads run here
    context.set_forkserver_preload([MODULES[job]])
    pool = ProcessPool(num_workers, initializer=limit_worker, initargs=(memory_bytes,), context=context)
    try:
        while request := json.loads(requests.readline() or "null"):
            number, args = request
            future = pool.schedule(FUNCTIONS[job], args=[timeout_s, *args], timeout=timeout_s * STARVATION)
            future.add_done_callback(partial(reply, number))
    finally:
        pool.stop()  # type: ignore[no-untyped-call]  # pebble leaves it without annotations
        pool.join()


def end_with(parent: int) -> None:
    """End this process when it is no longer the child of `parent`."""
    while os.getppid() == parent:
        time.sleep(0.5)
    _end()


def main() -> None:
    """Serve the standard streams, which the workers do not inherit; the command line says the rest."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when it ends
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    with open(os.dup(sys.stdin.fileno())) as requests, open(os.dup(sys.stdout.fileno()), "w") as replies:
        os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        serve(requests, replies, Job(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))


def _outcome(error: BaseException | None) -> JobStatus:
    if error is None:
        return JobStatus.DONE
    is_timeout = isinstance(error, TimeoutError) or getattr(error, "exitcode", None) == -signal.SIGPROF
    return JobStatus.TIMEOUT if is_timeout else JobStatus.FAILURE


def _end() -> None:
    """Interrupt the main thread, which then ends the workers and the process."""
    signal.pthread_kill(main_thread().ident or 0, signal.SIGTERM)
