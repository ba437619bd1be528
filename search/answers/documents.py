"""JSON documents as answers: which texts are one, and when two of them say the same.

Two documents are the same exactly when their canonical forms are equal texts:

- numbers compare by the value that they spell, exactly and whatever their size: 1, 1.0 and 10e-1 are one number, -0 is
  0, and 0.1 is no float. Numbers, texts and booleans are never each other;
- texts compare after Unicode's composition (NFC), so that an accent is the same written as one character or as two;
  case and space count, and it does not matter how a character is escaped;
- members of an object have no order; items of a list have.

No document: what is not JSON to the letter (NaN and Infinity, text behind the value), an object that repeats a key,
which readers understand differently, and what is longer or deeper than the limits below.

Source: RFC 8259 for the text, RFC 6901 for pointers. Knows nothing of schemas.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn
from unicodedata import normalize

MAX_CHARS = 1_000_000
MAX_DEPTH = 128
"""Lists and objects within each other."""
MAX_EXPONENT_DIGITS = 18

_NUMBER = re.compile(r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?")


class NotADocumentError(ValueError):
    """A text is no JSON document that can be compared; the message says why."""


class Number(str):
    """A number as a document spells it."""

    __slots__ = ()


Value = Any
"""A dictionary, a list, a text, a `Number`, a boolean or None."""


class Absent:
    """What a pointer finds where there is nothing."""


ABSENT = Absent()


def read_document(text: str) -> Value:
    """Read a document, whose numbers keep their spelling.

    Raises:
        NotADocumentError: It is none.
    """
    if len(text) > MAX_CHARS:
        raise NotADocumentError(f"{len(text):,} characters; allowed: at most {MAX_CHARS:,}")
    try:
        value = json.loads(
            text, parse_int=Number, parse_float=_real, parse_constant=_refuse, object_pairs_hook=_without_repeats
        )
    except (ValueError, RecursionError) as error:
        raise NotADocumentError(str(error)) from error
    _require_shallow(value)
    return value


def canonical(value: Value) -> str:
    """Return the text that is equal for documents that say the same."""
    return _written(value, _by_value, lambda text: json.dumps(normalize("NFC", text)), is_sorted=True)


def compact(value: Value) -> str:
    """Return a document on one line, each number as it was spelt."""
    text = _written(value, str, lambda text: json.dumps(text, ensure_ascii=False))
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can escape and UTF-8 cannot write
        return _written(value, str, json.dumps)
    return text


def leaves(value: Value, pointer: str = "") -> Iterator[tuple[str, Value]]:
    """Yield what holds no other values, each with its pointer, in the order of the document.

    Args:
        value: A document, or a part of one.
        pointer: To the part.
    """
    if not isinstance(value, dict | list) or not value:
        yield pointer, value
        return
    for name, part in value.items() if isinstance(value, dict) else enumerate(value):
        yield from leaves(part, f"{pointer}/{_escaped(str(name))}")  # one pointer at a time: a key may be long


def find(value: Value, pointer: str) -> Value:
    """Return the part of a document at a pointer; ABSENT where there is none."""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(name, ABSENT)
        elif isinstance(value, list) and name.isascii() and name.isdigit() and len(name) < 10:
            value = value[int(name)] if int(name) < len(value) else ABSENT
        else:
            return ABSENT
    return value


def pointer_to(field: str) -> str:
    """Return the pointer to a field: itself, or that of a member of the document by its key."""
    return field if field.startswith("/") else f"/{_escaped(field)}"


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _real(number: str) -> Number:
    num_digits = len(number.casefold().partition("e")[2].lstrip("+-"))
    if num_digits > MAX_EXPONENT_DIGITS:
        raise NotADocumentError(f"an exponent of {num_digits:,} digits; allowed: at most {MAX_EXPONENT_DIGITS}")
    return Number(number)


def _refuse(constant: str) -> NoReturn:
    raise NotADocumentError(f"{constant} is no number of JSON's")


def _without_repeats(members: list[tuple[str, Value]]) -> dict[str, Value]:
    if len({normalize("NFC", name) for name, _ in members}) < len(members):
        raise NotADocumentError("an object repeats a key")
    return dict(members)


def _require_shallow(value: Value) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [part for each in level if isinstance(each, dict | list) for part in _parts(each)]
        if not level:
            return
    raise NotADocumentError(f"is nested too deeply; allowed: {MAX_DEPTH} levels")


def _parts(value: dict[str, Value] | list[Value]) -> list[Value]:
    return list(value.values()) if isinstance(value, dict) else value


def _by_value(number: str) -> str:
    """Return a number by its digits without zeros at either end, and the power of ten that belongs to them."""
    match = _NUMBER.fullmatch(number)
    assert match is not None  # noqa: S101 - JSON's parser has read it
    sign, whole, fraction, exponent = match.groups(default="")
    digits = (whole + fraction).lstrip("0")
    ending = digits.rstrip("0")
    if not ending:
        return "0"
    power = int(exponent or 0) - len(fraction) + len(digits) - len(ending)
    return f"{sign}{ending}e{power}" if power else sign + ending


def _written(value: Value, spell: Callable[[str], str], quote: Callable[[str], str], *, is_sorted: bool = False) -> str:
    def write(part: Value) -> str:
        match part:
            case Number():
                return spell(part)
            case str():
                return quote(part)
            case list():
                return f"[{', '.join(map(write, part))}]"
            case dict():
                members = [(quote(name), member) for name, member in part.items()]
                members = sorted(members, key=lambda item: item[0]) if is_sorted else members
                return f"{{{', '.join(f'{name}: {write(member)}' for name, member in members)}}}"
            case Absent():
                return "absent"
            case _:
                return json.dumps(part)

    return write(value)
