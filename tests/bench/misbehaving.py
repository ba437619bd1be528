"""What servers of models can do to the service that believes in them: `python -m tests.bench.misbehaving`.

One row for each way of misbehaving, on a service of its own whose only server does that: what the client gets, after
how long, how often the server was asked, the first line of the log, the longest that the event loop worked without a
pause (bar: 100 ms), and how much memory grew. The server, the service and the client share one process and one loop.
"""

import asyncio
import gc
import logging

from rich.console import Console
from rich.table import Table

from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from tests.conftest import DEMO
from tests.models.remote.misbehaving import ROWS
from tests.server.misbehaving import suffer


async def main() -> None:
    """Suffer everything and print it."""
    logging.getLogger().addHandler(logging.NullHandler())
    gc.collect()
    gc.freeze()  # or collecting what was imported is what is measured
    prompts = PromptBuilder(ChatTokenizer(DEMO / "policy"))
    table = Table("of", "what is sent", "client gets", "s", "asked", "log, lines and the first", "busy, ms", "MiB")
    for what, (_, rows) in ROWS.items():
        for name, play in rows.items():
            outcome = await suffer(what, play, prompts)
            watch = outcome.watch
            lines = f"{len(watch.lines)}, {watch.tracebacks} tracebacks: {watch.lines[0] if watch.lines else 'nothing'}"
            got = f"{outcome.status}" if outcome.status != 200 else "200, then an error"
            table.add_row(
                what,
                name,
                got,
                f"{outcome.seconds:.2f}",
                str(outcome.asked),
                lines,
                f"{1000 * watch.busy_s:.0f}",
                f"{watch.grown_mib:.0f}",
            )
    Console(width=200).print(table)


if __name__ == "__main__":
    asyncio.run(main())
