"""A search as it runs, from the events of its stream: what grows, what leads, and what was spent so far.

Knows the names of events and their fields, of which an older service sends fewer; draws nothing that was not told.
"""

import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import nullcontext
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from server.cli.showing import line_of, score_of
from server.clients.winnow_client import Event

MOST_ROWS = 12
AROUND = 6
"""Lines of the screen that the rows leave to others."""
ENDED = frozenset({"complete", "truncated", "stopped", "dropped", "lost"})


class Watch:
    """What is known of a search so far.

    Args:
        console: That it is drawn on.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._head = "searching"
        self._state = ""
        self._round = 0
        self._share: float | None = None
        self._tokens: int | None = None
        self._candidates: dict[str, Mapping[str, Any]] = {}
        self._parents: set[str] = set()
        self._texts: dict[str, str] = {}
        self._votes: Mapping[str, Any] | None = None

    def follow(self, event: Event) -> None:
        """Take an event in; names that are not known here change nothing."""
        data = event.data
        match event.name:
            case "start":
                strategy = data["strategy"]
                self._head = f"{strategy['name']}, N = {strategy['n']}"
            case "queue":
                wait = data.get("wait_s")
                about = f", about {wait:.0f} s" if wait is not None else ""
                self._state = f"place {data['place']} of {data['length']} in the queue{about}" if data["place"] else ""
            case "decision":
                self._state = str(data["reason"])
            case "round":
                self._round = data["round"]
            case "step":
                self._texts[data["node"]] = data["text"]
            case "candidate":
                self._candidates[data["id"]] = data
                if data["parent"] is not None:
                    self._parents.add(data["parent"])
            case "votes":
                self._votes = data
            case "usage":
                self._share, self._tokens = data["share"], data["usage"]["completion_tokens"]

    def __rich__(self) -> RenderableType:
        """Draw it as it is now."""
        parts: list[RenderableType] = [self._summary()]
        if self._state:
            parts.append(line_of(self._state, "dim"))
        if rows := self._rows():
            parts.append(rows)
        if leading := self._leading():
            parts.append(leading)
        return Group(*parts)

    def _summary(self) -> Text:
        leaves = self._leaves()
        tokens = sum(each["tokens"] for each in self._candidates.values()) if self._tokens is None else self._tokens
        words = [
            self._head,
            f"round {self._round}" if self._round else "",
            f"{sum(each['state'] in ENDED for each in leaves)} of {len(leaves)} ended" if leaves else "",
            f"{tokens:,} tokens" if tokens else "",
            f"{self._share:.0%} done" if self._share is not None else "",
            f"{time.monotonic() - self._began:.0f} s",
        ]
        return line_of(" | ".join(filter(None, words)), "bold")

    def _leaves(self) -> list[Mapping[str, Any]]:
        return [each for name, each in self._candidates.items() if name not in self._parents]

    def _rows(self) -> Table | None:
        """Return the leaves that are worth the most so far, those alike once, as many as fit on the screen."""
        alike = Counter(
            (each["state"], score_of(each["score"]), each.get("answer") or self._texts.get(each["id"], ""))
            for each in self._leaves()
        )
        if not alike:
            return None
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
        table.add_column(justify="right", no_wrap=True, min_width=5)
        table.add_column(justify="right", no_wrap=True, min_width=4)
        table.add_column(no_wrap=True, min_width=9)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        rows = sorted(alike, key=lambda row: (row[0] in ENDED - {"complete"}, -float(row[1] or 0)))
        for row in rows[: max(min(MOST_ROWS, self._console.height - AROUND), 1)]:
            state, score, says = row
            table.add_row(f"{alike[row]} x" if alike[row] > 1 else "", score, state, line_of(says))
        return table

    def _leading(self) -> Text | None:
        """Return the answers with the most votes: as the service counts them, or as texts where it does not say."""
        if self._votes is not None:
            votes = [each for each in self._votes["votes"] if each["answer"] is not None][:3]
            told = [(each["answer"], each["count"], each["weight"]) for each in votes]
        else:
            counts = Counter(each["answer"] for each in self._candidates.values() if each.get("answer"))
            told = [(answer, count, None) for answer, count in counts.most_common(3)]
        if not told:
            return None
        shown = (
            f"{answer} ({count}{f', {weight:.2f}' if weight is not None else ''})" for answer, count, weight in told
        )
        return line_of(f"votes: {', '.join(shown)}")


async def watched(events: AsyncIterator[Event], console: Console) -> Mapping[str, Any]:
    """Draw a search while it runs, and return its reply.

    Args:
        events: Of its stream, which ends with the result.
        console: To draw on, if it is a terminal; nothing of it stays.
    """
    reply, watch = None, Watch(console) if console.is_interactive else None
    with Live(watch, console=console, transient=True, refresh_per_second=8) if watch else nullcontext():
        async for event in events:
            if watch:
                watch.follow(event)
            reply = event.data
    assert reply is not None  # noqa: S101 - the stream's reader sees to it that the result comes last
    return reply
