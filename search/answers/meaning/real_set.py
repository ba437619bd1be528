r"""Sets of real numbers as unions of disjoint intervals: `[1,2] \cup [2,3]` is `[1,3]`, `|x| < 2` is `(-2,2)`.

Knows the algebra of intervals whose limits are numbers, and the inequalities of one variable that are solved here.
Writes no keys.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce

from search.answers.meaning.fingerprint import name_value, sign
from search.answers.meaning.relation import assignment, solve
from search.answers.reading.syntax import (
    INFINITY,
    MINUS_INFINITY,
    Apply,
    Group,
    Node,
    Number,
    Relation,
    UnreadableError,
    magnitude,
    subtract,
    variables,
)

MAX_PIECES = 40

_REFLECTED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "!=": "!="}


@dataclass(frozen=True, slots=True)
class Piece:
    """An interval, or a single number where both limits are one.

    Attributes:
        lower: Where it begins; minus infinity where it does not.
        upper: Where it ends.
        has_lower: Whether it holds its lower limit.
        has_upper: Whether it holds its upper limit.
    """

    lower: Node
    upper: Node
    has_lower: bool = False
    has_upper: bool = False

    @property
    def is_point(self) -> bool:
        """True for a single number."""
        return self.lower == self.upper


Pieces = tuple[Piece, ...]
"""Disjoint intervals in ascending order, that do not touch."""

LINE: Pieces = (Piece(MINUS_INFINITY, INFINITY),)


def compare(first: Node, second: Node) -> int:
    """Return -1, 0 or 1 as a limit is less than, equal to, or greater than another.

    Raises:
        UnreadableError: One of them is no real number.
    """
    if first == second:
        return 0
    ranks = [{MINUS_INFINITY: -1, INFINITY: 1}.get(limit, 0) for limit in (first, second)]
    return sign(subtract(first, second)) if ranks == [0, 0] else (ranks[0] > ranks[1]) - (ranks[0] < ranks[1])


def real_set(node: Node) -> Pieces:
    """Return the set that a node writes down.

    Raises:
        UnreadableError: It is no set of real numbers.
    """
    match node:
        case Group("()" | "[]" | "(]" | "[)" as brackets, (lower, upper)) if compare(lower, upper) < 0:
            return (Piece(lower, upper, brackets[0] == "[", brackets[1] == "]"),)
        case Group("{}", items):
            return unite([_point(item) for item in items])
        case Group("|", parts):
            return unite([piece for part in parts for piece in real_set(part)])
        case Group("&", parts):
            return reduce(intersect, map(real_set, parts))
        case Group("-", (whole, removed)):
            return intersect(real_set(whole), complement(real_set(removed)))
        case Relation():
            return solutions(node)
    raise UnreadableError


def _point(item: Node) -> Piece:
    number = magnitude(item)
    compare(number, Number(Fraction(0)))
    return Piece(number, number, has_lower=True, has_upper=True)


def unite(pieces: Iterable[Piece]) -> Pieces:
    """Return the union of any intervals."""
    united: list[Piece] = []
    for piece in _ascending(list(pieces)):
        last = united[-1] if united else None
        meeting = compare(piece.lower, last.upper) if last else 1
        if last is None or meeting > 0 or (meeting == 0 and not (piece.has_lower or last.has_upper)):
            united.append(piece)
            continue
        order = compare(piece.upper, last.upper)
        end = piece if order > 0 else last
        closed = piece.has_upper or last.has_upper if order == 0 else end.has_upper
        united[-1] = Piece(last.lower, end.upper, last.has_lower, closed)
    return tuple(united)


def _ascending(pieces: list[Piece]) -> list[Piece]:
    """Sort by lower limits, those that are held first."""
    if len(pieces) > MAX_PIECES:
        raise UnreadableError
    placed: list[Piece] = []
    for piece in pieces:
        place = 0
        while place < len(placed) and _is_before(placed[place], piece):
            place += 1
        placed.insert(place, piece)
    return placed


def _is_before(first: Piece, second: Piece) -> bool:
    order = compare(first.lower, second.lower)
    return order < 0 or (order == 0 and first.has_lower >= second.has_lower)


def intersect(first: Pieces, second: Pieces) -> Pieces:
    """Return what two sets have in common."""
    return unite([piece for one in first for other in second for piece in _common(one, other)])


def _common(one: Piece, other: Piece) -> Pieces:
    low, high = compare(one.lower, other.lower), compare(one.upper, other.upper)
    lower, upper = (one if low > 0 else other), (one if high < 0 else other)
    has_lower = one.has_lower and other.has_lower if low == 0 else lower.has_lower
    has_upper = one.has_upper and other.has_upper if high == 0 else upper.has_upper
    length = compare(upper.upper, lower.lower)
    if length < 0 or (length == 0 and not (has_lower and has_upper)):
        return ()
    return (Piece(lower.lower, lower.lower if length == 0 else upper.upper, has_lower, has_upper),)


def complement(pieces: Pieces) -> Pieces:
    """Return the real line without a set."""
    result = LINE
    for piece in pieces:
        below = Piece(MINUS_INFINITY, piece.lower, has_upper=not piece.has_lower)
        above = Piece(piece.upper, INFINITY, has_lower=not piece.has_upper)
        outside = (below,) * (piece.lower != MINUS_INFINITY) + (above,) * (piece.upper != INFINITY)
        result = intersect(result, outside)
    return result


def inequality_variable(node: Node) -> str | None:
    """Return the variable of what only says where one variable lies; None for anything else."""
    if not isinstance(node, Relation) or not set(node.operators) <= _REFLECTED.keys():
        return None
    names = variables(node)
    return next(iter(names)) if len(names) == 1 else None


def solutions(relation: Relation) -> Pieces:
    """Solve a chain of inequalities of one variable, which is linear, squared, or in an absolute value.

    Raises:
        UnreadableError: It is no such chain.
    """
    variable = inequality_variable(relation)
    if variable is None:
        raise UnreadableError
    triples = zip(relation.sides, relation.operators, relation.sides[1:], strict=False)
    infinite = {INFINITY, MINUS_INFINITY}  # bounds nothing
    parts = [_solve(a, operator, b, variable) for a, operator, b in triples if not infinite & {a, b}]
    return reduce(intersect, parts, LINE)


def _solve(left: Node, operator: str, right: Node, variable: str) -> Pieces:
    if variables(right):
        if not variables(left):
            return _solve(right, _REFLECTED[operator], left, variable)
    else:
        match left:
            case Apply("abs", (inner,)):
                return _solve_absolute(inner, operator, right, variable)
            case Apply("^", (inner, Number(Fraction(numerator=2, denominator=1)))):
                if sign(right) < 0:
                    raise UnreadableError
                return _solve_absolute(inner, operator, Apply("root", (right,)), variable)
    if operator == "!=":
        assigned = assignment(Relation((left, right), ("=",)))
        if assigned is None or variables(assigned.value):
            raise UnreadableError
        return complement((_point(assigned.value),))
    return _half_line(subtract(left, right), operator, variable)


def _solve_absolute(inner: Node, operator: str, limit: Node, variable: str) -> Pieces:
    negative = Apply("neg", (limit,))
    if operator.startswith("<"):
        return intersect(_solve(inner, operator, limit, variable), _solve(negative, operator, inner, variable))
    outside = [_solve(inner, operator, limit, variable), _solve(negative, operator, inner, variable)]
    return intersect(*outside) if operator == "!=" else unite([piece for part in outside for piece in part])


def _half_line(difference: Node, operator: str, variable: str) -> Pieces:
    solved = solve(difference, variable)
    if solved is None:
        raise UnreadableError
    limit, slope = solved
    is_held = operator.endswith("=")
    if operator.startswith("<") == (slope > 0):
        return (Piece(MINUS_INFINITY, limit, has_upper=is_held),)
    return (Piece(limit, INFINITY, has_lower=is_held),)


def integers_within(pieces: Sequence[Piece], count: int) -> list[int] | None:
    """Return the integers of a bounded set; None where there are more than `count`, or a limit is not rational."""
    found: list[int] = []
    for piece in pieces:
        lower, upper = (_whole(limit, is_lower) for limit, is_lower in ((piece.lower, True), (piece.upper, False)))
        if lower is None or upper is None or upper - lower > count:
            return None
        found += [n for n in range(lower, upper + 1) if _holds(piece, Number(Fraction(n)))]
    return found if len(found) <= count else None


def _holds(piece: Piece, number: Node) -> bool:
    return bool(intersect((piece,), (_point(number),)))


def _whole(limit: Node, is_lower: bool) -> int | None:
    if limit in (INFINITY, MINUS_INFINITY):
        return None
    try:
        value = Fraction(name_value(limit))
    except ValueError:
        return None
    return -(-value.numerator // value.denominator) if is_lower else value.numerator // value.denominator
