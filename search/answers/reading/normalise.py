r"""Brings the text of an answer into one spelling: LaTeX's spacing, delimiters and synonyms, thousands, currency.

Knows characters, not mathematics. Every pattern is linear in its input.
"""

import re

from search.answers.reading.characters import to_latex
from search.answers.reading.layout import side_by_side
from search.answers.reading.markdown import without_marks

_DOUBLED = re.compile(r"\\\\(?=[a-zA-Z]{2}|[{}%$!,;:])")
_REWRITES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(?<![a-zA-Z])(?:US|us)\\?\$|\\\$(?=\s*[\d.])", " usd "),
        (r"\\[$%]|%", " "),
        (r"\.{3,}|\\(?:[lc]?dots[cbmio]?|hdots)(?![a-zA-Z])", r"\\ldots "),
        (r"(?i:\bplus[ -/]?(?:or )?minus\b)|\+ ?/ ?-|\+-", r"\\pm "),
        (r"- ?/ ?\+|-\+", r"\\mp "),
        (r"(?i:\b(?:negative|minus)) +(?=[\d.\\(])", "-"),
        (r"(?<=\d) ?[xX] ?(?=10 ?(?:\^|\*\*))", r"\\times "),
        (r"(?<=\d)(?:\{,\}|\\text *\{,\}|,\\!|\\,|\\!)\s*(?=\d{3}(?!\d))", ""),  # 1{,}234  1,\!234  1\,234
        (r"\\(?:left|right|[bB]igg?[lrm]?)(?![a-zA-Z])\.?", ""),
        (r"(?<!\\)\\[()\[\]]|\$", " "),
        (r"(?<!\\)\\!", ""),
        (r"\\(?:text)?color *\{[a-zA-Z]+\}|\\[hv]space\*? *\{[^{}]*\}", " "),
        (r"\\(?:displaystyle|textstyle|limits|hfill|hline|space)(?![a-zA-Z])", " "),
        (r"\\(?:lor|vee)(?![a-zA-Z])", r"\\text{ or }"),
        (r"\\(?:land|wedge)(?![a-zA-Z])", r"\\text{ and }"),
        (r"\\(?:colon|mathbin ?\{:\})(?![a-zA-Z])", ":"),
        (r"(?<!\\)\\(?:[,;:>]|(?=\s))|~", " "),
        (r"\\(?:[dtcs]|nice)frac(?![a-zA-Z])", r"\\frac"),
        (r"\\[dt]binom(?![a-zA-Z])", r"\\binom"),
        (r"\\langle(?![a-zA-Z])", "("),
        (r"\\rangle(?![a-zA-Z])", ")"),
        (r"\\lbrace(?![a-zA-Z])", r"\\{"),
        (r"\\rbrace(?![a-zA-Z])", r"\\}"),
        (r"\\[lr]?vert(?![a-zA-Z])", "|"),
        (r"(?<=\d) ?(m/s(?:\^\{?2\}?)?)(?![a-zA-Z])", r"\\text{ \1}"),
        (r"\b(\d+) ?\(?(?:in )?base[ -]?(\d+|[a-z]+)\)?$", r"\1_{\2}"),
        (r"\(([0-9]+)\) ?_", r"\1_"),
        (r"(?<=\d)_ ?(?:\{ ?)?\((\d+|[a-z]+)\)(?: ?\})?", r"_{\1}"),
        (r"(?<![\d.,^_'])(\d{1,3}(?: \d{3})+)(?![\d/] ?|\.\d{3} )", lambda groups: groups[1].replace(" ", "")),
        (r"(?<![\d.,])\d{1,3}(?:'\d{3})+(?!\d)", lambda groups: groups[0].replace("'", "")),
        (r"(?<![\d.,])\d{1,3}(?:\.\d{3}){2,}(?![\d.])", lambda groups: groups[0].replace(".", "")),
        (r"(?<![a-zA-Z\\])([apAP])\. ?[mM](?![a-zA-Z])\.?", r"\1m"),
        (
            r"(?<=\d)(?::00)?( ?(?:\\(?:text|mathrm) ?\{)? ?)([apAP])[mM](?![a-zA-Z])",
            lambda parts: parts[1] + parts[2].lower() + "m",
        ),
        (r"\s+", " "),
    )
)
_CHOICE = re.compile(
    r"""
    (?:\\text(?:bf|rm|it)?\ ?\{\ ?)?       # \textbf{(C) } 12
    \(?([A-J])\)\ ?\}?
    (?:\ (?![-+=*/^_<>(){}!'|]|and\b|or\b|\\(?:c[au]p|text\ ?\{\ ?(?:and|or)\b)|.*\([A-J]\)).*)?
    | ([A-J])\.\ (?!and\b|or\b|(?:.*\W)?[A-J]\.\ )\S.*  # C. 12
    | (?i:option|choice)\ \(?([A-J])\)?(?:[,:.]?\ (?!and\b|or\b|(?:.*\W)?[A-J]\b).*)?  # Option C: 12
    """,
    re.VERBOSE | re.DOTALL,
)
_BOX = re.compile(r"\\(?:boxed|fbox) ?\{([^{}]*)\}")
_THOUSANDS = re.compile(r"(?<![\d,.])\d{1,3}(?:,\d{3})+(?![\d,])")


def normalise(text: str) -> str:
    """Return `text` in one spelling; nothing may be left of it."""
    text = to_latex(without_marks(text))
    if r"\begin" not in text:  # in a matrix a double backslash ends a row; elsewhere LaTeX was escaped twice
        text = _DOUBLED.sub(r"\\", text)
    text = side_by_side(text)
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    text = text.strip().rstrip(" .,;:\\").lstrip(" ,;:")
    if box := _BOX.fullmatch(text):
        text = box[1]
    choice = _CHOICE.fullmatch(text)
    return choice[choice.lastindex or 0] if choice else _join_thousands(text)


def _join_thousands(text: str) -> str:
    """`1,234` is a number outside of brackets only: in `(2,123)` the comma separates."""
    depths, depth = [], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        depths.append(depth)
    return _THOUSANDS.sub(lambda match: match[0] if depths[match.start()] else match[0].replace(",", ""), text)
