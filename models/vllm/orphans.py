"""Ends an engine's process when the process that started it is gone, however that ended.

A process that is killed cannot stop its engines, and an engine of vLLM's waits for requests for ever. So each engine
looks after its parent, once a second.
"""

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.util import register_after_fork

LOOK_EVERY_S = 1.0


def end_with_parent() -> None:
    """Make this process end with the one that started it; the first process of all has none to look after."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_look_after, args=(parent.pid,), name="looks after the parent", daemon=True).start()


@contextmanager
def forks_end_with_parent() -> Iterator[None]:
    """Make the processes that are forked while the context lasts end with this one."""
    launch = _Launch()
    register_after_fork(launch, _Launch.begin)
    yield


class _Launch:
    def begin(self) -> None:
        end_with_parent()


def _look_after(parent: int | None) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY_S)
    os._exit(1)
