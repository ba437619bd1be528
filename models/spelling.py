"""What somebody may have meant whose spelling of a name is not known."""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

MAX_CHARS = 64
"""Longer names mean nothing: they come from clients, and the time to compare grows with the square of the length."""
MIN_CHARS = 3
"""So much of the beginning of a name stands for the whole."""
CLOSE = 0.72
"""Of difflib: twice the characters in common over all characters."""
MARGIN = 0.1
"""What is less alike than the best by more than this is not meant."""
MOST = 3


def did_you_mean(name: str, allowed: Iterable[str], then: str = "", *, prefix: str = "") -> str:
    """Return a question that suggests what is spelt alike, or begins so; nothing of it where nothing does.

    Upper case, and what separates words, make no difference.

    Args:
        name: As it was given.
        allowed: What may stand in its place. Nothing else is suggested.
        then: What is said behind the question, or without it.
        prefix: What all names begin with; it makes nothing alike.
    """
    by_letters = {_letters(each.removeprefix(prefix)): each for each in sorted(allowed, reverse=True)}
    letters = _letters(name.removeprefix(prefix)) if len(name) <= MAX_CHARS else ""
    if letters in by_letters:
        near = [letters]
    else:
        near = get_close_matches(letters, by_letters, 1, CLOSE)
        best = SequenceMatcher(None, near[0], letters).ratio() if near else 1.0
        near = get_close_matches(letters, by_letters, MOST, max(CLOSE, best - MARGIN))
        begun = sorted(each for each in by_letters if len(letters) >= MIN_CHARS and each.startswith(letters))
        near = [*near, *(each for each in begun if each not in near)][:MOST]
    question = f"did you mean {' or '.join(by_letters[each] for each in near)}?" if near else ""
    return " ".join(filter(None, (question, then)))


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()
