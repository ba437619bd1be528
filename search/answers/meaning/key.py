"""The canonical key of what an answer states. Knows the conventions for lists, tuples, intervals, sets and ratios.

A key is typed: what is a list never equals what is a tuple. Answers are equivalent exactly when their keys are equal,
so equivalence is reflexive, symmetric and transitive.
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import reduce

from search.answers.meaning.fingerprint import name_up_to_factor, name_up_to_positive_factor, name_value
from search.answers.meaning.plus_minus import expand
from search.answers.meaning.real_set import (
    LINE,
    Piece,
    Pieces,
    inequality_variable,
    integers_within,
    intersect,
    real_set,
    solutions,
    unite,
)
from search.answers.meaning.relation import assignment, without_approximation
from search.answers.reading.syntax import (
    ELLIPSIS,
    INFINITY,
    MINUS_INFINITY,
    REALS,
    Apply,
    Group,
    Node,
    Number,
    Numeral,
    Quantity,
    Relation,
    Symbol,
    UnreadableError,
    Words,
    subtract,
    variables,
)
from search.answers.reading.text import TEXT
from search.answers.reading.units import Unit, noun

INTEGERS = frozenset({"Z"})
POSITIVE_INTEGERS = frozenset({"Z^+", "Z_+", "Z_>0", "N^*", "N^+", "N_+", "Z^*_+", "N_>0"})

MAX_MEMBERS = 100
"""Integers that a set is written out to."""


def key_of(statement: Node) -> str:
    """Return the key of a whole answer.

    Raises:
        UnreadableError: It has none: it compares as text.
    """
    match statement:
        case Group("", items):
            return _list_key(items)
    return _list_key((statement,))


def unit_of(statement: Node) -> str | None:
    """Return the unit of measurement of what an answer states, in base units; None where it says none, or several."""
    match statement:
        case Quantity(_, unit) if unit.is_measure:
            return str(unit)
        case Relation(operators=operators) if "~" in operators:
            return unit_of(without_approximation(statement))
        case Relation(sides, operators) if set(operators) == {"="}:
            return unit_of(sides[-1])
        case Group("", items):
            units = {unit_of(item) for item in items}
            return units.pop() if len(units) == 1 else None
    return None


def _key(node: Node) -> str:
    """Return the key of one item."""
    match node:
        case Words(text):
            return TEXT + text
        case Quantity(value):
            return _key(value)
        case Numeral(digits, base):
            return f"{digits} in base {base}"
        case Relation():
            return _relation_key(node)
        case Group("", items):
            return _list_key(items)
        case Group("{}", items) if ELLIPSIS in items:
            return "{" + ", ".join(map(_key, items)) + "}"
        case Group("{}", items):
            return _braced({_key(item) for item in _expanded(items)})
        case Group("in", (domain, *conditions)):
            return _members_key(domain, conditions)
        case Group("|" | "&" | "-"):
            return _set_key(node)
        case Group("[]", items) if len(items) > 1 and all(_is_point(item) for item in items):
            return _list_key(items)
        case Group(":", items):
            return " : ".join(map(_key, items))
        case Group(brackets, items):
            return brackets[0] + ", ".join(map(_key, items)) + brackets[1]
    if node == INFINITY:
        return "infinity"
    return "-infinity" if node == MINUS_INFINITY else name_value(node)


def _is_point(node: Node) -> bool:
    return isinstance(node, Group) and node.brackets == "()"


def _expanded(items: Sequence[Node]) -> list[Node]:
    return [without_approximation(item) for raw in items for item in expand(raw)]


def _braced(keys: Sequence[str] | set[str]) -> str:
    return "{" + "; ".join(sorted(keys)) + "}" if len(keys) != 1 else next(iter(keys))


def _list_key(items: Sequence[Node]) -> str:
    """Items have no order, but each counts; values of several quantities are a point, ordered by their names."""
    if ELLIPSIS in items:
        return "{" + ", ".join(map(_key, items)) + "}"
    items = [item for item in _expanded(items) if not _is_of_reals(item)] or items
    return _quantities_key(items) or _inequalities_key(items) or _braced(_point_keys(items) or _item_keys(items))


def _is_of_reals(node: Node) -> bool:
    r"""True for `x \in \mathbb{R}`, which says nothing beside other items."""
    return isinstance(node, Relation) and node.operators == ("in",) and node.sides[1] == REALS


def _quantities_key(items: Sequence[Node]) -> str | None:
    """Key of counts of different things: a sum where each unit is a part of the one before, else a point."""
    counted = [item for item in items if isinstance(item, Quantity)]
    units = [item.unit for item in counted]
    if len(items) == 1 or len(counted) < len(items) or len(set(units)) < len(units):
        return None
    if len({unit.dimensions for unit in units}) == 1 and all(unit.is_measure for unit in units):
        total = Apply("+", tuple(_converted(item, units[-1]) for item in counted))
        return _key(total)
    values = {_name_of(item.unit): _key(item) for item in counted}
    return "(" + ", ".join(values[name] for name in sorted(values)) + ")"


def _converted(item: Quantity, unit: Unit) -> Node:
    return Apply("*", (item.value, Number(item.unit.factor / unit.factor)))


def _name_of(unit: Unit) -> str:
    return str(unit) if unit.is_measure else unit.dimensions[0][0]


def _inequalities_key(items: Sequence[Node]) -> str | None:
    """Key of what inequalities of one variable leave: their union, or what they share if that is every number."""
    names = {inequality_variable(item) for item in items}
    if len(items) == 1 or len(names) > 1 or None in names:
        return None
    try:
        sets = [solutions(item) for item in items if isinstance(item, Relation)]
        common, united = reduce(intersect, sets), unite(sum(sets, ()))
        is_puncture = any(isinstance(item, Relation) and "!=" in item.operators for item in items)
        return _pieces_key(common if common and (united == LINE or is_puncture) else united)
    except UnreadableError:
        return None


def _point_keys(items: Sequence[Node]) -> list[str]:
    """Keys of the points that `p = 5, q = 2, p = 7, q = 2` lists; none where it does not name several quantities.

    Indices do not tell quantities apart: `x_1 = 1, x_2 = 3` lists the values of one.
    """
    points: list[dict[str, str]] = [{}]
    for item in items:
        assigned = assignment(item)
        if assigned is None or assigned.label is None:
            return []
        name = _label_name(assigned.label)
        if name in points[-1]:
            points.append({})
        points[-1][name] = _key(assigned.value)
    if len({name.partition("_")[0] for point in points for name in point}) == 1:
        return []
    return ["(" + ", ".join(point[name] for name in sorted(point)) + ")" for point in points]


def _label_name(label: Node) -> str:
    match label:
        case Symbol(name):
            return name
        case Words(text):
            return _name_of(noun(text))
    return repr(label)


def _item_keys(items: Sequence[Node]) -> list[str]:
    """Keys of the items; with inequalities of several variables among them the names count."""
    bounded = {variables(item) for item in items if isinstance(item, Relation) and not assignment(item)}
    if len(bounded) <= 1:
        return [_key(item) for item in items]
    return [f"{' '.join(sorted(variables(item)))} in {_key(item)}" for item in items]


def _set_key(node: Group) -> str:
    """Key of a union, an intersection or a difference; with limits that are no numbers, of its parts as they stand."""
    try:
        return _pieces_key(real_set(node))
    except UnreadableError:
        if node.brackets != "|":
            raise
    keys: set[str] = set()
    for part in node.items:
        match part:
            case Group("{}", items):
                keys |= {f"{{{_key(item)}}}" for item in _expanded(items)}
            case _:
                keys.add(_key(part))
    return " | ".join(sorted(keys))


def _pieces_key(pieces: Pieces) -> str:
    """Key of a set of real numbers, which for an interval is that of the interval, for numbers that of their list."""
    if all(piece.is_point for piece in pieces):
        return _braced({_key(piece.lower) for piece in pieces})
    return " | ".join(sorted(map(_piece_key, pieces)))


def _piece_key(piece: Piece) -> str:
    if piece.is_point:
        return f"{{{_key(piece.lower)}}}"
    brackets = "[" if piece.has_lower else "(", "]" if piece.has_upper else ")"
    return f"{brackets[0]}{_key(piece.lower)}, {_key(piece.upper)}{brackets[1]}"


def _members_key(domain: Node, conditions: Sequence[Node]) -> str:
    """Key of the members of a domain that satisfy conditions: of their list, where these are a few integers."""
    name = domain.name if isinstance(domain, Symbol) else ""
    try:
        found = LINE
        for condition in conditions:
            found = intersect(found, real_set(condition))
    except UnreadableError:
        return f"{name} : {_list_key(conditions)}"
    if name == "N" and not intersect(found, real_set(Group("{}", (Number(Fraction(0)),)))):
        name = "N^+"  # whether zero is natural does not matter
    if name in POSITIVE_INTEGERS:
        found = intersect(found, (Piece(Number(Fraction(1)), INFINITY, has_lower=True),))
    members = integers_within(found, MAX_MEMBERS) if name in INTEGERS | POSITIVE_INTEGERS else None
    if members is None:
        return f"{name} : {_pieces_key(found)}"
    return _braced({str(member) for member in members})


def _relation_key(relation: Relation) -> str:
    if assigned := assignment(relation):
        return _list_key((assigned.value,))
    try:
        return _pieces_key(solutions(relation))
    except UnreadableError:
        triples = zip(relation.sides, relation.operators, relation.sides[1:], strict=False)
        return " and ".join(sorted(_comparison_key(*triple) for triple in triples))


def _comparison_key(first: Node, operator: str, second: Node) -> str:
    match operator:
        case ">" | ">=":
            return _comparison_key(second, operator.replace(">", "<"), first)
        case "<" | "<=":
            return f"{name_up_to_positive_factor(subtract(first, second))} {operator} 0"
        case "=":
            return f"{name_up_to_factor(subtract(first, second))} = 0"
        case "!=":
            return f"{name_up_to_factor(subtract(first, second))} != 0"
    raise UnreadableError
