r"""Fenced code blocks and displayed formulas in a text that grows: nothing in them separates steps.

Knows Markdown's fences (``` and ~~~, where a line begins) and LaTeX's displays (\[ \], $$ $$, and environments, which
nest). In a block nothing but its own end is looked for. A block that is still open after so many lines counts as text
from there on, so that the response of a model that forgets to close one still has steps.
"""

import re
from dataclasses import dataclass
from typing import Literal

MAX_LINES = {"code": 500, "bracket": 20, "dollars": 20, "environment": 60}

_FENCE = re.compile(r"[ \t]{0,20}+(?:(`{3,200}+)([^`\n]{0,200})|(~{3,200}+)([^\n]{0,200}))\n")
_MAYBE_FENCE = re.compile(r"[ \t]{0,20}+(?:`{0,2}|~{0,2}|`{3,200}+[^`\n]{0,200}|~{3,200}+[^\n]{0,200})")
_BEGUN = r"(?:b|be|beg|begi|begin|e|en|end)\Z"
_MARK = re.compile(rf"\n|\$\$|\\(?!{_BEGUN})(?:begin\{{|end\{{|[^\n])")
_BEGUN_MARK = re.compile(rf"\$\Z|\\(?:\Z|{_BEGUN})")

Kind = Literal["code", "bracket", "dollars", "environment"]
OPENING: dict[str, Kind] = {r"\[": "bracket", "$$": "dollars", r"\begin{": "environment"}
CLOSING: dict[Kind, str] = {"bracket": r"\]", "dollars": "$$", "environment": r"\end{"}


@dataclass(slots=True)
class Blocks:
    """Reads a text. However that comes in pieces, the result is the same.

    Attributes:
        is_line_start: Whether the next character begins a line.
        kind: Of the block that is open; None outside.
    """

    is_line_start: bool = True
    kind: Kind | None = None
    _fence: str = ""  # that opened the code
    _depth: int = 0  # of environments
    _num_lines: int = 0  # of the open block
    _rest: str = ""  # may become a mark or a fence

    def read(self, text: str) -> None:
        """Go on with `text`."""
        text, place = self._rest + text, 0
        while True:
            if self.is_line_start and self.kind in (None, "code"):
                if fence := _FENCE.match(text, place):
                    self._pass_fence(fence)
                    place = fence.end()
                    continue
                if _MAYBE_FENCE.fullmatch(text, place):
                    break
            mark = _MARK.search(text, place)
            if mark is None:
                begun = _BEGUN_MARK.search(text, place)
                end = begun.start() if begun else len(text)
                self.is_line_start = self.is_line_start and end == place
                place = end
                break
            self._pass_mark(mark[0])
            place = mark.end()
        self._rest = text[place:]

    def _pass_fence(self, fence: re.Match[str]) -> None:
        marks, info = fence[1] or fence[3], fence[2] or fence[4] or ""
        if self.kind is None:
            self._open("code", marks)
        elif marks.startswith(self._fence) and not info.strip():
            self.kind = None
        self._pass_line()

    def _pass_mark(self, mark: str) -> None:
        self.is_line_start = mark == "\n"
        if self.is_line_start:
            self._pass_line()
        elif self.kind is None:
            if mark in OPENING:
                self._open(OPENING[mark])
        elif self.kind != "code":
            if self.kind == "environment" and mark == r"\begin{":
                self._depth += 1
            elif mark == CLOSING[self.kind]:
                self._depth -= 1
                self.kind = self.kind if self._depth else None

    def _open(self, kind: Kind, fence: str = "") -> None:
        self.kind, self._fence, self._depth, self._num_lines = kind, fence, 1, 0

    def _pass_line(self) -> None:
        self.is_line_start = True
        self._num_lines += 1
        if self.kind is not None and self._num_lines > MAX_LINES[self.kind]:
            self.kind = None
