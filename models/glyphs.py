"""Text that models, clients and files hold, made fit to be shown: what has no glyph is spelt out.

A terminal obeys control characters: they move its cursor, clear it and set its title. Others turn the direction of
reading, or take no room.
"""

import unicodedata

HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode's categories of what has no glyph: controls, formats (direction, no width), halves of pairs, separators."""
NEEDED = "\n\t\u200c\u200d"
"""Of these, what text needs: lines, and what joins the letters of scripts and emoji."""


def spelt_out(text: str) -> str:
    """Return a text all of which is to be seen, and which changes nothing but its own place on a screen."""
    return "".join(each if _is_seen(each) else ascii(each)[1:-1] for each in text.replace("\r\n", "\n"))


def _is_seen(character: str) -> bool:
    return character in NEEDED or unicodedata.category(character) not in HIDDEN
