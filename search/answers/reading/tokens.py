"""Cuts a normalised answer into tokens. Knows LaTeX's lexical rules; leaves it to `words` what is English."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from search.answers.reading.syntax import UnreadableError
from search.answers.reading.units import ALONE
from search.answers.reading.words import (
    CONJUNCTIONS,
    LETTERS_BETWEEN,
    NAMES,
    SCALES,
    TELLING,
    TELLING_BEHIND,
    factors,
    is_foreign,
    is_prose,
    is_word,
)

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
        is_spaced: True behind a space.
        written: A word as it is written, with its capitals; "" for what is no word.
    """

    kind: Kind
    text: str
    is_upright: bool = False
    is_spaced: bool = False
    written: str = ""


END = Token(Kind.END, "")

_TOKEN = re.compile(
    r"""
    (?P<code>0(?:[xX][0-9a-fA-F]+|[bB][01]+|[oO][0-7]+)(?![a-zA-Z0-9]))
  | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+(?![a-zA-Z]))?)
  | (?P<begin>\\begin\{array\}\{[^{}]*\}|\\begin\{[a-zA-Z]+\*?\})
  | (?P<finish>\\end\{[a-zA-Z]+\*?\})
  | (?P<upright>\\(?:text(?:rm|bf|it|sf|tt|normal)?|math(?:rm|bf|it|sf)|mbox|operatorname|boldsymbol|bm)\*?\s*(?=\{))
  | (?P<name>\\[a-zA-Z]+)
  | (?P<letters>[^\W\d_\u0400-\U0010ffff]+(?:'s)?|[^\W\d_\0-\u03ff]+)
  | (?P<mark>\*\*|<=|>=|!=|==|\\.|[^\s])
    """,
    re.VERBOSE,
)
_MATHEMATICS, _UNIT_MARKS = re.compile(r"\d|\\[a-zA-Z]"), re.compile(r"[/^*]")
_ARGUMENT = re.compile(r"\s*[({_\\\[|]"), re.compile(r"\s*[^\s,.;)}]")
"""What follows `min` and `sec` where they are functions, and no units behind a number."""
_PROSE_MARKS = frozenset(",;()")
_VALUE = re.compile(r"(?:^|[=,;])[\s\d./(){}+-]*(?:\\(?:frac|sqrt|pm)[\s\d./(){}+-]*)*\s$")
_ITEM_BEGINS = re.compile(r"\s+(?:[-+]?\\?[a-z0-9]\w*\s*[=<>]|[-+]?(?:\d|\\(?:frac|sqrt|pm)))")
_PIECE = re.compile(
    "|".join(
        sorted(
            (word for word in CONJUNCTIONS | TELLING | SCALES.keys() | ALONE.keys() if word > "\u2e80"),
            key=len,
            reverse=True,
        )
    )
)
"""Words of Chinese and Japanese that are told apart though no spaces are between them."""


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


def _scan(text: str, in_prose: bool, is_behind_number: bool = False) -> Iterator[Token]:
    position = 0
    last, before = Token(Kind.NUMBER, "") if is_behind_number else END, END
    while match := _TOKEN.search(text, position):
        is_spaced = match.start() > position or text[match.start() - 1 : match.start()].isspace()
        position = match.end()
        unit = before if last.text == "/" else last
        is_behind_number = unit.kind in {Kind.NUMBER, Kind.WORDS} or unit.text in {"}", ")"}
        if match.lastgroup == "upright":
            content, position = _braced(text, position)
            is_spaced_out = len(content) > 1 or text[match.end() : position] == f"{{ {content} }}"
            if content in LETTERS_BETWEEN and is_spaced_out:
                found: tuple[Token, ...] = (Token(Kind.WORDS, content),)
            else:
                found = _upright(content, is_behind_number)
        elif _is_conjunction(match, text):
            found = (Token(Kind.WORDS, match[0]),)
        else:
            found = tuple(_cut(match, in_prose, is_behind_number))
        if found:
            yield replace(found[0], is_spaced=is_spaced)
            yield from found[1:]
            last, before = found[-1], found[-2] if len(found) > 1 else last


def _is_conjunction(match: re.Match[str], text: str) -> bool:
    """True for a letter such as Spanish's `y` between two items: `x = 1 y x = 2` lists, `2 y` multiplies."""
    if match[0] not in LETTERS_BETWEEN:
        return False
    return bool(_VALUE.search(text, 0, match.start()) and _ITEM_BEGINS.match(text, match.end()))


def _cut(match: re.Match[str], in_prose: bool, is_behind_number: bool) -> Iterator[Token]:
    text = match[0]
    match match.lastgroup:
        case "letters" if is_foreign(text) and not in_prose:
            yield from _pieces(text)
        case "letters":
            is_argument = _ARGUMENT[text == "sec"].match(match.string, match.end()) is not None
            yield from _letters(text, in_prose, is_behind_number and not is_argument, is_behind_number)
        case "code":
            yield Token(Kind.WORDS, text.casefold())
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


def _upright(content: str, is_behind_number: bool) -> tuple[Token, ...]:
    """Text that holds no mathematics is prose, however short."""
    in_prose = _MATHEMATICS.search(content) is None and not (is_behind_number and _UNIT_MARKS.search(content))
    return tuple(replace(token, is_upright=True) for token in _scan(content, in_prose, is_behind_number))


def _letters(run: str, in_prose: bool, can_be_unit: bool, is_behind_number: bool) -> Iterator[Token]:
    """A run of letters is a name, a word, or a product of variables; `min` behind a number is a unit."""
    if run in NAMES and not (run in {"min", "sec"} and can_be_unit):
        yield Token(Kind.NAME, run)
    elif parts := factors(run):
        yield from (Token(Kind.LETTER if len(part) == 1 else Kind.NAME, part) for part in parts)
    elif is_word(run, in_prose, is_behind_number):
        yield Token(Kind.WORDS, run.casefold(), written=run)
    else:
        yield from (Token(Kind.LETTER, letter) for letter in run)


def _pieces(run: str) -> Iterator[Token]:
    """Cut what is written without spaces at the words that are known; the rest between them is words, too."""
    position = 0
    while position < len(run):
        known = _PIECE.search(run, position)
        start, end = known.span() if known else (len(run), len(run))
        if run[position] in TELLING_BEHIND and position == 0 and start > 0:
            start, end = 1, 1
        if start > position:
            yield Token(Kind.WORDS, run[position:start].casefold(), written=run[position:start])
        if end > start:
            yield Token(Kind.WORDS, run[start:end], written=run[start:end])
        position = max(start, end)
