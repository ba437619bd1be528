r"""Writes out `\pm` and `\mp`: one item that is several. Computes nothing."""

from collections.abc import Iterator
from itertools import product

from search.answers.reading.syntax import Apply, Node, UnreadableError, rebuild, walk

MAX_SIGNS = 4
"""Signs of one item that are chosen independently."""


def expand(node: Node) -> list[Node]:
    r"""Return the node for each choice of its signs; `\mp` ties them all: it is minus where `\pm` is plus."""
    signs = [below.operator for below in walk(node) if isinstance(below, Apply) and below.operator in {"pm", "mp"}]
    if len(signs) > MAX_SIGNS:
        raise UnreadableError
    if "mp" in signs:
        return [_choose(node, iter([sign == plus for sign in signs])) for plus in ("pm", "mp")]
    return [_choose(node, iter(choice)) for choice in product((True, False), repeat=len(signs))]


def _choose(node: Node, is_plus: Iterator[bool]) -> Node:
    """Put signs in, in the order of `walk`: a node before those below it."""
    match node:
        case Apply("pm" | "mp", (content,)):
            chosen_plus = next(is_plus)
            content = _choose(content, is_plus)
            return content if chosen_plus else Apply("neg", (content,))
    return rebuild(node, lambda child: _choose(child, is_plus))
