"""pass@k against counting all choices of k responses."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.evaluation.pass_at_k import pass_at_k


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.data())
def test_it_is_the_share_of_choices_that_hold_a_right_response(is_right: list[bool], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(is_right)))
    choices = [any(chosen) for chosen in combinations(is_right, k)]
    # 1e-12: both are fractions of counts below 100
    assert pass_at_k(len(is_right), sum(is_right), k) == pytest.approx(sum(choices) / len(choices), abs=1e-12)


def test_pass_at_1_is_the_share_of_right_responses() -> None:
    assert pass_at_k(64, 16, 1) == 0.25


@pytest.mark.parametrize(("n", "c", "k"), [(4, 0, 0), (4, 0, 5), (4, 5, 1), (4, -1, 1)])
def test_impossible_counts_are_refused(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match="allowed"):
        pass_at_k(n, c, k)
