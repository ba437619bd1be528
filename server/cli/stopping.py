"""How a long command is stopped: SIGINT or SIGTERM ends it at once, and it says what is kept."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click

from server.cli.failures import INTERRUPTED

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T], kept: Callable[[], str]) -> T:
    """Run to the end, or to a signal; `kept` says what is left then."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs start with it ignored
    try:
        return asyncio.run(_stoppable(work))
    except KeyboardInterrupt:
        click.echo(f"winnow: stopped; {kept()}", err=True)
        sys.stdout.flush()
        os._exit(INTERRUPTED)  # everything is closed; unloading torch would take seconds


async def _stoppable(work: Coroutine[Any, Any, T]) -> T:
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))  # both cancel this task
    return await work
