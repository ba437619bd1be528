"""Reads numbers: literals, mixed numbers, recurring decimals, numerals in a base. Computes no more than their value."""

from fractions import Fraction

from search.answers.reading.cursor import Cursor
from search.answers.reading.literal import read_literal, read_recurring
from search.answers.reading.syntax import Node, Number, Numeral, UnreadableError
from search.answers.reading.tokens import Kind
from search.answers.reading.words import BASES


class NumeralReader(Cursor):
    """Reads what begins with a digit."""

    def read_number(self, text: str) -> Node:
        """Read what belongs to the number that begins with `text`, which has been taken."""
        if "." in text and self.accept(Kind.NAME, ("overline", "bar", "dot")):
            return Number(read_recurring(text, self._read_digits()))
        if not text.isdigit():
            return Number(read_literal(text))
        if self.accept(Kind.MARK, "_") or self.accept(Kind.WORDS, ("base",)):
            base = self._read_argument()
            return Numeral(text.lstrip("0") or "0", BASES.get(base) or _integer(base))
        return Number(read_literal(text) + self._read_proper_fraction())

    def _read_argument(self) -> str:
        """Read one token, in braces or not, as it is written."""
        is_group = self.accept(Kind.MARK, "{")
        text = self.take().text
        if is_group:
            self.expect("}")
        return text

    def _read_digits(self) -> str:
        text = self._read_argument()
        _integer(text)
        return text

    def _read_proper_fraction(self) -> Fraction:
        r"""Read the second part of a mixed number, `1 \frac{1}{2}` or `1 1/2`; 0 where none follows."""
        with self.attempt():
            if self.accept(Kind.NAME, ("frac",)):
                top, bottom = (self._read_part() for _ in range(2))
            else:
                top = _integer(self.take().text)
                self.expect("/")
                bottom = _integer(self.take().text)
            if 0 < top < bottom:
                return Fraction(top, bottom)
            raise UnreadableError
        return Fraction(0)

    def _read_part(self) -> int:
        self.split()
        return _integer(self._read_argument())


def _integer(text: str) -> int:
    if not text.isdigit():
        raise UnreadableError
    return int(text)
