"""A place in a sequence of tokens. Knows which token comes next and how deep the reading is nested."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from search.answers.reading.syntax import UnreadableError
from search.answers.reading.tokens import END, Kind, Token

MAX_DEPTH = 48
"""Nesting that is read; a fraction in a fraction counts two. Each level takes a dozen frames of Python's stack."""


class Cursor:
    """Takes tokens from the front."""

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self._tokens = tokens
        self._position = 0
        self._depth = 0

    @property
    def is_nested(self) -> bool:
        """True within brackets, arguments, powers."""
        return self._depth > 0

    def peek(self, ahead: int = 0) -> Token:
        """Return the token `ahead` of the next one, which stays."""
        position = self._position + ahead
        return self._tokens[position] if position < len(self._tokens) else END

    def take(self) -> Token:
        """Return the next token and go past it."""
        token = self.peek()
        self._position += 1
        return token

    def sees(self, kind: Kind, texts: Collection[str]) -> bool:
        """Say whether the next token is one of `texts`."""
        token = self.peek()
        return token.kind is kind and token.text in texts

    def accept(self, kind: Kind, texts: Collection[str]) -> Token | None:
        """Take the next token if it is one of `texts`."""
        return self.take() if self.sees(kind, texts) else None

    def expect(self, texts: Collection[str]) -> Token:
        """Take the next token, which must be one of `texts`.

        Raises:
            UnreadableError: It is another one.
        """
        token = self.take()
        if token.text not in texts:
            raise UnreadableError
        return token

    def split(self) -> None:
        r"""Make the first digit of the number that comes next a token of its own: `\frac12` is a half."""
        token = self.peek()
        if token.kind is Kind.NUMBER and token.text.isdigit() and len(token.text) > 1:
            digits = (Token(Kind.NUMBER, token.text[0]), Token(Kind.NUMBER, token.text[1:]))
            self._tokens = (*self._tokens[: self._position], *digits, *self._tokens[self._position + 1 :])

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Undo what is taken in the block if it turns out unreadable, and go on behind it."""
        tokens, position = self._tokens, self._position
        try:
            yield
        except UnreadableError:
            self._tokens, self._position = tokens, position

    @contextmanager
    def nested(self) -> Iterator[None]:
        """Count a level of nesting.

        Raises:
            UnreadableError: It is one too many.
        """
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise UnreadableError
        yield
        self._depth -= 1
