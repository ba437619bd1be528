"""The canonical key of any text. Holds to no limit of time: keep text of strangers to worker processes (`pool.py`)."""

import hashlib
from dataclasses import dataclass

from search.answers.meaning.key import key_of, unit_of
from search.answers.reading.normalise import normalise
from search.answers.reading.parser import read_statement
from search.answers.reading.syntax import UnreadableError
from search.answers.reading.text import MAX_LENGTH, text_key

MAX_KEY = 1_000
"""Characters of a key; a longer one is hashed."""


@dataclass(frozen=True, slots=True)
class Form:
    """What an answer compares as.

    Attributes:
        key: Equal for two answers exactly when they are equivalent but for their units; never empty.
        unit: Of measurement, in base units; None where none stands there.
    """

    key: str
    unit: str | None = None


def answer_form(text: str) -> Form:
    """Return what an answer compares as."""
    if len(text) > MAX_LENGTH:
        return Form(text_key(text))
    try:
        statement = read_statement(normalise(text))
        key, unit = key_of(statement), unit_of(statement)
    except (UnreadableError, RecursionError):
        return Form(text_key(text))
    return Form(key if len(key) <= MAX_KEY else f"hash:{hashlib.sha256(key.encode()).hexdigest()}", unit)


def answer_key(text: str) -> str:
    """Return the key of an answer: two answers vote alike exactly when it is equal; never empty."""
    return answer_form(text).key


def equivalent(first: str, second: str) -> bool:
    """Tell whether two answers are equivalent; where both have a unit of measurement, it counts."""
    one, other = answer_form(first), answer_form(second)
    return one.key == other.key and (one.unit == other.unit or None in (one.unit, other.unit))
