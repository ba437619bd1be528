"""Where a step ends: one finder for each rule. It sees a step token by token, and says how many of its tokens end it.

What a finder says depends on the tokens of the step and on the text of the step before alone, so that a response is
cut in the same places whether it is generated in one request or in many.
"""

import re
from bisect import bisect_right
from copy import copy
from functools import lru_cache
from typing import NamedTuple, Protocol

from models.checkpoints.tokenizer import ChatTokenizer
from models.interfaces import Delimiter, Markers, StepRule, TokenCount
from models.policy.blocks import Blocks
from models.policy.detokenizer import GrowingText

NO_SPACES_FROM = 0x2E80
"""From here on scripts (Chinese, Japanese) put no spaces between words."""

_END_OF_WORD = f"(?=[\\W{chr(NO_SPACES_FROM)}-\U0010ffff])"
_BEGINNING = (
    r"(?:\n[ \t>]{0,20}"  # of a line, or of a sentence behind what ended the last one, closing marks and space
    r"|[.!?\u2026][)\]}\"'\u201d\u2019*_$]{0,4}\s{1,20}|[\u3002\uff01\uff1f][)\]}\"'\u201d\u2019]{0,4}\s{0,20})"
    r"(?P<start>)(?:#{1,6}[ \t]{1,4}|[-*+][ \t]{1,4}|\d{1,3}[.)][ \t]{1,4})?[*_]{0,3}"  # heading, list, emphasis
)
_LIST_NUMBER = re.compile(r"(?:\A|\n)[ \t>]{0,20}\d{1,3}\Z")
"""What a full stop behind it ends is no sentence."""

_MOST_AROUND = 48
"""Characters that belong to such a beginning, and one behind the marker, rounded up."""

_KEPT = 4096
"""Characters of a step that are kept before they are read for blocks."""


class Cut(NamedTuple):
    """The end of a step: how many of the tokens seen belong to it, and how many characters of the text; None: all."""

    num_tokens: int
    num_chars: int | None = None


class StepEnd(Protocol):
    """Finds the end of one step."""

    def after(self, token_id: int, text: GrowingText) -> Cut | None:
        """Return where the step ends, or None if it goes on.

        Args:
            token_id: The next token of the step.
            text: Of the step so far, this token included.
        """


def find_end(rule: StepRule, tokenizer: ChatTokenizer, before: str) -> StepEnd:
    """Return what finds the end of the step that begins behind `before`, the text of the last one."""
    match rule:
        case Delimiter(text):
            return _DelimiterEnd(text, tokenizer.newline_ids if text.endswith("\n") else None, before)
        case TokenCount(number):
            return _TokenCountEnd(number)
        case Markers():
            return _MarkerEnd(rule, before)


class _DelimiterScan:
    """Reads a step piece by piece for a delimiter behind something visible, outside blocks."""

    def __init__(self, delimiter: str, before: str) -> None:
        self.has_step = False
        self._delimiter = delimiter
        self._blocks = Blocks(is_line_start=not before or before.endswith("\n"))
        behind = before.rpartition(delimiter)
        if behind[1]:
            self._blocks = Blocks(is_line_start=delimiter.endswith("\n"))
            self._blocks.read(behind[2])
        self._is_visible = False
        self._text = ""  # where a delimiter may begin
        self._num_read = 0  # characters of it that the blocks have read

    def __copy__(self) -> "_DelimiterScan":
        twin = object.__new__(_DelimiterScan)
        twin.__dict__.update(self.__dict__)
        twin._blocks = copy(self._blocks)
        return twin

    def read(self, text: str) -> None:
        """Go on with `text`."""
        if self.has_step or not (text := self._behind_first_visible(text)):
            return
        self._text += text
        place = self._text.find(self._delimiter)
        while place >= 0:
            self._read_blocks(place + len(self._delimiter))
            if self._blocks.kind is None:
                self.has_step = True
                return
            place = self._text.find(self._delimiter, place + 1)
        num_over = max(0, len(self._text) - len(self._delimiter) + 1)
        self._read_blocks(num_over)
        self._text = self._text[num_over:]
        self._num_read -= num_over

    def _behind_first_visible(self, text: str) -> str:
        if not self._is_visible:
            shown = text.lstrip()
            self._is_visible = bool(shown)
            num_before = len(text) - len(shown) + self._is_visible
            self._blocks.read(text[:num_before])
            text = text[num_before:]
        return text

    def _read_blocks(self, end: int) -> None:
        if end > self._num_read:
            self._blocks.read(self._text[self._num_read : end])
            self._num_read = end


