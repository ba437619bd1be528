r"""What a comparison says of one quantity: the value that it is given, or the half line that it lies on.

Knows the conventions for `=`, `<`, `\in`, `\approx` and their kin. Writes no keys.
"""

from dataclasses import dataclass
from fractions import Fraction

from search.answers.meaning.fingerprint import name_value, sign
from search.answers.reading.syntax import (
    CONSTANTS,
    INFINITY,
    MINUS_INFINITY,
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

_NAMING = frozenset({"derivative", "angle", "overline", "vec", "triangle", "overrightarrow", "mathcal"})


@dataclass(frozen=True, slots=True)
class Assignment:
    """A quantity is given a value.

    Attributes:
        label: What it is called; None in a chain of numbers.
        value: What it is.
    """

    label: Node | None
    value: Node


@dataclass(frozen=True, slots=True)
class Bound:
    """A half line.

    Attributes:
        variable: What lies on it.
        limit: Where it ends.
        is_upper: True where it lies below its limit.
        is_closed: True where it holds its limit.
    """

    variable: str
    limit: Node
    is_upper: bool
    is_closed: bool


def is_label(node: Node) -> bool:
    """True for what names a quantity: `x`, `f(x)`, `AB`, `|AB|`, `(p, q)`, `S_1 : S_2`, "area"."""
    match node:
        case Symbol(name):
            return name not in CONSTANTS
        case Words():
            return True
        case Apply("*", (Symbol("m"), Apply("angle"))):
            return True
        case Apply("*", factors):
            return all(is_label(factor) and not _is_lower(factor) for factor in factors)
        case Apply("abs", (content,)):
            return is_label(content)
        case Apply(operator):
            return operator.endswith(("()", "_")) or operator in _NAMING
        case Group("()" | ":", items):
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


def bounds(node: Node) -> tuple[Bound, ...]:
    """Return what each comparison of a chain bounds; nothing unless all bound one variable, linearly, by numbers."""
    if not isinstance(node, Relation):
        return ()
    infinite = {INFINITY, MINUS_INFINITY}  # bounds nothing
    triples = zip(node.sides, node.operators, node.sides[1:], strict=False)
    found = [_bound(subtract(a, b), operator) for a, operator, b in triples if not infinite & {a, b}]
    complete = tuple(filter(None, found))
    is_one = len(complete) == len(found) and len({bound.variable for bound in complete}) == 1
    return complete if is_one else ()


def _bound(difference: Node, operator: str) -> Bound | None:
    variable, *others = variables(difference) or {""}
    if others or operator not in {"<", "<=", ">", ">="}:
        return None
    if solved := solve(difference, variable):
        limit, slope = solved
        return Bound(variable, limit, operator.startswith("<") == (slope > 0), operator.endswith("="))
    return None
