r"""Reads labels that are no expressions: `P(X=2)`, `\lim_{x \to 0} f(x)`, `\det A`, `E[X]` before a sign of equality.

What such a label means is of no interest: it only names the value behind it.
"""

from search.answers.reading.cursor import Cursor
from search.answers.reading.syntax import Symbol
from search.answers.reading.tokens import Kind, Token

_HEADS = frozenset({"lim", "limsup", "liminf", "int", "iint", "iiint", "oint", "det", "dim", "rank", "tr", "Pr", "ker"})
_NAMED = _HEADS | {"max", "min", "sup", "inf", "deg", "mathbb", "Var", "Cov", "var", "cov", "arg", "gcd", "lcm"}
_LETTERS = frozenset("PEVn")
_OPENING, _CLOSING = frozenset({"(", "[", "{", r"\{", "lfloor"}), frozenset({")", "]", "}", r"\}", "rfloor"})
MAX_LABEL = 60
"""Tokens of a label."""


def take_label(cursor: Cursor) -> Symbol | None:
    """Take a label and leave its sign of equality; None, and nothing taken, where none stands there."""
    if not _begins(cursor):
        return None
    depth = 0
    parts: list[str] = []
    for ahead in range(MAX_LABEL):
        token = cursor.peek(ahead)
        depth += (token.text in _OPENING) - (token.text in _CLOSING)
        if token.kind is Kind.END or depth < 0 or (depth == 0 and token.text in {",", ";"}):
            return None
        if depth == 0 and token.text == "=":
            for _ in range(ahead):
                cursor.take()
            return Symbol("".join(parts))
        parts.append(token.text)
    return None


def _begins(cursor: Cursor) -> bool:
    token, behind = cursor.peek(), cursor.peek(1)
    if token.kind in {Kind.NAME, Kind.WORDS}:
        return token.text in _NAMED
    return token.kind is Kind.LETTER and token.text in _LETTERS and _opens(behind)


def _opens(token: Token) -> bool:
    return token.text in {"(", "[", "{"}


def take_extreme(cursor: Cursor) -> str | None:
    r"""Take the index of `m_{\max}`, which is no function there; None where another stands."""
    texts = [cursor.peek(ahead).text for ahead in range(3)]
    if cursor.sees(Kind.NAME, ("max", "min")):
        return cursor.take().text
    if texts[0] == "{" and texts[1] in {"max", "min"} and texts[2] == "}":
        return [cursor.take().text for _ in texts][1]
    return None
