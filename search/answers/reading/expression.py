"""Reads expressions: sums, products, powers, in LaTeX's notation or in plain text's. Computes nothing."""

from fractions import Fraction

from search.answers.reading.command import CommandReader
from search.answers.reading.syntax import Apply, Group, Node, Number, UnreadableError, variables
from search.answers.reading.tokens import Kind
from search.answers.reading.words import (
    CONJUNCTIONS,
    FUNCTIONS,
    INTRODUCTIONS,
    SCALES,
    TELLING,
    UNIT_LETTERS,
    UNITS,
)

_TIMES = frozenset({"*", "cdot", "times", "ast"})
_OVER = frozenset({"/", "div"})
_DEGREES = (("^", "circ"), ("^", "{", "circ", "}"), ("degree",), ("^", "degree"))
_NO_FACTOR = frozenset(
    {
        "cup", "cap", "setminus", "backslash", "in", "notin", "to", "rightarrow", "Rightarrow", "implies", "iff", "le",
        "leq", "leqslant", "lt", "ge", "geq", "geqslant", "gt", "ne", "neq", "approx", "equiv", "sim", "simeq", "pm",
        "mp", "cdot", "times", "ast", "div", "mod", "bmod", "pmod", "mid", "land", "lor", "circ", "degree", "prime",
        "over", "choose", "rfloor", "rceil",
    }
)  # fmt: skip
"""Commands that begin no factor of a product."""


class ExpressionReader(CommandReader):
    """Reads what stands between the comparisons and commas of an answer."""

    def read_sum(self) -> Node:
        """Read terms joined by plus, minus, plus-minus."""
        terms = [self.read_term()]
        while self.sees(Kind.MARK, "+-") or self.sees(Kind.NAME, ("pm", "mp")):
            terms.append(self.read_term())
        return terms[0] if len(terms) == 1 else Apply("+", tuple(terms))

    def read_term(self) -> Node:
        """Read a product; factors side by side multiply, from left to right like those joined by a sign."""
        while self.peek(1).kind is not Kind.END and self.accept(Kind.WORDS, INTRODUCTIONS):
            pass
        product = self._read_signed()
        while True:
            if self._accept_either(_TIMES):
                product = Apply("*", (product, self._read_signed()))
            elif self._accept_either(_OVER):
                product = Apply("/", (product, self._read_signed()))
            elif self._at_unit(product):
                product = self._read_unit(product)
            elif self._at_factor(product):
                product = Apply("*", (product, self._read_power()))
            else:
                return product

    def read_factors(self) -> Node:
        """Read factors side by side, up to the next function."""
        product = self.read_exponent()
        while self._at_factor(product) and self.peek().text not in FUNCTIONS:
            product = Apply("*", (product, self._read_power()))
        return product

    def read_exponent(self) -> Node:
        """Read an atom with its sign and its power."""
        if self.accept(Kind.MARK, "-"):
            return Apply("neg", (self.read_exponent(),))
        return self._read_power()

    def _read_signed(self) -> Node:
        if self.accept(Kind.MARK, "+"):
            return self._read_signed()
        if self.accept(Kind.MARK, "-"):
            return Apply("neg", (self._read_signed(),))
        if sign := self.accept(Kind.NAME, ("pm", "mp")):
            return Apply(sign.text, (self._read_signed(),))
        return self._read_power()

    def _read_power(self) -> Node:
        """Read an atom with what is set behind or above it; powers associate to the right."""
        base = self.read_atom()
        while True:
            if self.accept(Kind.MARK, "!"):
                base = Apply("factorial", (base,))
            elif self._accept_degree():
                base = Apply("degree", (base,)) if self.in_angle else base
            elif self.accept(Kind.MARK, ("^", "**")):
                return Apply("^", (base, self.read_exponent()))
            else:
                return base

    def _accept_either(self, texts: frozenset[str]) -> bool:
        return bool(self.accept(Kind.MARK, texts) or self.accept(Kind.NAME, texts))

    def _accept_degree(self) -> bool:
        for sign in _DEGREES:
            if all(self.peek(ahead).text == text for ahead, text in enumerate(sign)):
                for _ in sign:
                    self.take()
                return True
        return False

    def _at_factor(self, before: Node) -> bool:
        token = self.peek()
        match token.kind:
            case Kind.MARK:
                return token.text in {"(", "[", "{", r"\{"} or (token.text == "|" and not self.in_bars)
            case Kind.NAME:
                return token.text not in _NO_FACTOR
            case Kind.NUMBER if isinstance(before, Number):
                raise UnreadableError  # two numbers side by side: nobody knows what is meant
            case Kind.LETTER if isinstance(before, Group):
                return token.text != "U"  # which some write for a union
        return token.kind in {Kind.NUMBER, Kind.LETTER, Kind.BEGIN}

    def _at_unit(self, before: Node) -> bool:
        token = self.peek()
        if token.kind is Kind.LETTER:
            return token.is_upright and token.text in UNIT_LETTERS and not variables(before)
        return token.kind is Kind.WORDS and token.text not in CONJUNCTIONS

    def _read_unit(self, counted: Node) -> Node:
        """Read a word that says what `counted` counts: any behind a number, known units behind anything.

        Raises:
            UnreadableError: The word changes what it means.
        """
        word = self.take().text
        if word in SCALES:
            return Apply("*", (counted, Number(Fraction(SCALES[word]))))
        if word not in UNITS and (word in TELLING or variables(counted)):
            raise UnreadableError
        if self.accept(Kind.MARK, "^"):
            self.read_exponent()
        ahead = self.peek(1)
        if self.sees(Kind.MARK, "/") and (ahead.kind is Kind.WORDS or ahead.is_upright or ahead.text in UNIT_LETTERS):
            self.take()
            self.take()
        return counted
