"""What an answer gives the unknowns of a question. Computes nothing."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from search.answers.meaning.plus_minus import expand
from search.answers.reading.normalise import normalise
from search.answers.reading.parser import read_statement
from search.answers.reading.syntax import Group, Node, Relation, Symbol, UnreadableError, magnitude, variables

_DECIMAL = re.compile(r"\d*\.(\d+)")

Solution = Mapping[str, Node]
"""The value of each unknown, without variables."""


@dataclass(frozen=True, slots=True)
class Solutions:
    """What an answer says.

    Attributes:
        each: The solutions that it lists, at least one.
        decimals: Digits behind its decimal points, the fewest; None where it has none, and so is exact.
    """

    each: tuple[Solution, ...]
    decimals: int | None


def read_solutions(answer: str, unknowns: Sequence[str]) -> Solutions:
    """Read an answer: a value or a list of values for one unknown, a tuple in order or assignments for several.

    Raises:
        UnreadableError: It does not say, or not in this way, what the unknowns are.
    """
    if "%" in answer:
        raise UnreadableError  # a share is not told from a number
    statement = read_statement(normalise(answer))
    solutions = tuple(_solution(items, unknowns) for items in _listed(statement, len(unknowns)))
    if not solutions:
        raise UnreadableError
    lengths = [len(decimals) for decimals in _DECIMAL.findall(answer)]
    return Solutions(solutions, min(lengths, default=None))


def _listed(statement: Node, num_unknowns: int) -> list[tuple[Node, ...]]:
    """The items of each solution: one of several for assignments, else a single one."""
    match statement:
        case Relation((label, Group("{}", items)), ("=" | "in",)):
            return [(Relation((label, item), ("=",)),) for raw in items for item in expand(raw)]
        case Group("{}" | "", items):
            pass
        case _:
            items = (statement,)
    if num_unknowns > 1 and all(isinstance(item, Relation) for item in items) and len(items) == num_unknowns:
        return [items]
    return [(item,) for raw in items for item in expand(raw)]


def _solution(items: tuple[Node, ...], unknowns: Sequence[str]) -> Solution:
    solution: dict[str, Node] = {}
    for item in items:
        label, value = _assignment(item, unknowns)
        names, values = (_parts(label), _parts(value)) if len(unknowns) > 1 else ((label,), (value,))
        if len(names) != len(values):
            raise UnreadableError
        for name, part in zip(names, values, strict=True):
            if not isinstance(name, Symbol) or name.name in solution or variables(part):
                raise UnreadableError
            solution[name.name] = magnitude(part)
    if solution.keys() != set(unknowns):
        raise UnreadableError
    return solution


def _assignment(item: Node, unknowns: Sequence[str]) -> tuple[Node, Node]:
    """What is assigned to what; a value without a label is that of the unknowns."""
    match item:
        case Relation(sides, operators) if set(operators) == {"="}:
            return sides[0], sides[-1]
        case Relation():
            raise UnreadableError
    symbols = tuple(map(Symbol, unknowns))
    return (Group("()", symbols) if len(symbols) > 1 else symbols[0]), item


def _parts(node: Node) -> tuple[Node, ...]:
    return node.items if isinstance(node, Group) and node.brackets == "()" else (node,)
