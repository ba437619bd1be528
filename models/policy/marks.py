"""Finds the marks of thoughts in a response, token by token.

A mark that holds an added token of the vocabulary (Qwen3's `<think>`, gpt-oss's channels) is looked for in the token
ids: the same characters, spelt by other tokens, are text. Any other mark is looked for in the text, and may be split
over tokens. Knows nothing of steps and budgets.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from models.checkpoints.marks import Marks
from models.checkpoints.tokenizer import ChatTokenizer


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark as a tokenizer writes it.

    Attributes:
        token_ids: Where it holds an added token; empty where it is looked for in the text.
        raw: Its bytes.
        shown: What of it is in the text of a response: special tokens are not.
        opens: Whether it is the start.
    """

    token_ids: tuple[int, ...]
    raw: bytes
    shown: str
    opens: bool


class Spelling:
    """How a tokenizer writes the marks.

    Args:
        marks: Of the model.
        tokenizer: Of the model, to which the added tokens in the marks are special.
    """

    def __init__(self, marks: Marks, tokenizer: ChatTokenizer) -> None:
        self._pieces = tokenizer.pieces
        each = [self._read(text, tokenizer, opens=text == marks.start) for text in marks.texts]
        self.by_ids = sorted((mark for mark in each if mark.token_ids), key=lambda mark: -len(mark.token_ids))
        self.by_text = [mark for mark in each if not mark.token_ids]
        self.last_ids = frozenset(mark.token_ids[-1] for mark in self.by_ids)
        self.longest = max(max(len(mark.token_ids), len(mark.raw)) for mark in each)
        self.num_start_tokens = len(tokenizer.encode_marked(marks.start))
        self.limit_ids = tokenizer.encode_marked(marks.at_limit)

    def bytes_of(self, token_id: int) -> bytes:
        """What a token adds to a text."""
        piece = self._pieces.get(token_id, b"")
        return piece.encode() if isinstance(piece, str) else piece

    def _read(self, text: str, tokenizer: ChatTokenizer, *, opens: bool) -> Mark:
        if not tokenizer.spells_special_token(text):
            return Mark((), text.encode(), text, opens)
        token_ids = tokenizer.encode_marked(text)
        return Mark(token_ids, text.encode(), tokenizer.decode(token_ids), opens)


@dataclass(frozen=True, slots=True)
class Found:
    """A mark that a token has completed.

    Attributes:
        mark: Which one.
        rest: Text of the token behind it.
    """

    mark: Mark
    rest: str = ""


class MarkFinder:
    """Looks for marks in one response, token by token.

    Args:
        spelling: Of the marks.
        before: Tokens that came before, with which a mark may have begun.
    """

    def __init__(self, spelling: Spelling, before: Sequence[int] = ()) -> None:
        self._spelling = spelling
        self._recent: deque[int] = deque(maxlen=spelling.longest)
        self._tail = b""
        self.last: Found | None = None
        self.read(before[-spelling.longest :])

    def read(self, token_ids: Iterable[int]) -> None:
        """Go on with several tokens; `last` is what the last of them has completed."""
        for token_id in token_ids:
            self.last = self.see(token_id)

    def see(self, token_id: int) -> Found | None:
        """Go on with a token; return the mark that it completes."""
        spelling = self._spelling
        self._recent.append(token_id)
        if token_id in spelling.last_ids:
            recent = tuple(self._recent)
            for mark in spelling.by_ids:
                if recent[-len(mark.token_ids) :] == mark.token_ids:
                    return Found(mark)
        return self._see_text(token_id) if spelling.by_text else None

    def _see_text(self, token_id: int) -> Found | None:
        text = self._tail + self._spelling.bytes_of(token_id)
        for mark in self._spelling.by_text:
            place = text.find(mark.raw)
            if place >= 0:
                rest = text[place + len(mark.raw) :]
                self._tail = rest
                return Found(mark, rest.decode("utf-8", "replace"))
        self._tail = text[1 - self._spelling.longest :] if self._spelling.longest > 1 else b""
        return None
