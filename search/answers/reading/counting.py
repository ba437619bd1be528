"""Reads what stands behind a number: a unit of measurement, a noun that it counts, a word that multiplies it.

Knows words, not what a unit changes: that is for the meaning of an answer.
"""

from fractions import Fraction

from search.answers.reading.cursor import Cursor
from search.answers.reading.notation import at_conjunction
from search.answers.reading.syntax import Apply, Node, Number, Quantity, UnreadableError, variables
from search.answers.reading.tokens import Kind, Token
from search.answers.reading.units import ONE, Unit, combine, find_unit, noun
from search.answers.reading.words import (
    CONJUNCTIONS,
    GREEK,
    LETTERS_BETWEEN,
    TELLING,
    TELLING_BEHIND,
    UNIT_LETTERS,
    UNIT_WORDS,
    scale_of,
)

_MICRO = Fraction(1, 10**6)
_POWERS = {"sq": 2, "square": 2, "squared": 2, "cu": 3, "cubic": 3, "cubed": 3}
_DOTS = frozenset({"cdot", "times", "*"})

MAX_FACTORS = 10
"""Units in a product."""


def at_unit(cursor: Cursor, counted: Node, ahead: int = 0) -> bool:
    """Say whether the token `ahead` says what `counted` counts."""
    token = cursor.peek(ahead)
    match token.kind:
        case Kind.LETTER:
            is_differential = token.text == "d" and _is_variable(cursor.peek(ahead + 1))
            is_unit = token.is_upright and token.text in UNIT_LETTERS and not is_differential
            return is_unit and not variables(counted)
        case Kind.NAME if isinstance(counted, Number):
            is_product = _is_variable(cursor.peek(ahead + 2)) and not cursor.peek(ahead + 1).is_upright
            is_micro = token.text == "mu" and at_unit_letter(cursor.peek(ahead + 1)) and not is_product
            return token.text == "Omega" or is_micro
        case Kind.WORDS:
            return token.text not in CONJUNCTIONS and (token.text not in LETTERS_BETWEEN or token.written != "")
    return False


def _is_variable(token: Token) -> bool:
    return token.kind is Kind.LETTER or (token.kind is Kind.NAME and token.text in GREEK)


def at_unit_letter(token: Token) -> bool:
    """Say whether a token may be a unit behind a prefix, as the letter of micrometres is."""
    return token.text in UNIT_LETTERS or (token.kind is Kind.WORDS and find_unit(token.written) is not None)


def read_unit(cursor: Cursor, counted: Node) -> Node:
    """Read the words behind `counted`: known units behind anything, any other words behind a number.

    Raises:
        UnreadableError: One of them changes what the number means.
    """
    word = cursor.peek()
    if (scale := scale_of(word.text)) is not None and word.kind is Kind.WORDS:
        cursor.take()
        if variables(counted):
            raise UnreadableError
        return Apply("*", (counted, Number(scale)))
    if word.text in ("squared", "cubed"):
        cursor.take()
        return Apply("^", (counted, Number(Fraction(_POWERS[word.text]))))
    if word.text in TELLING_BEHIND:
        raise UnreadableError
    if word.text in ("degree", "degrees") and cursor.peek(1).text in ("celsius", "fahrenheit", "kelvin"):
        cursor.take()
    unit = _read_measure(cursor)
    words = _read_nouns(cursor)
    if unit is None and words and variables(counted):
        raise UnreadableError
    unit = unit or (noun("".join(words)) if words else None)
    return counted if unit is None else Quantity(counted, unit)


def _read_measure(cursor: Cursor) -> Unit | None:
    """Read a unit of measurement, which may be a product of several; None where none stands there."""
    unit, exponent, num_factors = None, 1, 0
    while (part := _read_part(cursor, unit is not None)) is not None:
        num_factors += 1
        if num_factors > MAX_FACTORS:
            raise UnreadableError
        unit = combine(unit or ONE, part, exponent)
        exponent = 1
        ahead = cursor.peek(1)
        is_unit_ahead = ahead.kind is Kind.WORDS or (ahead.kind is Kind.LETTER and ahead.text in UNIT_LETTERS)
        if cursor.sees(Kind.MARK, "/") and is_unit_ahead:
            cursor.take()
            exponent = -1
            if ahead.kind is Kind.WORDS and find_unit(ahead.written) is None and ahead.text not in UNIT_WORDS:
                return unit  # such as euros a head: what follows is a noun
        elif cursor.accept(Kind.WORDS, ("per", "pro", "por", "par")):
            exponent = -1
        elif cursor.peek().text in _DOTS and (ahead.is_upright or is_unit_ahead):
            cursor.take()
    return unit


def _read_part(cursor: Cursor, is_inside: bool) -> Unit | None:
    """Read one unit with its power."""
    power = _POWERS.get(cursor.peek().text, 1) if cursor.peek().kind is Kind.WORDS else 1
    if power > 1 or cursor.sees(Kind.WORDS, ("unit", "units")):
        cursor.take()
    token = cursor.peek()
    if token.kind is Kind.NAME and token.text == "mu" and at_unit_letter(cursor.peek(1)):
        cursor.take()
        found = find_unit(cursor.take().text)
        unit = None if found is None else Unit(found.factor * _MICRO, found.dimensions)
    else:
        unit = _known(cursor, is_inside)
        if unit is not None:
            cursor.take()
    if unit is None:
        return None
    if cursor.accept(Kind.MARK, ("^",)):
        power = _read_power(cursor)
    elif behind := cursor.accept(Kind.WORDS, ("squared", "cubed")):
        power = _POWERS[behind.text]
    return combine(ONE, unit, power)


def _known(cursor: Cursor, is_inside: bool) -> Unit | None:
    """The unit that stands next; a letter is one inside of another, or set as text; `in` where no word follows."""
    token = cursor.peek()
    if token.kind is Kind.LETTER:
        return find_unit(token.text) if (token.is_upright or is_inside) and token.text in UNIT_LETTERS else None
    if token.kind is Kind.NAME:
        return find_unit(token.text) if token.text == "Omega" else None
    if token.kind is not Kind.WORDS or token.text in TELLING:
        return None
    if token.text == "in" and cursor.peek(1).kind is Kind.WORDS:
        return None
    return find_unit(token.written or token.text)


def _read_power(cursor: Cursor) -> int:
    is_group = cursor.accept(Kind.MARK, ("{",))
    sign = -1 if cursor.accept(Kind.MARK, ("-",)) else 1
    digits = cursor.take().text
    if is_group:
        cursor.expect("}")
    if not digits.isdecimal() or len(digits) > 1:
        raise UnreadableError
    return sign * int(digits)


def _read_nouns(cursor: Cursor) -> list[str]:
    """Take the words that follow, of any language."""
    words = []
    while cursor.peek().kind is Kind.WORDS and not at_conjunction(cursor):
        word = cursor.take()
        if word.text in TELLING:
            raise UnreadableError
        words.append(word.text)
    return [word for word in words if word not in UNIT_WORDS]
