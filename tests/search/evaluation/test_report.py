"""The report of an evaluation, against counts by hand."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from search.evaluation import tables
from search.evaluation.compute_optimal import choices, compute_optimal
from search.evaluation.frontier import priced
from search.evaluation.grid import Point, names
from search.evaluation.outcomes import Outcome
from search.evaluation.palette import colour_of, places_of, shapes_of
from search.evaluation.pictures import draw_all
from search.evaluation.report import Report


def outcomes(strategy: str, n: int, *rights: str, **told: float) -> list[Outcome]:
    """One string a seed, one letter a problem: y for a right answer."""
    return [
        Outcome(f"p{place}", place % 2 + 1, strategy, n, seed, None, letter == "y", 10, **told)  # type: ignore[arg-type]
        for seed, right in enumerate(rights)
        for place, letter in enumerate(right)
    ]


REPORT = Report(
    [
        *outcomes("greedy", 1, "yynn"),
        *outcomes("majority", 4, "ynnn", "yynn", num_right=1, verifier_tokens=5, seconds=1.5),
        *outcomes("best_of_n", 4, "yynn", "yynn"),
        *outcomes("beam_search", 4, "yyyn", verifier_tokens=20, seconds=3.0),
        *outcomes("dvts", 4, "yyyy"),
        *outcomes("auto", 4, "yyyn", verifier_tokens=10, seconds=2.0),
        *outcomes("best_of_n", 16, "yyyn"),
    ]
)


def written(table: Table | None) -> str:
    console = Console(width=200, record=True)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_accuracy_is_the_mean_over_problems_and_seeds() -> None:
    accuracy = REPORT.accuracy(Point("majority", 4))
    assert accuracy
    assert accuracy.mean == 37.5
    easy = REPORT.accuracy(Point("majority", 4), level=2)
    assert easy
    assert easy.mean == 25.0
    assert REPORT.accuracy(Point("majority", 16)) is None


def test_a_share_of_tokens_is_one_of_sums_over_the_problems_of_both() -> None:
    cheap = [Outcome(f"p{i}", None, "auto", 4, 0, None, True, tokens) for i, tokens in enumerate([10, 30, 999])]
    dear = [Outcome(f"p{i}", None, "dvts", 4, 0, None, True, tokens) for i, tokens in enumerate([20, 60])]
    report = Report([*cheap, *dear])
    assert report.generated_share(Point("auto", 4), Point("dvts", 4)) == (0.5, 0.5, 0.5)
    assert report.generated_share(Point("auto", 4), Point("dvts", 16)) is None


def test_a_difference_is_paired_by_problem() -> None:
    difference = REPORT.difference(Point("best_of_n", 4), Point("majority", 4))
    assert difference
    assert (difference.mean, difference.low, difference.high) == (12.5, 0.0, 37.5)
    assert REPORT.difference(Point("dvts", 16), Point("majority", 4)) is None


def test_the_ladder_ends_with_the_better_tree_search() -> None:
    assert REPORT.best_single(4) == Point("dvts", 4)
    assert [f"{left}-{right}" for left, right in REPORT.ladder(4)] == ["best_of_n@4-majority@4", "dvts@4-best_of_n@4"]
    assert REPORT.ladder(16) == []


def test_pass_at_k_takes_the_responses_of_all_seeds_together() -> None:
    one, four = REPORT.pass_at(1), REPORT.pass_at(4, level=1)
    assert one
    assert four
    assert one.mean == pytest.approx(100 * 2 / 8)
    # of 8 responses 2 are right: C(6, 4) / C(8, 4) of the choices hold none
    assert four.mean == pytest.approx(100 * (1 - 15 / 70))
    assert REPORT.pass_at(16) is None


def test_costs_are_means_over_the_problems_that_every_point_was_asked_for() -> None:
    report = Report(
        [
            Outcome("a", 1, "dvts", 4, 0, "7", True, 100, 50, 5, 2.0, early_stop=True),
            Outcome("b", 1, "dvts", 4, 0, "7", True, 900, early_stop=False),
            Outcome("a", 1, "dvts", 16, 0, "7", True, 400, 90, 5, 4.0, early_stop=True),
            Outcome("b", 1, "dvts", 16, 0, "7", False, 950, 99, 5, 9.0, early_stop=False),
            Outcome("a", 1, "beam_search", 4, 0, "7", True, 200, 70, 5, 3.0, early_stop=True),
            Outcome("b", 1, "beam_search", 4, 0, "7", True, 999, 99, 5, 9.0, early_stop=True),
        ]
    )
    costs = {point: report.cost(point) for point in report.points}
    assert {str(point): (cost.num_problems, cost.tokens, cost.seconds) for point, cost in costs.items() if cost} == {
        "beam_search@4": (1, 270, 3.0),
        "dvts@4": (1, 150, 2.0),
        "dvts@16": (1, 490, 4.0),
    }
    assert report.tokens_per_correct(Point("dvts", 16)) == 980
    assert report.cost(Point("auto", 4)) is None


def test_a_cost_that_was_not_measured_is_none() -> None:
    cost = REPORT.cost(Point("dvts", 4))
    assert cost
    assert (cost.generated, cost.judged, cost.tokens, cost.seconds) == (10, None, None, None)
    assert REPORT.tokens_per_correct(Point("dvts", 4)) is None
    nothing_right = Report(outcomes("majority", 4, "nn", verifier_tokens=0, seconds=1.0))
    assert nothing_right.tokens_per_correct(Point("majority", 4)) is None


def test_what_has_no_price_is_in_no_picture_of_prices() -> None:
    assert {str(point): place for point, place in priced(REPORT, lambda cost: cost.tokens).items()} == {
        "majority@4": (15, 37.5),
        "beam_search@4": (30, 75),
        "auto@4": (20, 75),
    }


def many(strategy: str, right: Callable[[int, int], bool]) -> list[Outcome]:
    """40 problems of two levels."""
    return [
        Outcome(f"p{place}", place % 2 + 1, strategy, 4, 0, None, right(place, place % 2 + 1), 10)
        for place in range(40)
    ]


def test_the_compute_optimal_curve_takes_the_strategy_that_suits_each_level() -> None:
    report = Report([*many("majority", lambda _, level: level == 1), *many("dvts", lambda _, level: level == 2)])
    found = compute_optimal(report, 4)
    assert found
    assert found.mean == 100
    assert choices(report, 4) == {1: "majority", 2: "dvts"}


def test_a_choice_is_measured_on_other_problems_than_it_was_made_on() -> None:
    def is_lucky(place: int, _: int) -> bool:
        return place % 4 < 2

    report = Report([*many("majority", is_lucky), *many("dvts", lambda *of: not is_lucky(*of))])
    found = compute_optimal(report, 4)
    assert found
    assert found.mean <= 50  # each is right on half of the problems; hindsight would find more than half


def test_there_is_nothing_to_choose_without_levels_or_with_one_strategy() -> None:
    alone = Report(many("majority", lambda *_: True))
    bare = Report([Outcome("p", None, name, 4, 0, None, True, 10) for name in ("majority", "dvts")])
    assert compute_optimal(alone, 4) is compute_optimal(bare, 4) is None
    assert choices(bare, 4) == {}


def test_tables_hold_what_was_measured() -> None:
    assert "best per level*" in written(tables.accuracy_table(REPORT, "title"))
    assert "25.0" in written(tables.pass_table(REPORT))
    assert "level 2" in written(tables.choice_table(REPORT))
    costs = written(tables.cost_table(REPORT))
    assert "per right answer" in costs
    assert next(line for line in costs.splitlines() if "auto@4" in line).split("│")[-2].strip() == "27"
    pair = (Point("dvts", 16), Point("majority", 4))
    assert "not measured" in written(tables.difference_table(REPORT, [pair]))
    assert "x 1.00 (1.00 to 1.00)" in written(tables.difference_table(REPORT, [(Point("auto", 4), Point("dvts", 4))]))
    bare = Report(outcomes("majority", 1, "yn"))
    assert tables.pass_table(bare) is tables.choice_table(bare) is None
    assert tables.choice_table(Report(outcomes("auto", 4, "yn"))) is None  # it is none of those to choose from


def test_every_picture_is_drawn(tmp_path: Path) -> None:
    draw_all(REPORT, tmp_path, "title")
    names = {"scaling", "tokens", "seconds", "levels", "compute_optimal", "pass_at_k"}
    assert {path.stem for path in tmp_path.glob("*.png")} == names
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())


def test_what_was_not_measured_is_not_drawn(tmp_path: Path) -> None:
    draw_all(Report([Outcome("p", None, "majority", 4, 0, None, True, 10)]), tmp_path, "title")
    assert {path.stem for path in tmp_path.iterdir()} == {"scaling", "tokens", "seconds"}


def test_no_two_strategies_look_alike_and_no_two_budgets() -> None:
    assert len({colour_of(name) for name in names()}) == len(names())
    assert len(set(shapes_of([1, 4, 16, 64, 256]).values())) == 5


def test_the_calibration_of_confidences_is_told_where_enough_were_stated() -> None:
    def told(count: int) -> Report:
        return Report(
            Outcome(f"{number}", 1, "auto", 16, 0, "1", number % 2 == 0, 10, confidence=0.9) for number in range(count)
        )

    assert told(100).calibration_error(Point("auto", 16)) == pytest.approx(0.4)
    assert told(99).calibration_error(Point("auto", 16)) is None
    table = tables.confidence_table(told(100))
    assert table is not None
    assert list(table.columns[1].cells) == ["0.400"]
    assert tables.confidence_table(told(99)) is None


def varied(value: str, *rights: str, n: int = 4) -> list[Outcome]:
    return [replace(each, varied=(("aggregation", value),)) for each in outcomes("dvts", n, *rights, seconds=1.0)]


VARIED = Report(
    [
        *varied("min", "yynn"),
        *varied("last", "yyyn"),
        *outcomes("majority", 4, "ynnn"),
        *varied("min", "yyyy", n=16),
    ]
)


def test_values_are_rows_of_their_own_in_the_order_given() -> None:
    assert [str(each) for each in VARIED.configurations] == [
        "majority",
        "dvts,aggregation=min",
        "dvts,aggregation=last",
    ]
    accuracies = [VARIED.accuracy(each.at(4)) for each in VARIED.configurations]
    assert [accuracy.mean for accuracy in accuracies if accuracy] == [25, 50, 75]


def test_every_value_is_compared_with_the_first_by_problem_at_the_same_n() -> None:
    ((left, right),) = VARIED.variations()
    assert (str(left), str(right)) == ("dvts@4,aggregation=last", "dvts@4,aggregation=min")
    difference = VARIED.difference(left, right)
    assert difference
    assert (difference.mean, difference.low) == (25.0, 0.0)
    assert "+25.0 (+0.0 to +75.0)" in written(tables.difference_table(VARIED, VARIED.variations()))
    assert REPORT.variations() == []


def test_what_is_compared_among_strategies_varies_in_nothing() -> None:
    assert VARIED.ladder(4) == []
    assert VARIED.best_single(4) == Point("majority", 4)


def test_values_are_drawn_apart(tmp_path: Path) -> None:
    first, second, third = places_of([*VARIED.configurations]).values()
    assert (first, second, third) == (0, 0, 1)
    draw_all(VARIED, tmp_path, "title")
    assert {path.stem for path in tmp_path.iterdir()} == {"scaling", "tokens", "seconds", "levels"}
