"""The processes below that of the tests."""

import psutil


def descendants() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


def newest(before: set[psutil.Process]) -> psutil.Process:
    """Return one of the last generation of processes that were not there before: a worker."""
    return max(descendants() - before, key=lambda process: (len(process.parents()), process.create_time()))