class _DelimiterEnd:
    """A step ends with the token that completes the delimiter; where that token runs on behind it, so does the step."""

    def __init__(self, delimiter: str, can_complete: frozenset[int] | None, before: str) -> None:
        self._can_complete = can_complete
        self._scan = _DelimiterScan(delimiter, before)
        self._open_scan: _DelimiterScan | None = None  # goes on into the open end
        self._num_tokens = 0

    def after(self, token_id: int, text: GrowingText) -> Cut | None:
        self._num_tokens += 1
        if self._can_complete is not None and token_id not in self._can_complete:
            return None
        return Cut(self._num_tokens) if self._has_step(text) else None

    def _has_step(self, text: GrowingText) -> bool:
        if (settled := text.read()) is not None:
            self._scan.read(settled)
            self._open_scan = None
        if not text.has_open_characters:
            return self._scan.has_step
        if self._open_scan is None:
            self._open_scan = copy(self._scan)
        self._open_scan.read(text.read_open())
        return self._open_scan.has_step


class _TokenCountEnd:
    """A step has so many tokens; more where these show nothing, or end within a character."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._num_tokens = 0
        self._is_visible = False

    def after(self, token_id: int, text: GrowingText) -> Cut | None:
        self._num_tokens += 1
        self._is_visible = self._is_visible or bool((text.read() or "").strip())
        is_end = self._num_tokens >= self._number and self._is_visible and text.is_settled
        return Cut(self._num_tokens) if is_end else None


class _MarkerEnd:
    """A step ends with the last token that ends before the next marker begins, and not within a character."""

    def __init__(self, rule: Markers, before: str) -> None:
        self._pattern = _pattern(rule)
        self._longest = max(map(len, rule.texts)) + _MOST_AROUND
        self._blocks = Blocks(is_line_start=not before or before.endswith("\n"))
        self._text = ""  # the last characters of the step
        self._num_over = 0  # those before it
        self._num_read = 0  # characters of it that the blocks have read
        self._num_searched = 0  # characters of it where no marker begins
        self._ends: list[int] = []  # characters of the step after some of its tokens
        self._nums: list[int] = []  # how many these tokens are
        self._num_tokens = 0
        self._num_blank: int | None = None  # characters before the first visible one

    def after(self, token_id: int, text: GrowingText) -> Cut | None:
        self._num_tokens += 1
        new = text.read() or ""
        if self._num_blank is None and (shown := new.lstrip()):
            self._num_blank = self._num_over + len(self._text) + len(new) - len(shown)
        self._text += new
        found = self._search() if new else None
        if text.is_settled:
            self._ends.append(self._num_over + len(self._text))
            self._nums.append(self._num_tokens)
        return found

    def _search(self) -> Cut | None:
        while marker := self._pattern.search(self._text, self._num_searched):
            cut = self._cut_before(self._num_over + marker.start("start"))
            is_item = _LIST_NUMBER.search(self._text, max(0, marker.start() - _MOST_AROUND), marker.start())
            if cut and not is_item and self._is_outside(marker.start("start")):
                return cut
            self._num_searched = marker.start() + 1
        self._num_searched = max(self._num_searched, len(self._text) - self._longest)
        if self._num_searched > _KEPT:
            self._forget(self._num_searched)
        return None

    def _cut_before(self, num_chars: int) -> Cut | None:
        """Return the last end of a token there or before, if something visible stands before it."""
        index = bisect_right(self._ends, num_chars) - 1
        is_visible = self._num_blank is not None and index >= 0 and self._ends[index] > self._num_blank
        return Cut(self._nums[index], self._ends[index]) if is_visible else None

    def _is_outside(self, place: int) -> bool:
        self._read_blocks(place)
        return self._blocks.kind is None

    def _read_blocks(self, end: int) -> None:
        if end > self._num_read:
            self._blocks.read(self._text[self._num_read : end])
            self._num_read = end

    def _forget(self, num_chars: int) -> None:
        self._read_blocks(num_chars)
        self._text = self._text[num_chars:]
        self._num_over += num_chars
        self._num_read -= num_chars
        self._num_searched -= num_chars


@lru_cache(256)
def _pattern(rule: Markers) -> re.Pattern[str]:
    return re.compile(f"{_BEGINNING}(?:{'|'.join(map(_whole, rule.texts))})")


def _whole(marker: str) -> str:
    is_word = re.match(r"\w", marker[-1]) and ord(marker[-1]) < NO_SPACES_FROM
    return re.escape(marker) + (_END_OF_WORD if is_word else "")
