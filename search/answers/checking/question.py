r"""What a problem asks for, where it asks to solve equations: these, and their unknowns.

A problem is understood only as a whole. Its formulas must be equations, conditions and unknowns; around them no word
may stand that is not among `REQUESTS`: "twice x = 4", "30\% of x = 6" and "the sum of the solutions" are not
understood, and so nothing is held against an answer to them. Knows nothing of answers, and computes nothing.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from search.answers.reading.normalise import normalise
from search.answers.reading.parser import read_statement
from search.answers.reading.syntax import CONSTANTS, Group, Node, Relation, Symbol, UnreadableError, variables
from search.answers.reading.words import NAMES, REQUESTS

MAX_PROBLEM = 2_000
"""Characters of a problem that is read."""

_MISLEADING = re.compile(r"\bnumbers? of\b|\bor\b", re.IGNORECASE)
"""What those words mean by their company: how many solutions there are; equations of which one may hold."""

_FORMULA = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$|\\\[(.+?)\\\]|\\\((.+?)\\\)", re.DOTALL)
_WORD = re.compile(r"[^\W\d_]+")
_PROSE = re.compile(r"[^\W\d_]{2,}|[aA]")
_BETWEEN = re.compile(r"[\s.,:;?!-]*")
_SEPARATORS = ".,:;?!"
_ROUNDED = re.compile(r"\.\d{6}")
_COMPARISONS = frozenset({"=", "<", "<=", ">", ">=", "!="})


@dataclass(frozen=True, slots=True)
class Question:
    """Equations to solve.

    Attributes:
        relations: All that has to hold, at least one of them an equation.
        unknowns: Names of what is asked for, in the order in which an answer gives them.
    """

    relations: tuple[Relation, ...]
    unknowns: tuple[str, ...]


def read_question(problem: str) -> Question | None:
    """Return what `problem` asks; None where it asks for something else, or is not understood as a whole."""
    if len(problem) > MAX_PROBLEM or r"\$" in problem or "%" in problem or _ROUNDED.search(problem):
        return None
    words, formulas = _delimited(problem) if _FORMULA.search(problem) else _undelimited(problem)
    if _MISLEADING.search(problem) or not REQUESTS.issuperset(words):
        return None
    try:
        nodes = [node for formula in formulas for node in _items(read_statement(_plain(formula)))]
    except (UnreadableError, RecursionError):
        return None
    return _question(nodes)


def _plain(formula: str) -> str:
    return normalise(formula.strip(_SEPARATORS + " "))


def _delimited(problem: str) -> tuple[set[str], list[str]]:
    """The words and the formulas of a problem with formulas between dollars or their kin."""
    prose = _FORMULA.sub(" ", problem)
    words = {word.casefold() for word in _WORD.findall(prose)}
    if not _BETWEEN.fullmatch(_WORD.sub("", prose)):
        words.add(prose)  # signs that are no punctuation: not understood
    return words, ["".join(filter(None, found)) for found in _FORMULA.findall(problem)]


def _undelimited(problem: str) -> tuple[set[str], list[str]]:
    """The words and the formulas of plain text: a formula is a run of what is no word."""
    words: set[str] = set()
    formulas = [""]
    for piece in problem.split():
        plain = piece.rstrip(_SEPARATORS)
        if _PROSE.fullmatch(plain) and plain not in NAMES:
            words.add(plain.casefold())
            formulas.append("")
            continue
        formulas[-1] += f" {piece}"
        if plain != piece and formulas[-1].count("(") == formulas[-1].count(")"):
            formulas.append("")
    return words, list(filter(_plain, formulas))


def _items(node: Node) -> tuple[Node, ...]:
    return node.items if isinstance(node, Group) and node.brackets == "" else (node,)


def _question(nodes: Iterable[Node]) -> Question | None:
    """Sort the formulas into what has to hold and what is asked for."""
    relations: list[Relation] = []
    asked: dict[str, None] = {}
    for node in nodes:
        if isinstance(node, Relation):
            relations.append(node)
        elif names := _names(node):
            asked |= dict.fromkeys(names)
        else:
            return None
    unknowns = frozenset[str]().union(*map(variables, relations))
    if set(asked or unknowns) != unknowns or not _is_well_posed(relations, len(unknowns)):
        return None
    return Question(tuple(relations), tuple(asked or sorted(unknowns)))


def _names(node: Node) -> tuple[str, ...]:
    """The symbols that a formula such as `x` or `(x, y)` asks for; none for any other."""
    items = node.items if isinstance(node, Group) and node.brackets in ("()", "{}") else (node,)
    names = tuple(item.name for item in items if isinstance(item, Symbol) and item.name not in CONSTANTS)
    return names if len(names) == len(items) else ()


def _is_well_posed(relations: Sequence[Relation], num_unknowns: int) -> bool:
    """Tell one equation of one unknown, or a system of several unknowns none of which is given its value.

    "When x = 24, y = 15. What is x when y = 3?" has equations that need not hold at once.
    """
    equations = [relation for relation in relations if set(relation.operators) == {"="}]
    if any(not _COMPARISONS.issuperset(relation.operators) for relation in relations):
        return False
    if num_unknowns < 2:
        return num_unknowns == len(equations) == 1
    return bool(equations) and not any(map(_gives_value, equations))


def _gives_value(equation: Relation) -> bool:
    return any(isinstance(side, Symbol) for side in equation.sides) and len(variables(equation)) == 1
