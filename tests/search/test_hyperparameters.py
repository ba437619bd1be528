from collections.abc import Callable

import pytest

from search.beam_search import BeamSearch
from search.best_of_n import BestOfN
from search.dvts import DVTS
from search.errors import HyperparameterError
from search.strategy import Strategy

TREE_SEARCHES = [BeamSearch, DVTS]


@pytest.mark.parametrize("n", [0, -1])
@pytest.mark.parametrize("make", [BestOfN, *TREE_SEARCHES])
def test_a_budget_below_one_is_refused(make: Callable[..., Strategy], n: int) -> None:
    with pytest.raises(HyperparameterError, match=f"n: a budget of {n} is too small: at least 1") as refusal:
        make(n)
    assert refusal.value.field == "n"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("beam_width", 0, "0 children are too few: at least 1"),
        ("beam_width", 3, "n = 16 is not divisible by beam_width = 3"),
        ("beam_width", 32, "n = 16 is not divisible by beam_width = 32"),
        ("max_steps", 0, "0 steps are too few: at least 1"),
        ("lookahead", -1, "-1 steps cannot be rolled out: at least 0"),
    ],
)
@pytest.mark.parametrize("make", TREE_SEARCHES)
def test_nonsense_is_refused_with_the_name_of_the_field(
    make: Callable[..., Strategy], field: str, value: int, message: str
) -> None:
    with pytest.raises(HyperparameterError) as refusal:
        make(16, **{field: value})
    assert (refusal.value.field, refusal.value.message) == (field, message)


@pytest.mark.parametrize("make", TREE_SEARCHES)
def test_a_budget_of_one_goes_with_any_beam_width(make: Callable[..., Strategy]) -> None:
    assert make(1, beam_width=4).n == 1
