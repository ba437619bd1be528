"""Reads the atoms of expressions: symbols, words, brackets, matrices. Computes nothing."""

from abc import ABC, abstractmethod

from search.answers.reading.numeral import NumeralReader
from search.answers.reading.syntax import REALS, Apply, Group, Matrix, Node, Number, Symbol, UnreadableError, Words
from search.answers.reading.tokens import Kind, Token
from search.answers.reading.words import CONJUNCTIONS

_CLOSING = {"(": (")", "]"), "[": ("]", ")"), "{": ("}",), r"\{": (r"\}",)}
_STACKED = {"over": "/", "choose": "binom"}
_FENCES = {"|": ("abs", "|"), "lfloor": ("floor", "rfloor"), "lceil": ("ceil", "rceil")}
_MATRICES = frozenset({"matrix", "pmatrix", "bmatrix", "Bmatrix", "smallmatrix", "array", "vmatrix"})
_FUNCTIONS = frozenset({"f", "g", "h", "F", "G", "H", "Gamma", "zeta", "phi", "varphi"})
"""Symbols that are applied to the brackets behind them; all others are multiplied with them."""


class AtomReader(NumeralReader, ABC):
    """Reads what an expression is made of.

    Attributes:
        in_bars: True between the bars of an absolute value, where a bar closes.
    """

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        super().__init__(tokens)
        self.in_bars = False

    @abstractmethod
    def read_items(self) -> Node:
        """Read what may stand between brackets: one item or a list."""

    @abstractmethod
    def read_sum(self) -> Node:
        """Read terms joined by plus and minus."""

    @abstractmethod
    def read_command(self, name: str) -> Node:
        """Read what belongs to the command `name`, which has been taken."""

    def read_atom(self) -> Node:
        """Read a number, a symbol, words, or whatever a bracket or a command opens."""
        with self.nested():
            token = self.take()
            match token.kind:
                case Kind.NUMBER:
                    return self.read_number(token.text)
                case Kind.LETTER:
                    return self.read_symbol(token.text)
                case Kind.WORDS:
                    return self._read_words(token.text)
                case Kind.BEGIN if token.text in _MATRICES:
                    return self._read_matrix(token.text)
                case Kind.MARK if token.text in _CLOSING:
                    return self._read_bracketed(token.text)
                case Kind.MARK | Kind.NAME if token.text in _FENCES:
                    return self._read_fenced(*_FENCES[token.text])
                case Kind.NAME:
                    return self.read_command(token.text)
        raise UnreadableError

    def read_symbol(self, name: str) -> Node:
        """Read the index, the primes and the argument of the symbol `name`, which has been taken."""
        indices: tuple[Node, ...] = ()
        if self.accept(Kind.MARK, "_"):
            match index := self.read_atom():
                case Number(label) | Words(label):
                    name = f"{name}_{label}"
                case _:
                    indices = (index,)
        while self.accept(Kind.MARK, "'"):
            name += "'"
        is_function = name.rstrip("'").partition("_")[0] in _FUNCTIONS or self._at_definition()
        if is_function and self.sees(Kind.MARK, "("):
            return Apply(f"{name}()", (self.read_atom(), *indices))
        return Apply(f"{name}_", indices) if indices else Symbol(name)

    def _at_definition(self) -> bool:
        """True at `(x) =`, which makes a function of any symbol."""
        return self.peek(2).text == ")" and self.peek(3).text == "="

    def _read_words(self, word: str) -> Node:
        words = [word]
        while self.peek().kind is Kind.WORDS and self.peek().text not in CONJUNCTIONS:
            words.append(self.take().text)
        return REALS if words == ["all", "real", "numbers"] else Words("".join(words))

    def _read_bracketed(self, opening: str) -> Node:
        """Read to the closing bracket; a single item in round brackets or braces is only grouped."""
        if opening == r"\{" and self.accept(Kind.MARK, (r"\}",)):
            return Group("{}", ())
        if opening == r"\{":
            self._skip_built()
        outer, self.in_bars = self.in_bars, False
        content = self.read_items()
        if opening == "{" and (stacked := self.accept(Kind.NAME, _STACKED)):
            content = Apply(_STACKED[stacked.text], (content, self.read_items()))
        closing = self.expect(_CLOSING[opening]).text
        self.in_bars = outer
        return _bracketed(opening + closing, content)

    def _skip_built(self) -> None:
        r"""Go to the condition of a set such as `\{x \in \mathbb{R} \mid x > 2\}`, which says all."""
        if self.peek().kind is Kind.LETTER:
            for ahead in range(1, 7 if self.peek(1).text == "in" else 2):
                if self.peek(ahead).text in {"|", "mid", ":"}:
                    for _ in range(ahead + 1):
                        self.take()

    def _read_fenced(self, operator: str, closing: str) -> Node:
        outer, self.in_bars = self.in_bars, closing == "|"
        content = self.read_sum()
        self.expect((closing,))
        self.in_bars = outer
        return Apply(operator, (content,))

    def _read_matrix(self, environment: str) -> Node:
        rows = [self._read_row()]
        while self.accept(Kind.MARK, (r"\\",)) and self.peek().kind is not Kind.FINISH:
            rows.append(self._read_row())
        if self.take().kind is not Kind.FINISH or len({len(row) for row in rows}) > 1:
            raise UnreadableError
        matrix = Matrix(tuple(rows))
        return Apply("det", (matrix,)) if environment == "vmatrix" else matrix

    def _read_row(self) -> tuple[Node, ...]:
        cells = [self.read_sum()]
        while self.accept(Kind.MARK, "&"):
            cells.append(self.read_sum())
        return tuple(cells)


def _bracketed(brackets: str, content: Node) -> Node:
    items = content.items if isinstance(content, Group) and content.brackets == "" else (content,)
    if brackets == r"\{\}":
        return Group("{}", items)
    if brackets == "{}" or isinstance(content, Matrix) or (brackets == "()" and len(items) == 1):
        return content
    return Group(brackets, items)
