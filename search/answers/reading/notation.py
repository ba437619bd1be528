"""Reads what is written by rules of its own: ranges and dates, the beginning of a set, conjunctions between items."""

from search.answers.reading.cursor import Cursor
from search.answers.reading.syntax import REALS, Node, Symbol, UnreadableError, Words
from search.answers.reading.tokens import Kind
from search.answers.reading.words import CONJUNCTIONS, LETTERS_BETWEEN

MAX_DOMAIN = 12
"""Tokens of the name of a domain."""


def at_conjunction(cursor: Cursor) -> bool:
    """Say whether a conjunction between two items comes next."""
    is_letter = cursor.sees(Kind.WORDS, LETTERS_BETWEEN) and not cursor.peek().written
    return is_letter or cursor.sees(Kind.WORDS, CONJUNCTIONS)


def take_written_out(cursor: Cursor) -> Words | None:
    """Take a range, a score, a date, a telephone number: numbers that hyphens or slashes join without spaces."""
    if cursor.is_nested or cursor.peek().kind is not Kind.NUMBER:
        return None
    length = 1
    while (sign := cursor.peek(length)).text in {"-", "/"} and cursor.peek(length + 1).kind is Kind.NUMBER:
        if sign.is_spaced or cursor.peek(length + 1).is_spaced:
            return None
        length += 2
    texts = [cursor.peek(ahead).text for ahead in range(length)]
    end = cursor.peek(length)
    is_end = end.kind in {Kind.END, Kind.WORDS} or end.text in {",", ";"} or end.is_upright
    if not is_end or not ("-" in texts or texts.count("/") > 1):
        return None
    taken = []
    while cursor.peek().kind is not Kind.END and not cursor.sees(Kind.MARK, ",;") and not at_conjunction(cursor):
        taken.append(cursor.take().text)
    return Words("".join(taken))


def take_domain(cursor: Cursor) -> Node | None:
    r"""Go to the condition of a set such as `\{x \in \mathbb{Z} \mid x > 2\}`; return its domain, if it has one."""
    domain = None
    with cursor.attempt():
        if cursor.take().kind is not Kind.LETTER:
            raise UnreadableError
        name = _domain_name(cursor) if cursor.accept(Kind.NAME, ("in",)) else None
        if not (cursor.accept(Kind.MARK, "|:") or cursor.accept(Kind.NAME, ("mid",))):
            raise UnreadableError
        domain = REALS if name == "R" else name and Symbol(name)
    return domain or None


def _domain_name(cursor: Cursor) -> str:
    """The name of a set of numbers, with whatever is set above or below it, up to the bar behind it."""
    parts: list[str] = []
    while cursor.peek().text not in {"|", ":", "mid"} and len(parts) < MAX_DOMAIN:
        parts.append(cursor.take().text)
    return "".join(part for part in parts if part not in {"mathbb", "{", "}"})
