"""The Pareto front: what is worth its cost, since nothing cheaper is as good."""

from collections.abc import Hashable, Mapping
from typing import TypeVar

K = TypeVar("K", bound=Hashable)


def pareto_front(points: Mapping[K, tuple[float, float]]) -> list[K]:
    """Return those that no other is better than, the cheapest first.

    Args:
        points: Cost and gain by name. Of equal points the first stands for all.
    """
    front: list[K] = []
    best = float("-inf")
    for name, (_, gain) in sorted(points.items(), key=lambda item: (item[1][0], -item[1][1])):
        if gain > best:
            front.append(name)
            best = gain
    return front
