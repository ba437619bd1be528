r"""Takes Markdown off a text: bold, italics, code, headings, lists, quotes, tables. Leaves mathematics alone.

`2**3`, `2 * 3` and `x_1` are mathematics: marks stand at the edge of words. Every pattern is linear in its input.
"""

import re

_FENCE = re.compile(r"^[ \t]*(?:```|~~~).*$", re.MULTILINE)
_CODE = re.compile(r"`+")
_RULE = re.compile(r"^[ \t]*(?:[-=*_][ \t]*){3,}$", re.MULTILINE)
_BEGINNING = re.compile(r"^[ \t]*(?:>[ \t]?)*[ \t]*(?:#{1,6}[ \t]+|[-*•][ \t]+(?=\S))?", re.MULTILINE)
_BOLD = re.compile(
    r"(?<![\w\\^})\]*])(?:\*{2,3}|__|~~)(?=[^\s*_])"  # opens
    r"|(?<=[^\s*_\\^({])(?:\*{2,3}|__|~~)(?![\w\\({\[*]|\.\d)"  # closes
    r"|(?<=[.,:;!?])(?:\*{2,3}|__)(?=\S)"  # closes behind a sign, as in **Answer:**5
)
_ITALIC = re.compile(r"(?<![\w*\\)}\]])\*(?=[^\s*])([^*\n]+)(?<=[^\s*])\*(?![\w*(\\{])")
_TABLE = re.compile(r"^[ \t]*\|(.*)\|[ \t]*\n[ \t]*\|[ \t:|-]+\|[ \t]*((?:\n[ \t]*\|.*)+)", re.MULTILINE)


def without_marks(text: str) -> str:
    """Return a short text, such as an answer, without the Markdown around it."""
    text = text.strip()
    return _without_emphasis(_BEGINNING.sub("", text) if text.startswith("#") else text)


def plain(text: str) -> str:
    """Return a whole response without its Markdown; rows of tables become lines such as `label: value`."""
    text = _BEGINNING.sub("", _RULE.sub("", _FENCE.sub("", text)))
    return _without_emphasis(_TABLE.sub(_as_lines, text))


def _without_emphasis(text: str) -> str:
    return _ITALIC.sub(r"\1", _BOLD.sub("", _CODE.sub("", text)))


def _as_lines(table: re.Match[str]) -> str:
    """Write the rows of a table, first those of two cells as `first: second`, then each cell as `header: cell`."""
    header = [cell.strip() for cell in table[1].split("|")]
    rows = [[cell.strip() for cell in row.strip().strip("|").split("|")] for row in table[2].strip().split("\n")]
    pairs = [": ".join(row) for row in (header, *rows) if len(row) == 2]
    columns = [f"{label}: {cell}" for row in rows for label, cell in zip(header, row, strict=False)]
    return "\n".join((*columns, *pairs))
