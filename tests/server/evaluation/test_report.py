"""The report of an evaluation, against counts by hand."""

from pathlib import Path

import pytest

from server.evaluation.plots import plot_levels, plot_scaling
from server.evaluation.report import Point, Report
from server.evaluation.results import Outcome


def outcomes(strategy: str, n: int, *rights: str) -> list[Outcome]:
    """One string a seed, one letter a problem: y for a right answer."""
    return [
        Outcome(f"p{place}", place % 2 + 1, strategy, n, seed, None, letter == "y", 10)
        for seed, right in enumerate(rights)
        for place, letter in enumerate(right)
    ]


REPORT = Report(
    [
        *outcomes("majority", 4, "ynnn", "yynn"),
        *outcomes("best_of_n", 4, "yynn", "yynn"),
        *outcomes("beam_search", 4, "yyyn"),
        *outcomes("dvts", 4, "yyyy"),
        *outcomes("best_of_n", 16, "yyyn"),
    ]
)


def test_accuracy_is_the_mean_over_problems_and_seeds() -> None:
    accuracy = REPORT.accuracy(Point("majority", 4))
    assert accuracy
    assert accuracy.mean == 37.5
    easy = REPORT.accuracy(Point("majority", 4), level=2)
    assert easy
    assert easy.mean == 25.0
    assert REPORT.accuracy(Point("majority", 16)) is None


def test_a_difference_is_paired_by_problem() -> None:
    difference = REPORT.difference(Point("best_of_n", 4), Point("majority", 4))
    assert difference
    assert (difference.mean, difference.low, difference.high) == (12.5, 0.0, 37.5)
    assert REPORT.difference(Point("dvts", 16), Point("majority", 4)) is None


def test_the_ladder_ends_with_the_better_tree_search() -> None:
    assert REPORT.better_tree(4) == Point("dvts", 4)
    assert [f"{left}-{right}" for left, right in REPORT.ladder(4)] == ["best_of_n@4-majority@4", "dvts@4-best_of_n@4"]
    assert REPORT.ladder(16) == []


@pytest.mark.parametrize("plot", [plot_scaling, plot_levels])
def test_pictures_are_drawn(plot: object, tmp_path: Path) -> None:
    assert callable(plot)
    plot(REPORT, tmp_path / "p.png", "title")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
