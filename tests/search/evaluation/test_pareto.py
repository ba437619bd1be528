from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from search.evaluation.pareto import pareto_front

POINT = st.tuples(st.integers(0, 9), st.integers(0, 9))


def test_what_is_dearer_and_no_better_is_left_out() -> None:
    points = {"dear": (9.0, 0.9), "worse": (5.0, 0.4), "same": (4.0, 0.5), "cheap": (1.0, 0.5)}
    assert pareto_front(points) == ["cheap", "dear"]


def test_of_equal_points_the_first_stands_for_all() -> None:
    assert pareto_front({"a": (1.0, 0.5), "b": (1.0, 0.5)}) == ["a"]


@given(st.dictionaries(st.integers(), POINT, max_size=12))
def test_everything_has_a_match_on_the_front(points: dict[int, tuple[float, float]]) -> None:
    front = [points[name] for name in pareto_front(points)]
    assert all(cheap[0] < dear[0] and cheap[1] < dear[1] for cheap, dear in pairwise(front))
    assert all(any(cost <= c and gain >= g for cost, gain in front) for c, g in points.values())
