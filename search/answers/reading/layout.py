r"""What stands side by side or one below the other: `x = 1 \quad y = 2`, lines, systems of equations.

Writes commas between items. Knows where an item has a value of its own, and no more of mathematics.
"""

import re

_BREAK = re.compile(r"\\q?quad|(?<!\\)\\\\(?:\[[^\]]*\])?|[ ]{4,}|\n")
_SYSTEM = re.compile(
    r"(?:\\left *)?(?:\\\{ *)?\\begin *\{(d?cases|aligned|align\*?|gathered|split|array)\}(?:\{[^{}]*\})?"
    r"((?:(?!\\begin)[\s\S])*?)\\end *\{\1\}(?: *\\right *\.)?"
)
_COMPARISON = re.compile(r"[=<>]|\\(?:[lg]e(?:q|qslant)?|ne(?:q)?|in|approx|lt|gt)(?![a-zA-Z])")
_HALF = re.compile(
    r"(?:[-+*/^_=<>,;:(\[{&]|\\(?:cdot|times|pm|text *\{[^{}]*\}|cup|cap)) *$|(?<![a-zA-Z])(?:and|or) *$"
)
_REST = re.compile(
    r" *(?:[-+*/^_=<>,;{:)\]}&!]|\\(?:cdot|times|cup|cap|text|mathrm|[lg]e|right|approx)|(?:and|or)\b|$)"
)
_VALUE = re.compile(r"\d")


def side_by_side(text: str) -> str:
    """Return the text with a comma wherever an item ends and another begins behind a wide space or on a new line."""
    text = _SYSTEM.sub(_rows, text)
    if r"\begin" in text:
        return text
    parts, position = [], 0
    for found in _BREAK.finditer(text):
        parts.append(text[position : found.start()])
        position = found.end()
    joined = ""
    for part in [*parts, text[position:]]:
        joined += (", " if _ends(joined) and _begins(part) else " ") + part if joined.strip() else part
    return joined


def _ends(text: str) -> bool:
    last = re.split(r"[,;]|(?<![a-zA-Z])(?:and|or)(?![a-zA-Z])", text)[-1]
    return bool(_COMPARISON.search(last) or _VALUE.search(last)) and not _HALF.search(text)


def _begins(part: str) -> bool:
    return bool(_COMPARISON.search(part) or _VALUE.search(part)) and not _REST.match(part)


def _rows(system: re.Match[str]) -> str:
    """A system's equations as a list; what is no system, such as a matrix, stays."""
    rows = [row for row in re.split(r"\\\\(?:\[[^\]]*\])?", system[2]) if row.strip()]
    if not rows or any(map(_is_piece, rows)):
        return system[0]
    return ", ".join(row.replace("&", "").strip(" ,;.") for row in rows)


def _is_piece(row: str) -> bool:
    """True for a row that is no equation, such as that of a matrix or of a function defined piece by piece."""
    before, _, behind = row.partition("&")
    return not (_COMPARISON.search(before) or _COMPARISON.match(behind.lstrip()))
