"""Options of an evaluation: accuracies and costs against sums by hand."""

import pytest

from search.evaluation.grid import Configuration, Point
from search.evaluation.outcomes import Evaluation, Outcome
from search.scaling.options import Cost, Option, Survey
from tests.search.scaling.growth import grow, power_law


def outcome(strategy: str, n: int, generated: int, *judged: int, seconds: float | None = None) -> Outcome:
    tokens, cached = judged or (None, None)
    return Outcome("p", None, strategy, n, 0, None, True, generated, tokens, cached, seconds)


def survey(outcomes: list[Outcome], max_n: int | None = None, *, by_tokens: bool = False) -> Survey:
    return Survey(Evaluation("m", {"beam_width": 4}, tuple(outcomes)), by_tokens=by_tokens, max_n=max_n, seed=0)


def costs(outcomes: list[Outcome]) -> dict[Point, Cost]:
    return {each.point: each.cost for each in survey(outcomes).options}


COSTS = costs(
    [
        outcome("greedy", 1, 90, 0, 0, seconds=1.0),
        outcome("weighted_best_of_n", 64, 6400, 1600, 4800, seconds=8.0),
        outcome("weighted_best_of_n", 1, 100),
        outcome("best_of_n", 64, 6400),
        outcome("majority", 64, 6400),
        outcome("dvts", 4, 420, 60, 200, seconds=2.0),
        outcome("dvts", 16, 1680),
    ]
)


def test_what_was_measured_is_said_as_it_was() -> None:
    assert COSTS[Point("weighted_best_of_n", 64)] == (6400, 1600, 4800, 8.0, 8.0)
    assert COSTS[Point("weighted_best_of_n", 64)].tokens == 8000


def test_best_of_n_judges_what_weighted_best_of_n_judges_and_a_majority_nothing() -> None:
    assert COSTS[Point("best_of_n", 64)][:3] == (6400, 1600, 4800)
    assert COSTS[Point("majority", 64)][:3] == (6400, 0, 0)


def test_one_response_is_judged_as_a_whole_and_is_the_floor_of_every_strategy_but_greedy() -> None:
    assert COSTS[Point("best_of_n", 1)][:3] == COSTS[Point("dvts", 1)][:3] == (100, 100, 0)
    assert COSTS[Point("greedy", 1)][:3] == (90, 0, 0)


def test_what_is_not_known_is_none() -> None:
    assert COSTS[Point("dvts", 16)] == (1680, None, None, None, None)
    assert COSTS[Point("dvts", 16)].tokens == float("inf")


GROWN = grow("dvts", power_law(0.3, 0.9, 0.5), (1, 4, 16, 64), 200)


def by_n(options: list[Option]) -> dict[int, Option]:
    return {option.point.n: option for option in options}


def test_costs_lie_on_a_line_between_budgets_and_grow_with_n_beyond() -> None:
    options = by_n(survey(GROWN).options)
    assert [options[n].cost.generated for n in (8, 32, 256)] == pytest.approx([800, 3200, 25600])
    assert options[256].cost.seconds_tail == pytest.approx(25.6)


def test_a_cost_that_is_known_nowhere_is_known_nowhere_else() -> None:
    untimed = [Outcome(o.problem, None, "dvts", o.n, 0, None, o.is_correct, 100 * o.n) for o in GROWN]
    options = by_n(survey(untimed).options)
    assert options[32].cost == (3200, None, None, None, None)
    assert survey(untimed, by_tokens=True).curves[0].law is None


def test_only_budgets_that_a_strategy_can_spend_are_looked_at() -> None:
    assert sorted(by_n(survey(GROWN).options)) == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert sorted(by_n(survey(GROWN, 20).options)) == [1, 2, 4, 8, 16]
    assert [by_n(survey(GROWN).options)[n].request["beam_width"] for n in (2, 32)] == [2, 4]


def test_a_law_against_n_and_one_against_tokens_agree_where_tokens_grow_with_n() -> None:
    first, second = (by_n(survey(GROWN, by_tokens=each).options)[256].accuracy.mean for each in (False, True))
    assert first == pytest.approx(second, abs=1e-6)


def test_a_greedy_sample_is_asked_for_by_its_temperature() -> None:
    (option,) = survey([outcome("greedy", 1, 90)]).options
    assert option.request == {"strategy": "majority", "n": 1, "temperature": 0.0}
    assert survey([outcome("greedy", 1, 90)]).curves[0].configuration == Configuration("greedy")
