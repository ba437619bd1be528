"""Budgets that cost the same, against a search of all of them."""

import pytest

from tests.server.page.scripts import call

FIT = """({ fitBudget }, cases) => Promise.all(cases.map(async ([each, bound, multiple, most]) => {
  let asked = 0;
  const found = await fitBudget((n) => (asked++, Promise.resolve(n * each + 7)), { bound, multiple, most });
  return [found.n, found.tokens, asked];
}))"""


def test_the_largest_budget_within_a_bound_is_found_in_few_questions() -> None:
    cases = [
        (each, bound, multiple, most)
        for each in (1, 90, 250)
        for bound in (0, 97, 1000, 9007)
        for multiple in (1, 4)
        for most in (4, 64, 1022)
    ]
    for (each, bound, multiple, most), (n, tokens, asked) in zip(cases, call("budgets", FIT, cases), strict=True):
        fitting = [m for m in range(multiple, most + 1, multiple) if m * each + 7 <= bound]
        assert n == max(fitting, default=multiple)
        assert tokens == n * each + 7
        assert asked <= 20


def test_nothing_is_fitted_where_nobody_can_say() -> None:
    function = "({ fitBudget }) => fitBudget(() => Promise.resolve(null), { bound: 9, multiple: 1, most: 9 })"
    assert call("budgets", function) is None


@pytest.mark.parametrize(("judges", "multiple", "n"), [(False, 1, 32), (True, 1, 16), (True, 4, 16), (True, 32, 32)])
def test_without_an_estimate_a_candidate_costs_what_one_of_the_first_search_did(
    judges: bool, multiple: int, n: int
) -> None:
    first = {"n": 16, "usage": {"completion_tokens": 1600, "verifier_tokens": 1600}}
    limits = {"bound": 3200, "multiple": multiple, "most": 64, "judges": judges}
    found = call("budgets", "({ guessBudget }, first, limits) => guessBudget(first, limits)", first, limits)
    assert found == {"n": n, "tokens": n * 100 * (1 + judges)}


def test_what_bounds_whom_is_said_in_words() -> None:
    columns = [{"way": {"strategy": "dvts", "n": 16}}, {"way": {"strategy": "majority", "n": 1}, "tokens": 5000}]
    function = "({ boundInWords }, bound, columns) => boundInWords(bound, columns)"
    said = call("budgets", function, {"basis": "estimate", "tokens": 4200}, columns)
    assert "DVTS with 16 candidates is expected to spend 4,200 tokens" in said
    assert "majority gets 1 candidate, which should spend 5,000, more than that" in said
    assert " spent 4,200 tokens" in call("budgets", function, {"basis": "spent", "tokens": 4200}, columns)
