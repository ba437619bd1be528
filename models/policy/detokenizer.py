"""Decodes a response while it is generated, every token once, when its text is first asked for.

The text is at every moment what the tokenizer makes of all ids so far. What one token says can depend on others where a
character comes in pieces, and there alone, so a text has two parts: the one that is settled, and an open end of bytes.
Byte-level BPE replaces what is no UTF-8 at once, so at most three bytes are open; with tokens of one byte the end is
open as far as they follow each other, and is UTF-8 as a whole or all of it replaced.
"""

import codecs
from collections.abc import Sequence
from itertools import groupby
from typing import Protocol

from models.checkpoints.tokenizer import REPLACEMENT, ChatTokenizer, Piece


class OpenEnd(Protocol):
    """The bytes at the end of a text, as the text that they are if nothing follows."""

    @property
    def is_utf8(self) -> bool:
        """Whether they are characters; where not, they are replaced."""

    def add(self, piece: Piece) -> str:
        """Return what is settled now that `piece` follows."""

    def __len__(self) -> int:
        """Characters that are open."""

    def text_from(self, start: int) -> str:
        """Those from `start` on."""


class ByteLevelEnd:
    """The bytes of a character that has begun, replaced until it is whole."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._replaced = ""

    @property
    def is_utf8(self) -> bool:
        return not self._replaced

    def add(self, piece: Piece) -> str:
        if isinstance(piece, bytes):
            text = self._decoder.decode(piece)
            self._replaced = self._decoder.getstate()[0].decode("utf-8", "replace")
            return text
        if self._replaced:
            self._decoder.reset()
            piece, self._replaced = self._replaced + piece, ""
        return piece

    def __len__(self) -> int:
        return len(self._replaced)

    def text_from(self, start: int) -> str:
        return self._replaced[start:]


class ByteTokensEnd:
    """Tokens of one byte that follow each other.

    Args:
        drops_space: Whether a space that they begin with is not part of the text.
    """

    def __init__(self, *, drops_space: bool) -> None:
        self._drops_space = drops_space
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._characters: list[str] = []
        self._num_bytes = 0
        self._is_broken = False

    @property
    def is_utf8(self) -> bool:
        return not self._is_broken and not self._decoder.getstate()[0]

    def add(self, piece: Piece) -> str:
        if isinstance(piece, str):
            self._drops_space = False
            if not self._num_bytes:
                return piece
            settled = self.text_from(0) + piece
            self._decoder.reset()
            self._characters.clear()
            self._num_bytes, self._is_broken = 0, False
            return settled
        self._num_bytes += 1
        if not self._is_broken:
            try:
                self._characters += self._decoder.decode(piece)
            except UnicodeDecodeError:
                self._is_broken = True
        if self._drops_space and self._num_bytes == 1 and piece == b" ":
            self._characters.clear()
        return ""

    def __len__(self) -> int:
        return len(self._characters) if self.is_utf8 else self._num_bytes

    def text_from(self, start: int) -> str:
        if self.is_utf8:
            return "".join(self._characters[start:])
        return REPLACEMENT * (self._num_bytes - start)


class GrowingText:
    """What follows the steps of a response so far; cutting takes the next step from its front.

    Args:
        tokenizer: Of the policy.
        prefix_ids: Of the steps so far, whose texts are what these ids decode to.
    """

    def __init__(self, tokenizer: ChatTokenizer, prefix_ids: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._pieces = tokenizer.pieces
        start = self._last_settled(prefix_ids)
        self._is_empty = start == 0
        drops_space = self._is_empty and tokenizer.strips_first_space
        self._end = self._new_end(drops_space=drops_space)
        self._token_ids: list[int] = []  # not decoded yet
        self._settled: list[str] = []
        self._num_cut = 0  # open characters that a step took already
        self._num_read = 0  # pieces of what is settled
        self._num_open_read = 0
        self._token_ids += prefix_ids[start:]
        self.cut()

    def _last_settled(self, token_ids: Sequence[int]) -> int:
        """Return the place behind which no token depends on those before it."""
        for start in range(len(token_ids), 0, -1):
            if isinstance(self._pieces.get(token_ids[start - 1]), str):
                return start
        return 0

    def add(self, token_id: int) -> None:
        """Go on with a token."""
        self._token_ids.append(token_id)

    def _decode(self) -> None:
        token_ids = [token_id for token_id in self._token_ids if token_id in self._pieces]
        self._token_ids.clear()
        pieces = [self._pieces[token_id] for token_id in token_ids]
        if self._is_empty and pieces:
            self._is_empty = False
            if isinstance(pieces[0], str):
                pieces[0] = self._tokenizer.decode(token_ids[:1])
        for kind, same in groupby(pieces, type):
            for piece in ("".join(map(str, same)),) if kind is str else same:
                if settled := self._end.add(piece):
                    self._settled.append(settled[self._num_cut :])
                    self._num_cut = max(0, self._num_cut - len(settled))

    @property
    def is_settled(self) -> bool:
        """Whether all of it stays as it is, whatever follows."""
        self._decode()
        return not len(self._end)

    @property
    def has_open_characters(self) -> bool:
        """Whether it ends with bytes that are characters, if no more bytes follow."""
        self._decode()
        return self._end.is_utf8 and self._num_cut < len(self._end)

    def read(self) -> str | None:
        """Return what has settled since the last call; None if nothing has."""
        self._decode()
        if self._num_read == len(self._settled):
            return None
        settled = "".join(self._settled[self._num_read :])
        self._num_read = len(self._settled)
        self._num_open_read = self._num_cut
        return settled

    def read_open(self) -> str:
        """Return what its open end holds since the last call, or since something has settled."""
        self._decode()
        text = self._end.text_from(self._num_open_read)
        self._num_open_read = len(self._end)
        return text

    def cut(self, num_chars: int | None = None) -> str:
        """Take the text so far, or its first characters, which have settled: what follows them is then added anew."""
        self._decode()
        text = "".join(self._settled)
        if num_chars is None:
            text += self._end.text_from(self._num_cut)
        else:
            text, self._end = text[:num_chars], self._new_end(drops_space=False)
        self._settled.clear()
        self._num_read, self._num_open_read = 0, len(self._end)
        self._num_cut = len(self._end)
        return text

    def _new_end(self, *, drops_space: bool) -> OpenEnd:
        return ByteTokensEnd(drops_space=drops_space) if self._tokenizer.has_byte_tokens else ByteLevelEnd()
