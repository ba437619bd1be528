"""Writes any text in ASCII and LaTeX, as far as there is a spelling; drops what cannot be seen."""

import re
import unicodedata

_LATEX = {
    "\N{MINUS SIGN}": "-",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{MULTIPLICATION SIGN}": r"\times ",
    "\N{MIDDLE DOT}": r"\cdot ",
    "\N{DOT OPERATOR}": r"\cdot ",
    "\N{DIVISION SIGN}": r"\div ",
    "\N{DIVISION SLASH}": "/",
    "\N{FRACTION SLASH}": "/",
    "\N{SQUARE ROOT}": r"\sqrt ",
    "\N{INFINITY}": r"\infty ",
    "\N{LESS-THAN OR EQUAL TO}": r"\le ",
    "\N{LESS-THAN OR SLANTED EQUAL TO}": r"\le ",
    "\N{GREATER-THAN OR EQUAL TO}": r"\ge ",
    "\N{GREATER-THAN OR SLANTED EQUAL TO}": r"\ge ",
    "\N{NOT EQUAL TO}": r"\ne ",
    "\N{ALMOST EQUAL TO}": r"\approx ",
    "\N{PLUS-MINUS SIGN}": r"\pm ",
    "\N{MINUS-OR-PLUS SIGN}": r"\mp ",
    "\N{DEGREE SIGN}": r"^\circ ",
    "\N{UNION}": r"\cup ",
    "\N{INTERSECTION}": r"\cap ",
    "\N{ELEMENT OF}": r"\in ",
    "\N{EMPTY SET}": r"\emptyset ",
    "\N{DOUBLE-STRUCK CAPITAL R}": r"\mathbb{R}",
    "\N{PRIME}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{GREEK SMALL LETTER ALPHA}": r"\alpha ",
    "\N{GREEK SMALL LETTER BETA}": r"\beta ",
    "\N{GREEK SMALL LETTER THETA}": r"\theta ",
    "\N{GREEK SMALL LETTER LAMDA}": r"\lambda ",
    "\N{GREEK SMALL LETTER PI}": r"\pi ",
    "\N{GREEK SMALL LETTER PHI}": r"\varphi ",
    "\N{GREEK SMALL LETTER MU}": r"\mu ",
    "\N{GREEK CAPITAL LETTER OMEGA}": r"\Omega ",
    "\N{RATIO}": ":",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots ",
    "\N{MIDLINE HORIZONTAL ELLIPSIS}": r"\ldots ",
    "\N{LOGICAL OR}": r"\lor ",
    "\N{LOGICAL AND}": r"\land ",
    "\N{SET MINUS}": r"\setminus ",
    "\N{DIVIDES}": "|",
    "\N{IDEOGRAPHIC COMMA}": ",",
    "\N{IDEOGRAPHIC FULL STOP}": ".",
    "\N{DOUBLE-STRUCK CAPITAL Z}": r"\mathbb{Z}",
    "\N{DOUBLE-STRUCK CAPITAL N}": r"\mathbb{N}",
    "\N{DOUBLE-STRUCK CAPITAL Q}": r"\mathbb{Q}",
    "\N{DOUBLE-STRUCK CAPITAL C}": r"\mathbb{C}",
    "\N{EURO SIGN}": " eur ",
    "\N{POUND SIGN}": " gbp ",
    "\N{YEN SIGN}": " yen ",
    "\N{INDIAN RUPEE SIGN}": " inr ",
}
_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿⁱ", "0123456789+-ni", strict=True))
_LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋", "0123456789+-", strict=True))
_RAISED_RUN = re.compile(f"[{''.join(_RAISED)}]+")
_LOWERED_RUN = re.compile(f"[{''.join(_LOWERED)}]+")
_RANGE = re.compile(r"(?<=\d)\s*[\N{EN DASH}\N{EM DASH}]\s*(?=\d)")
"""A dash between two numbers joins them to a range, as does a hyphen without spaces."""
_FRACTION = re.compile("[¼½¾⅐-⅞]")
_SPECIAL = re.compile(f"[{''.join(_LATEX)}]")
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Sc"})
"""Control and format characters, halves of surrogate pairs, unassigned ones; signs of currency."""


def to_latex(text: str) -> str:
    """Return `text` with its mathematical characters as LaTeX and the others in their plainest form."""
    if text.isascii() and text.isprintable():
        return text
    text = _RANGE.sub("-", text)
    text = _RAISED_RUN.sub(lambda run: "^{" + "".join(map(_RAISED.__getitem__, run[0])) + "}", text)
    text = _LOWERED_RUN.sub(lambda run: "_{" + "".join(map(_LOWERED.__getitem__, run[0])) + "}", text)
    text = _FRACTION.sub(lambda fraction: f" {unicodedata.normalize('NFKC', fraction[0])}", text)
    text = _SPECIAL.sub(lambda character: _LATEX[character[0]], text)
    text = "".join(map(_plain, unicodedata.normalize("NFKC", text)))
    return _SPECIAL.sub(lambda character: _LATEX[character[0]], text)


def _plain(character: str) -> str:
    """One ASCII digit for any script's; nothing for what cannot be seen; lines stay lines."""
    if character.isspace():
        return "\n" if character == "\n" else " "
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    is_unseen = unicodedata.category(character) in _UNSEEN and character != "$"
    return "" if is_unseen else character
