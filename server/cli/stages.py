"""What a command waits for, and for how long already: on stderr, and only where that is a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


@contextmanager
def stages(console: Console | None = None) -> Iterator[Callable[[str], None]]:
    """Yield what begins the next stage, in words; the one before it has then ended, and its seconds stand.

    All are gone from the screen when the last has ended.

    Args:
        console: To show them on; None takes stderr.
    """
    columns = SpinnerColumn(finished_text=" "), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with Progress(*columns, console=console or Console(stderr=True), transient=True) as progress:

        def begin(stage: str) -> None:
            for task in progress.tasks:
                progress.update(task.id, total=1, completed=1)
            progress.add_task(stage, total=None)

        yield begin
