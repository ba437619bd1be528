"""The choices of a question as benchmarks write them, and which of them is right.

A list, a mapping from letters, `{"text": [...], "label": [...]}`, columns A to E, or one text; with letters or without.
"""

import re
from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any

_LABELLED = re.compile(r"\s*\(?([A-Ja-j])\s?[).:]\s*(.*)", re.DOTALL)
_SPLIT = re.compile(r"(?:^|(?<=[\s,]))\(?([A-Ja-j])\s?[).]\s+")
COLUMNS = ("a", "b", "c", "d", "e", "f")

Choices = tuple[str, ...]
"""The texts of the choices, the first of which is called A."""


def read_choices(value: Any) -> Choices:
    """Return the choices that a field holds, without their letters.

    Raises:
        ValueError: It holds something else.
    """
    if isinstance(value, Mapping):
        value = value["text"] if isinstance(value.get("text"), Sequence) else list(value.values())
    if isinstance(value, str):
        value = _split(value)
    if not isinstance(value, Sequence) or len(value) < 2 or not all(isinstance(text, str) for text in value):
        raise ValueError("its choices are not two texts or more")
    return _without_letters([text.strip() for text in value])


def of_columns(fields: Mapping[str, Any]) -> Choices:
    """Return the choices that stand in columns A, B, and so on; none where there are no two."""
    texts = []
    for column in COLUMNS:
        if not isinstance(fields.get(column), str):
            break
        texts.append(str(fields[column]))
    return tuple(texts) if len(texts) > 1 else ()


def _split(text: str) -> list[str]:
    """The choices of `A) 1 B) 2`, or of `a ) 38 , b ) 27.675`."""
    _, *pieces = _SPLIT.split(text)
    letters, texts = pieces[::2], pieces[1::2]
    is_in_order = "".join(letters).upper() == ascii_uppercase[: len(letters)]
    return [text.strip(" ,;\n") for text in texts] if is_in_order else []


def _without_letters(texts: Sequence[str]) -> Choices:
    found = [_LABELLED.fullmatch(text) for text in texts]
    if all(label and label[1].upper() == letter for label, letter in zip(found, ascii_uppercase, strict=False)):
        return tuple(label[2] for label in found if label)
    return tuple(texts)


def right_choice(answer: str, choices: Choices, labels: Sequence[str], is_index: bool) -> tuple[str, ...]:
    """Return how the right choice may be named: by its letter, by its text.

    Args:
        answer: A letter, a label, an index from 0, or the text of a choice.
        choices: All of them.
        labels: What the file calls them, where it says so.
        is_index: Whether the file writes the answer as a number, and not as text.

    Raises:
        ValueError: No choice is meant.
    """
    plain = answer.strip().strip("().").strip()
    if plain in labels:
        place = list(labels).index(plain)
    elif is_index and plain.isdecimal():
        place = int(plain)
    elif len(plain) == 1 and plain.upper() in ascii_uppercase:
        place = ascii_uppercase.index(plain.upper())
    elif answer.strip() in choices:
        place = choices.index(answer.strip())
    elif plain.isdecimal():
        place = int(plain)
    else:
        raise ValueError(f"its answer is none of its {len(choices)} choices")
    if place >= len(choices):
        raise ValueError(f"its answer is none of its {len(choices)} choices")
    return ascii_uppercase[place], choices[place]
