"""What an answer states, as a tree. Knows nothing of text, of values or of keys."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from search.answers.reading.units import Unit


class UnreadableError(Exception):
    """The answer is no mathematics that is read here: it compares as its normalised text."""


@dataclass(frozen=True, slots=True)
class Number:
    """An exact rational."""

    value: Fraction


@dataclass(frozen=True, slots=True)
class Numeral:
    """Digits written in a base: `204_5`."""

    digits: str
    base: int


@dataclass(frozen=True, slots=True)
class Symbol:
    """A variable or a constant, named without its backslash."""

    name: str


@dataclass(frozen=True, slots=True)
class Words:
    """English, case-folded and without spaces."""

    text: str


@dataclass(frozen=True, slots=True)
class Quantity:
    """How many there are of a unit."""

    value: "Node"
    unit: Unit


@dataclass(frozen=True, slots=True)
class Apply:
    """An operator, a known function, or an unknown one such as `f`, and what it is applied to."""

    operator: str
    args: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Items that belong together.

    Attributes:
        brackets: "()", "[]", "[)", "(]", or "{}" around a set; "" for a list without brackets, ":" for a ratio, "|" for
            a union, "&" for an intersection, "-" for a difference of two sets, "in" for the members of a domain, which
            comes first, that satisfy conditions.
        items: In the order written.
    """

    brackets: str
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of equal length."""

    rows: tuple[tuple["Node", ...], ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """Sides joined by comparisons: `1 < x <= 2` has three sides and the operators "<" and "<="."""

    sides: tuple["Node", ...]
    operators: tuple[str, ...]


Node = Number | Numeral | Symbol | Words | Quantity | Apply | Group | Matrix | Relation

CONSTANTS = frozenset({"pi", "e", "i", "infinity"})
INFINITY = Symbol("infinity")
MINUS_INFINITY = Apply("neg", (INFINITY,))
ELLIPSIS = Symbol("...")
REALS = Group("()", (MINUS_INFINITY, INFINITY))


def magnitude(node: Node) -> Node:
    """Return the number of a quantity, any other node itself."""
    return node.value if isinstance(node, Quantity) else node


def subtract(first: Node, second: Node) -> Node:
    """Return the tree of the difference."""
    return Apply("+", (first, Apply("neg", (second,))))


def rebuild(node: Node, change: Callable[[Node], Node]) -> Node:
    """Return the node with every child changed."""
    match node:
        case Quantity(value, unit):
            return Quantity(change(value), unit)
        case Apply(operator, args):
            return Apply(operator, tuple(map(change, args)))
        case Group(brackets, items):
            return Group(brackets, tuple(map(change, items)))
        case Relation(sides, operators):
            return Relation(tuple(map(change, sides)), operators)
        case Matrix(rows):
            return Matrix(tuple(tuple(map(change, row)) for row in rows))
    return node


def walk(node: Node) -> Iterator[Node]:
    """Yield the node and all below it."""
    yield node
    match node:
        case Apply(args=children) | Group(items=children) | Relation(sides=children):
            for child in children:
                yield from walk(child)
        case Quantity(value):
            yield from walk(value)
        case Matrix(rows):
            for row in rows:
                for cell in row:
                    yield from walk(cell)


def variables(node: Node) -> frozenset[str]:
    """Return the names of the symbols that are no constants."""
    return frozenset(below.name for below in walk(node) if isinstance(below, Symbol)) - CONSTANTS


def replace(node: Node, name: str, value: Node) -> Node:
    """Return the tree with `value` in place of the symbol `name`."""
    return value if node == Symbol(name) else rebuild(node, lambda child: replace(child, name, value))
