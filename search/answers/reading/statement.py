"""Reads what an answer states: lists, comparisons, sets, ratios. Computes nothing."""

from search.answers.reading.expression import ExpressionReader
from search.answers.reading.syntax import Group, Node, Relation, UnreadableError
from search.answers.reading.tokens import Kind, tokenize
from search.answers.reading.words import CONJUNCTIONS

_COMPARISONS = {
    "=": "=", "==": "=", "<": "<", "lt": "<", ">": ">", "gt": ">", "<=": "<=", "le": "<=", "leq": "<=",
    "leqslant": "<=", ">=": ">=", "ge": ">=", "geq": ">=", "geqslant": ">=", "!=": "!=", "ne": "!=", "neq": "!=",
    "approx": "~", "simeq": "~", "in": "in",
}  # fmt: skip


def read_statement(text: str) -> Node:
    """Read a normalised answer.

    Raises:
        UnreadableError: It is no mathematics that is read here.
    """
    return StatementReader(tokenize(text)).read_statement()


class StatementReader(ExpressionReader):
    """Reads whole answers."""

    def read_statement(self) -> Node:
        """Read to the end.

        Raises:
            UnreadableError: The end is not reached.
        """
        statement = self.read_items()
        if self.peek().kind is not Kind.END:
            raise UnreadableError
        return statement

    def read_items(self) -> Node:
        """Read one item or a list of items; semicolons divide a list of lists where commas divide the inner ones."""
        parts: list[list[Node]] = [[self._read_item()]]
        while separator := self._take_separator():
            if separator == ";":
                parts.append([])
            parts[-1].append(self._read_item())
        if all(len(part) == 1 for part in parts):
            return _list([part[0] for part in parts])
        return _list([_list(part) for part in parts])

    def _take_separator(self) -> str | None:
        """Take a comma, a semicolon, "and", "or", or a comma with one of these behind it."""
        taken = None
        while self.sees(Kind.MARK, ",;") or self.sees(Kind.WORDS, CONJUNCTIONS):
            taken = ";" if ";" in (self.take().text, taken) else ","
        return taken

    def _read_item(self) -> Node:
        """Read sides joined by comparisons; a sign of equality with nothing before it says nothing."""
        if self.sees(Kind.MARK, "=") or self.sees(Kind.NAME, ("approx",)):
            self.take()
        sides, operators = [self._read_side()], []
        while operator := self._take_comparison():
            operators.append(operator)
            sides.append(self._read_side())
        return Relation(tuple(sides), tuple(operators)) if operators else sides[0]

    def _take_comparison(self) -> str | None:
        token = self.peek()
        if token.kind in {Kind.MARK, Kind.NAME} and token.text in _COMPARISONS:
            return _COMPARISONS[self.take().text]
        return None

    def _read_side(self) -> Node:
        """Read a union or a difference of sets, a ratio, or an expression."""
        parts = [self._read_ratio()]
        while self.accept(Kind.NAME, ("cup",)) or self.accept(Kind.LETTER, ("U",)):
            parts.append(self._read_ratio())
        whole = parts[0] if len(parts) == 1 else Group("|", tuple(parts))
        if self.accept(Kind.NAME, ("setminus", "backslash")):
            return Group("-", (whole, self._read_ratio()))
        return whole

    def _read_ratio(self) -> Node:
        terms = [self.read_sum()]
        while self.accept(Kind.MARK, ":"):
            terms.append(self.read_sum())
        return terms[0] if len(terms) == 1 else Group(":", tuple(terms))


def _list(items: list[Node]) -> Node:
    return items[0] if len(items) == 1 else Group("", tuple(items))
