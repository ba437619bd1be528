"""Answers that compare as text: what is not read as mathematics is its normalised string."""

import hashlib
import re
import unicodedata

from search.answers.reading.normalise import normalise
from search.answers.reading.words import is_prose

MAX_LENGTH = 512
"""Characters of an answer that is read; a longer one compares as a hash of itself."""

TEXT = "text:"
"""How the key of an answer begins that compares as its normalised string."""

LONG = "long:"
"""How the key of an answer begins that is too long to be read."""

_WRAPPER = re.compile(r"\\(?:text|mbox|mathrm|textbf|textit|textrm|mathbf|operatorname)(?![a-zA-Z])|[{}]")
_SKIPPED = re.compile(r"(?<!\d)\s+|\s+(?!\d)|(?<!\d)\.|\.(?!\d)")


def text_key(text: str) -> str:
    """Return the key of an answer that compares as text; never empty, never equal to a key of mathematics."""
    if len(text) > MAX_LENGTH:
        return f"{LONG}{hashlib.sha256(' '.join(text.split()).encode(errors='backslashreplace')).hexdigest()}"
    plain = _WRAPPER.sub("", normalise(text))
    plain = _SKIPPED.sub("", plain.casefold() if is_prose(plain) else plain) or unicodedata.normalize("NFKC", text)
    return f"{TEXT}{plain.encode(errors='backslashreplace').decode()}"


def is_text_key(key: str) -> bool:
    """Say whether a key is that of an answer that compares as text."""
    return key.startswith((TEXT, LONG))
