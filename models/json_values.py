"""What a value that came as JSON may hold: what every engine, encoding and language reads as the same.

Python's parser takes more than JSON allows: NaN, Infinity, numbers of any size, halves of surrogate pairs, any depth.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

MAX_DEPTH = 64
"""Lists and objects within each other: what reads them is recursive, here and in the engine."""
WHOLE_NUMBERS = range(-(2**63), 2**64)
"""What fits into 64 bits, with a sign or without."""
MAX_PARTS = 100_000
"""Values in all, lists of whole numbers aside, which say nothing more: each takes a few microseconds."""
MAX_WHERE_CHARS = 200
"""Of the name of a part: with all that a client calls it, the names of many small parts would fill the memory."""


class Flaw(NamedTuple):
    """What is wrong with a part of a value: where, and what is allowed instead."""

    where: str
    what: str


def find_flaw(value: Any, where: str = "") -> Flaw | None:
    """Return what makes a value unfit to be sent on, or None.

    Args:
        value: As `json.loads` returns it.
        where: What the value is called; its parts are called `where.part`.
    """
    rest: list[tuple[Any, str, int]] = [(value, where, 1)]
    num_parts = 1
    while rest:
        part, path, depth = rest.pop()
        if what := _flaw_of(part):
            return Flaw(visible(path), what)
        if isinstance(part, dict | list) and depth > MAX_DEPTH:
            return Flaw(visible(path), f"is nested too deeply; allowed: {MAX_DEPTH} levels")
        if isinstance(part, list) and set(map(type, part)) == {int} and all(map(WHOLE_NUMBERS.__contains__, part)):
            continue  # token ids, of which there may be a hundred thousand
        num_parts += len(part) if isinstance(part, dict | list) else 0
        if num_parts > MAX_PARTS:
            return Flaw(visible(path), f"holds too many values; allowed: {MAX_PARTS:,} in all")
        rest += [(item, within(path, name), depth + 1) for name, item in _parts(part)]
    return None


def within(where: str, name: str) -> str:
    """Return what a part of a value is called, cut to what is shown of it."""
    return (f"{where}.{name}" if where else name)[:MAX_WHERE_CHARS]


def visible(text: str) -> str:
    """Return a text that any encoding can carry: clients may send half of a surrogate pair."""
    shown = text.encode("ascii", "backslashreplace").decode() if _has_surrogate(text) else text
    return shown[:MAX_WHERE_CHARS]


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from ((str(index), item) for index, item in enumerate(value))


def _flaw_of(value: Any) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return "is not a number that JSON has; allowed: finite numbers"
    if isinstance(value, int) and value not in WHOLE_NUMBERS:
        return "is too large; allowed: whole numbers of 64 bits"
    if isinstance(value, str) and _has_surrogate(value):
        return "holds half of a surrogate pair; allowed: Unicode text"
    if isinstance(value, dict) and any(map(_has_surrogate, value)):
        return "holds half of a surrogate pair; allowed: Unicode text"
    return None


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
