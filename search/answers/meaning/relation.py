r"""What a comparison says of one quantity: the value that it is given.

Knows the conventions for `=`, `\in`, `\approx` and their kin. Writes no keys.
"""

from dataclasses import dataclass
from fractions import Fraction

from search.answers.meaning.fingerprint import name_value, sign
from search.answers.reading.syntax import (
    CONSTANTS,
    Apply,
    Group,
    Node,
    Number,
    Relation,
    Symbol,
    UnreadableError,
    Words,
    replace,
    subtract,
    variables,
    walk,
)

_NAMING = frozenset({"derivative", "angle", "overline", "vec", "triangle", "overrightarrow", "mathcal", "dot", "ddot"})
_POWERS = (Apply("neg", (Number(Fraction(1)),)), Symbol("T"), Symbol("top"))
"""Of a matrix: its inverse, its transpose."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """A quantity is given a value.

    Attributes:
        label: What it is called; None in a chain of numbers.
        value: What it is.
    """

    label: Node | None
    value: Node


def is_label(node: Node) -> bool:
    """True for what names a quantity: `x`, `f(x)`, `AB`, `|AB|`, `(p, q)`, `S_1 : S_2`, "area"."""
    match node:
        case Symbol(name):
            return name not in CONSTANTS
        case Words():
            return True
        case Apply("*", (Symbol("m"), Apply("angle"))):
            return True
        case Apply("^", (Symbol(name), power)):
            return name[0].isupper() and power in _POWERS
        case Apply("sin" | "cos" | "tan" | "cot", (Symbol(name),)):
            return name not in CONSTANTS
        case Apply("*", factors):
            return all(is_label(factor) and not _is_lower(factor) for factor in factors)
        case Apply("abs", (content,)):
            return is_label(content)
        case Apply(operator):
            return operator.endswith(("()", "_")) or operator in _NAMING
        case Group("()" | "[]" | ":", items):
            return all(map(is_label, items))
    return False


def _is_lower(node: Node) -> bool:
    return isinstance(node, Symbol) and node.name[0].islower()


def without_approximation(node: Node) -> Node:
    r"""Return what stands before the first `\approx`, or behind it where nothing but a name stands before."""
    if not isinstance(node, Relation) or "~" not in node.operators:
        return node
    cut = node.operators.index("~")
    if cut:
        return Relation(node.sides[: cut + 1], node.operators[:cut])
    return node.sides[1] if is_label(node.sides[0]) else node.sides[0]


def assignment(node: Node) -> Assignment | None:
    r"""Return what is assigned, None where nothing is.

    A chain such as `z = 1 + 1 = 2` assigns its last side; `2 = x` and `x \in A` assign too, and so do a linear equation
    for one variable and one for `x` and `y`, which gives `y`.
    """
    if not isinstance(node, Relation):
        return None
    first, last = node.sides[0], node.sides[-1]
    if node.operators == ("in",) and is_label(first):
        return Assignment(first, last)
    if set(node.operators) != {"="}:
        return None
    are_both_symbols = isinstance(first, Symbol) and isinstance(last, Symbol)
    if is_label(first) and first not in walk(last) and not are_both_symbols:
        return Assignment(first, last)
    if is_label(last) and last not in walk(first) and not are_both_symbols:
        return Assignment(last, node.sides[-2])
    return _solution(node)


def _solution(equation: Relation) -> Assignment | None:
    names = variables(equation)
    if not names:
        return Assignment(None, equation.sides[-1])
    if len(equation.sides) > 2 or (len(names) > 1 and names != {"x", "y"}):
        return None
    solved = solve(subtract(*equation.sides), max(names))
    return Assignment(Symbol(max(names)), solved[0]) if solved else None


def solve(node: Node, variable: str) -> tuple[Node, int] | None:
    """Solve `node` = 0 for a variable in which it is linear.

    Returns:
        The solution and the sign of the variable's factor, which is a real number; None where it is not linear.
    """
    at_zero, at_one = (replace(node, variable, Number(Fraction(value))) for value in (0, 1))
    factor = subtract(at_one, at_zero)
    line = Apply("+", (Apply("*", (factor, Symbol(variable))), at_zero))
    try:
        is_linear = name_value(subtract(node, line)) == "0"
        slope = sign(factor)
    except UnreadableError:
        return None
    return (Apply("/", (Apply("neg", (at_zero,)), factor)), slope) if is_linear and slope else None
