"""Cuts a normalised answer into tokens. Knows LaTeX's lexical rules; leaves it to `words` what is English."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from search.answers.reading.syntax import UnreadableError
from search.answers.reading.words import NAMES, is_applied, is_prose, is_word

MAX_TOKENS = 400


class Kind(Enum):
    """What a token is."""

    NUMBER = "number"
    LETTER = "letter"
    NAME = "name"  # a command without its backslash, or a name in mathematics written as a word
    WORDS = "words"
    MARK = "mark"  # an operator, a bracket, a separator
    BEGIN = "begin"  # of a LaTeX environment
    FINISH = "finish"  # of a LaTeX environment
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of an answer.

    Attributes:
        kind: What it is.
        text: As written; a command without its backslash, words case-folded, an environment's name.
        is_upright: True for what a text command holds.
    """

    kind: Kind
    text: str
    is_upright: bool = False


END = Token(Kind.END, "")

_TOKEN = re.compile(
    r"""
    (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+(?![a-zA-Z]))?)
  | (?P<begin>\\begin\{array\}\{[^{}]*\}|\\begin\{[a-zA-Z]+\*?\})
  | (?P<finish>\\end\{[a-zA-Z]+\*?\})
  | (?P<upright>\\(?:text(?:rm|bf|it|sf|tt|normal)?|math(?:rm|bf|it|sf)|mbox|operatorname|boldsymbol|bm)\*?\s*(?=\{))
  | (?P<name>\\[a-zA-Z]+)
  | (?P<letters>[^\W\d_]+(?:'s)?)
  | (?P<mark>\*\*|<=|>=|!=|==|\\.|[^\s])
    """,
    re.VERBOSE,
)
_MATHEMATICS = re.compile(r"\d|\\[a-zA-Z]")
_PROSE_MARKS = frozenset(",;()")


def tokenize(text: str) -> tuple[Token, ...]:
    """Cut `text` into tokens.

    Raises:
        UnreadableError: There are more than `MAX_TOKENS`, or braces do not close.
    """
    tokens: list[Token] = []
    for token in _scan(text, is_prose(text)):
        tokens.append(token)
        if len(tokens) > MAX_TOKENS:
            raise UnreadableError
    return tuple(tokens)


def _scan(text: str, in_prose: bool) -> Iterator[Token]:
    position = 0
    last = END
    while match := _TOKEN.search(text, position):
        position = match.end()
        if match.lastgroup == "upright":
            content, position = _braced(text, position)
            found = _upright(content)
        else:
            is_behind_number = last.kind in {Kind.NUMBER, Kind.WORDS} or last.text in {"}", ")"}
            found = tuple(_cut(match, in_prose, is_behind_number))
        yield from found
        last = found[-1] if found else last


def _cut(match: re.Match[str], in_prose: bool, is_behind_number: bool) -> Iterator[Token]:
    text = match[0]
    match match.lastgroup:
        case "letters":
            yield from _letters(text, in_prose, is_behind_number)
        case "begin" | "finish" as group:
            yield Token(Kind(group), text.split("{")[1].strip("}*"))
        case "name":
            yield Token(Kind.NAME, text[1:])
        case "mark" if in_prose and text not in _PROSE_MARKS:
            return
        case group:
            yield Token(Kind(group), text)


def _braced(text: str, start: int) -> tuple[str, int]:
    """Content of the group that opens at `start`, and where it has ended."""
    depth = 0
    for position in range(start, len(text)):
        depth += (text[position] == "{") - (text[position] == "}")
        if depth == 0:
            return text[start + 1 : position].strip(), position + 1
    raise UnreadableError


def _upright(content: str) -> tuple[Token, ...]:
    """Text that holds no mathematics is prose, however short."""
    in_prose = _MATHEMATICS.search(content) is None
    return tuple(replace(token, is_upright=True) for token in _scan(content, in_prose))


def _letters(run: str, in_prose: bool, is_behind_number: bool) -> Iterator[Token]:
    """A run of letters is a name, a word, or a product of variables."""
    if run in NAMES:
        yield Token(Kind.NAME, run)
    elif is_applied(run):
        yield Token(Kind.NAME, run[:-1])
        yield Token(Kind.LETTER, run[-1])
    elif is_word(run, in_prose, is_behind_number):
        yield Token(Kind.WORDS, run.casefold())
    else:
        yield from (Token(Kind.LETTER, letter) for letter in run)
