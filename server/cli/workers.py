"""`winnow serve --workers K`: several processes on one address, and what becomes of those that die.

The first process starts the others and watches them. Each is a fork of it, with a socket of its own on the same port,
between which the system spreads connections. The first keeps these sockets open: connections that wait for a worker
that died are answered by the one that takes its place. A worker that cannot start before any has ends the service, as
it would alone. uvicorn's supervisor was weighed: it imports everything once for each, has one socket for all, of which
a burst of connections falls to whoever wakes first, and starts what cannot start for ever.
"""

import ctypes
import logging
import mmap
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import uvloop

from server.cli.failures import failure_of
from server.composition import serve
from server.http.listening import inherited, listening_together
from server.logs import log_to_stderr
from server.settings import Settings
from server.solving.siblings import Siblings

logger = logging.getLogger(__name__)

RESTART_S = 1.0
"""Between the end of a worker and the start of the next."""
PR_SET_PDEATHSIG = 1


def serve_together(settings: Settings) -> None:
    """Serve with several processes until a signal says stop, as one does.

    Raises:
        SettingsError: The address cannot be used.
        click.exceptions.Exit: A worker could not start, and has said why.
    """
    log_to_stderr(settings.log_level, settings.log_format)
    number = settings.workers
    with listening_together(settings.host, settings.port, number) as listeners, TemporaryDirectory() as folder:
        paths = [Path(folder) / str(index) for index in range(number)]
        tellers = [_unix_listener(path) for path in paths]

        def work(index: int, descriptors: Sequence[int], on_listening: Callable[[], None]) -> None:
            siblings = Siblings(tellers[index], paths)
            uvloop.run(serve(settings, inherited(descriptors), siblings, on_listening))

        workers = Workers(listeners, work)
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda *_: workers.stop())
        if code := workers.run():
            raise click.exceptions.Exit(code)


def _unix_listener(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return listener


class Workers:
    """Processes, each with its sockets, and others in the place of those that die.

    Args:
        listeners: The sockets of each.
        work: What each does: with its place, copies of the descriptors of its sockets, and what to call once it serves.
    """

    def __init__(
        self,
        listeners: Sequence[Sequence[socket.socket]],
        work: Callable[[int, Sequence[int], Callable[[], None]], None],
    ) -> None:
        self._listeners = listeners
        self._work = work
        self._workers: dict[int, ForkProcess] = {}
        self._is_stopping = False
        self._served = mmap.mmap(-1, 1)  # shared with the workers: whether any has served

    def run(self) -> int:
        """Start the workers and keep their number until they are stopped; return the exit code of the service."""
        code = 0
        for index in range(len(self._listeners)):
            self._start(index)
        while self._workers:
            ended = wait([worker.sentinel for worker in self._workers.values()])
            for index in [index for index, worker in self._workers.items() if worker.sentinel in ended]:
                worker = self._workers.pop(index)
                worker.join()
                if self._is_stopping:
                    continue
                if not self._served[0]:
                    code = worker.exitcode or 1
                    self.stop()
                    continue
                how = "was killed" if (worker.exitcode or 0) < 0 else "ended"
                logger.error("worker %d (pid %d) %s, code %s: another", index + 1, worker.pid, how, worker.exitcode)
                time.sleep(RESTART_S)
                self._start(index)
        return code

    def stop(self) -> None:
        """Stop the workers; a second call has them drop their requests."""
        self._is_stopping = True
        for listener in [each for listeners in self._listeners for each in listeners]:
            listener.close()
        for worker in self._workers.values():
            worker.terminate()

    def _start(self, index: int) -> None:
        if self._is_stopping:
            return
        copies = [os.dup(listener.fileno()) for listener in self._listeners[index]]
        worker = get_context("fork").Process(target=self._become, args=(index, copies, os.getpid()))
        worker.start()
        self._workers[index] = worker
        for copy in copies:
            os.close(copy)
        if self._is_stopping:
            worker.terminate()

    def _become(self, index: int, descriptors: Sequence[int], parent: int) -> None:
        """Be a worker: stopped by the first process alone, and by its death, not by the keys of a terminal."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.setpgrp()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            return
        try:
            self._work(index, descriptors, self._note_served)
        except KeyboardInterrupt:
            pass  # how a stop by signal ends
        except Exception as error:
            failure = failure_of(error)
            if failure is None:
                raise
            failure.show()
            sys.exit(failure.exit_code)

    def _note_served(self) -> None:
        self._served[0] = 1
