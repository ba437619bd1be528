"""The canonical key of what an answer states. Knows the conventions for lists, tuples, intervals, sets and ratios.

A key is typed: what is a list never equals what is a tuple. Answers are equivalent exactly when their keys are equal,
so equivalence is reflexive, symmetric and transitive.
"""

from collections.abc import Sequence
from functools import cmp_to_key
from itertools import pairwise

from search.answers.meaning.fingerprint import name_up_to_factor, name_up_to_positive_factor, name_value, sign
from search.answers.meaning.plus_minus import expand
from search.answers.meaning.relation import Bound, assignment, bounds, without_approximation
from search.answers.reading.syntax import (
    INFINITY,
    MINUS_INFINITY,
    REALS,
    Group,
    Node,
    Numeral,
    Relation,
    Symbol,
    UnreadableError,
    Words,
    subtract,
    variables,
)
from search.answers.reading.text import TEXT


def key_of(statement: Node) -> str:
    """Return the key of a whole answer.

    Raises:
        UnreadableError: It has none: it compares as text.
    """
    match statement:
        case Group("", items):
            return _list_key(items)
    return _list_key((statement,))


def _key(node: Node) -> str:
    """Return the key of one item."""
    match node:
        case Words(text):
            return TEXT + text
        case Numeral(digits, base):
            return f"{digits} in base {base}"
        case Relation():
            return _relation_key(node)
        case Group("", items):
            return _list_key(items)
        case Group("{}", items):
            return _braced({_key(item) for item in _expanded(items)})
        case Group("|", parts):
            return _union_key(parts)
        case Group("-", (whole, Group("{}", removed))) if whole == REALS:
            return _punctured_key(_expanded(removed))
        case Group("-"):
            raise UnreadableError
        case Group(":", items):
            return " : ".join(map(_key, items))
        case Group(brackets, items):
            return brackets[0] + ", ".join(map(_key, items)) + brackets[1]
    if node == INFINITY:
        return "infinity"
    return "-infinity" if node == MINUS_INFINITY else name_value(node)


def _expanded(items: Sequence[Node]) -> list[Node]:
    return [without_approximation(item) for raw in items for item in expand(raw)]


def _braced(keys: Sequence[str] | set[str]) -> str:
    return "{" + "; ".join(sorted(keys)) + "}" if len(keys) != 1 else next(iter(keys))


def _list_key(items: Sequence[Node]) -> str:
    """Items have no order, but each counts; values of several quantities are a point, ordered by their names."""
    items = _expanded(items)
    return _half_lines_key(items) or _braced(_point_keys(items) or _item_keys(items))


def _half_lines_key(items: Sequence[Node]) -> str | None:
    """Key of what inequalities of one variable leave: between two that meet an interval, else a union."""
    lines = [bounds(item) for item in items]
    found = [bound for line in lines for bound in line]
    if len(items) == 1 or not all(lines) or len({bound.variable for bound in found}) > 1:
        return None
    match sorted(found, key=lambda bound: bound.is_upper):
        case (Bound(is_upper=False) as lower, Bound(is_upper=True) as upper) if _compare(lower.limit, upper.limit) < 0:
            return _interval_key((lower, upper))
    return _union_key(items)


def _point_keys(items: Sequence[Node]) -> list[str]:
    """Keys of the points that `p = 5, q = 2, p = 7, q = 2` lists; none where it does not name several quantities.

    Indices do not tell quantities apart: `x_1 = 1, x_2 = 3` lists the values of one.
    """
    points: list[dict[str, str]] = [{}]
    for item in items:
        assigned = assignment(item)
        if assigned is None or assigned.label is None:
            return []
        name = assigned.label.name if isinstance(assigned.label, Symbol) else repr(assigned.label)
        if name in points[-1]:
            points.append({})
        points[-1][name] = _key(assigned.value)
    if len({name.partition("_")[0] for point in points for name in point}) == 1:
        return []
    return ["(" + ", ".join(point[name] for name in sorted(point)) + ")" for point in points]


def _item_keys(items: Sequence[Node]) -> list[str]:
    """Keys of the items; with inequalities of several variables among them the names count."""
    bounded = {variables(item) for item in items if isinstance(item, Relation) and not assignment(item)}
    if len(bounded) <= 1:
        return [_key(item) for item in items]
    return [f"{' '.join(sorted(variables(item)))} in {_key(item)}" for item in items]


def _union_key(parts: Sequence[Node]) -> str:
    keys: set[str] = set()
    for part in parts:
        match part:
            case Group("{}", items):
                keys |= {f"{{{_key(item)}}}" for item in _expanded(items)}
            case _:
                keys.add(_key(part))
    return " | ".join(sorted(keys))


def _punctured_key(limits: Sequence[Node]) -> str:
    """Key of the real line without the limits, which are numbers."""
    ordered = sorted(limits, key=cmp_to_key(_compare))
    ends = ["-infinity", *map(_key, ordered), "infinity"]
    return " | ".join(sorted(f"({lower}, {upper})" for lower, upper in pairwise(ends)))


def _compare(first: Node, second: Node) -> int:
    return sign(subtract(first, second))


def _relation_key(relation: Relation) -> str:
    if assigned := assignment(relation):
        return _list_key((assigned.value,))
    if found := bounds(relation):
        return _interval_key(found)
    triples = zip(relation.sides, relation.operators, relation.sides[1:], strict=False)
    return " and ".join(sorted(_comparison_key(*triple) for triple in triples))


def _interval_key(found: Sequence[Bound]) -> str:
    """Key of what lies within one or two bounds, which is written like an interval."""
    if len(found) > 2 or (len(found) == 2 and found[0].is_upper == found[1].is_upper):
        raise UnreadableError
    lower, upper = "(-infinity", "infinity)"
    for bound in found:
        if bound.is_upper:
            upper = _key(bound.limit) + ("]" if bound.is_closed else ")")
        else:
            lower = ("[" if bound.is_closed else "(") + _key(bound.limit)
    return f"{lower}, {upper}"


def _comparison_key(first: Node, operator: str, second: Node) -> str:
    match operator:
        case ">" | ">=":
            return _comparison_key(second, operator.replace(">", "<"), first)
        case "<" | "<=":
            return f"{name_up_to_positive_factor(subtract(first, second))} {operator} 0"
        case "=":
            return f"{name_up_to_factor(subtract(first, second))} = 0"
        case "!=":
            assigned = assignment(Relation((first, second), ("=",)))
            if assigned and len(variables(Relation((first, second), ()))) == 1:
                return _punctured_key([assigned.value])
            return f"{name_up_to_factor(subtract(first, second))} != 0"
    raise UnreadableError
