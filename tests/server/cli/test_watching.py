"""A search as it is drawn while it runs."""

import io
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from rich.console import Console

from server.cli.watching import Watch, watched
from server.clients.winnow_client import Event
from tests.server.cli.test_showing import reply

TODAY: list[tuple[str, dict[str, Any]]] = [
    ("round", {"round": 1}),
    ("candidate", {"id": "0", "parent": None, "score": None, "state": "growing", "answer": None, "tokens": 5}),
    ("step", {"node": "0", "index": 0, "text": "8 + 6 = 14\n\n", "score": None, "thinking": False}),
    ("step", {"node": "0", "index": 0, "text": "8 + 6 = 14\n\n", "score": 0.2, "thinking": False}),
    ("candidate", {"id": "0", "parent": None, "score": 0.2, "state": "growing", "answer": None, "tokens": 5}),
    ("candidate", {"id": "1", "parent": None, "score": 0.9, "state": "growing", "answer": None, "tokens": 5}),
    ("step", {"node": "1", "index": 0, "text": "6 * 4 = 24\n\n", "score": 0.9, "thinking": False}),
    ("round", {"round": 2}),
    ("candidate", {"id": "1.0", "parent": "1", "score": 0.95, "state": "complete", "answer": "20", "tokens": 1_000}),
]
START = {
    "version": 2,
    "id": "1",
    "problem": "?",
    "strategy": {"name": "beam_search", "n": 4},
    "policy": "p",
    "verifier": "v",
}
SECOND: list[tuple[str, dict[str, Any]]] = [
    ("start", START),
    ("queue", {"place": 3, "length": 5, "wait_s": 12.3}),
    ("queue", {"place": 0, "length": 0, "wait_s": None}),
    ("decision", {"values": {}, "reason": "probe-4 was 30% sure, so dvts-12 followed", "confidence": None}),
    *TODAY,
    ("votes", {"votes": [{"answer": "20", "count": 3, "weight": 2.5}], "outstanding": 1, "line": 2.0}),
    ("usage", {"share": 0.25, "usage": {"completion_tokens": 4_321}, "elapsed_s": 0.5}),
    ("something new", {}),
]


def drawn(events: list[tuple[str, dict[str, Any]]], width: int = 120, height: int = 30) -> str:
    console = Console(record=True, width=width, height=height, file=io.StringIO())
    watch = Watch(console)
    for name, data in events:
        watch.follow(Event(name=name, data=data))
    console.print(watch)
    return console.export_text()


def test_leaves_are_listed_by_what_they_are_worth_with_the_answers_so_far() -> None:
    text = drawn(TODAY)
    assert "round 2" in text
    assert "1,010 tokens" in text
    rows = [line.split()[:2] for line in text.splitlines() if re.match(r" +0\.", line)]
    assert rows == [["0.95", "complete"], ["0.20", "growing"]]
    assert "votes: 20 (1)" in text


def test_what_a_newer_service_tells_is_shown() -> None:
    text = drawn(SECOND)
    for words in ("beam_search, N = 4", "25% done", "4,321 tokens", "so dvts-12 followed", "votes: 20 (3, 2.50)"):
        assert words in text
    assert "place 3 of 5 in the queue, about 12 s" in drawn(SECOND[:2])


def test_leaves_that_say_the_same_are_one_row_with_their_number() -> None:
    twin = {"id": "2", "parent": None, "score": 0.95, "state": "complete", "answer": "20", "tokens": 1_000}
    assert re.search(r"2 x +0\.95 +complete +20", drawn([*TODAY, ("candidate", twin)]))


@pytest.mark.parametrize("width", [40, 60, 120])
def test_it_fits_the_screen_however_many_candidates_grow(width: int) -> None:
    many = [
        (
            "candidate",
            {"id": f"0.{i}", "parent": "0", "score": i / 300, "state": "growing", "answer": "9" * i, "tokens": 1},
        )
        for i in range(256)
    ]
    lines = drawn([*SECOND, *many], width, height=15).splitlines()
    assert len(lines) < 15
    assert max(map(len, lines)) <= width


def test_text_of_a_model_moves_nothing_while_it_is_drawn() -> None:
    evil = "\x1b[2J [red]x \u202e\r\n"
    text = drawn([*TODAY, ("step", {"node": "0", "index": 1, "text": evil}), ("decision", {"reason": evil})])
    assert not set(text) & set("\x1b\u202e\r")
    assert "[red]x" in text


async def test_the_reply_is_the_last_event_and_the_screen_is_left_clean() -> None:
    async def events() -> AsyncIterator[Event]:
        for name, data in [*SECOND, ("result", reply())]:
            yield Event(name=name, data=data)

    output = io.StringIO()
    assert (await watched(events(), Console(file=output, force_terminal=True, width=80)))["answer"] == "20"
    assert "\x1b[?25h" in output.getvalue()
