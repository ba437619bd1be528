"""The canonical key of any text. Holds to no limit of time: keep text of strangers to worker processes (`pool.py`)."""

import hashlib

from search.answers.meaning.key import key_of
from search.answers.reading.normalise import normalise
from search.answers.reading.parser import read_statement
from search.answers.reading.syntax import UnreadableError
from search.answers.reading.text import MAX_LENGTH, text_key

MAX_KEY = 1_000
"""Characters of a key; a longer one is hashed."""


def answer_key(text: str) -> str:
    """Return the key of an answer: equal for two answers exactly when they are equivalent; never empty."""
    if len(text) > MAX_LENGTH:
        return text_key(text)
    try:
        key = key_of(read_statement(normalise(text)))
    except (UnreadableError, RecursionError):
        return text_key(text)
    return key if len(key) <= MAX_KEY else f"hash:{hashlib.sha256(key.encode()).hexdigest()}"


def equivalent(first: str, second: str) -> bool:
    """Tell whether two answers are equivalent."""
    return answer_key(first) == answer_key(second)
