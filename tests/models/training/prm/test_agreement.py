"""What is said of scores and labels, against hand counts."""

from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console

from models.training.prm.agreement import Agreement, Detection, Judged, agreement_table, by_family
from models.training.prm.metrics import area_error
from models.training.prm.reliability import plot_reliability


def judged(labels: list[float], scores: list[float], family: str | None = None, kind: str | None = None) -> Judged:
    return Judged(tuple(labels), torch.tensor(scores), family, kind)


RESPONSES = [
    judged([1, 1], [0.9, 0.8], "chain"),
    judged([1, 0, 0], [0.9, 0.2, 0.6], "chain", "method"),
    judged([1, 0], [0.3, 0.1], "chain", "arithmetic"),
    judged([0], [0.7], "story", "method"),
]
MANY = 10 * RESPONSES
"""As many as an AUC must rest on."""


def test_a_first_error_is_found_where_the_scores_first_fall_below_one_half() -> None:
    found = by_family(RESPONSES)["chain"].found
    assert found == {"all": Detection(2, 1), "arithmetic": Detection(1, 0), "method": Detection(1, 1)}


def test_families_come_before_their_sum() -> None:
    agreements = by_family(RESPONSES)
    assert list(agreements) == ["chain", "story", "all"]
    assert [agreement.num_steps for agreement in agreements.values()] == [7, 1, 8]
    assert agreements["all"].found["method"] == Detection(2, 1)


def test_the_area_of_first_steps_leaves_out_what_follows_an_error() -> None:
    chain = by_family(MANY)["chain"]
    assert chain.auc == pytest.approx(11 / 12)  # right .9 .8 .9 .3 against wrong .2 .6 .1: one pair is lost
    assert chain.auc_first == 1.0


def test_soft_labels_are_calibrated_against_their_share() -> None:
    soft = by_family(20 * [judged([0.75, 0.25], [0.75, 0.25])])["all"]
    assert soft.calibration_error == pytest.approx(0, abs=1e-7)
    assert soft.auc == 1.0
    assert soft.found == {"all": Detection(20, 20)}


def test_an_auc_that_would_rest_on_a_handful_is_not_measured() -> None:
    few = by_family([*(19 * [judged([0], [0.1])]), *(300 * [judged([1], [0.9])])])["all"]
    assert (few.num_right, few.auc, few.auc_first, few.auc_error) == (300, None, None, None)
    assert few.fault == "AUC not measurable: it rests on 300 right and 19 wrong steps, and needs 20 of each"


def test_the_error_of_an_auc_is_that_of_the_formula_worked_out_by_hand() -> None:
    # A = 0.8, 2 right and 3 wrong: Q1 = 2/3, Q2 = 0.7111; (0.16 + 1 * 0.02667 + 2 * 0.07111) / 6 = 0.05481
    assert area_error(0.8, 2, 3) == pytest.approx(0.05481**0.5, abs=1e-4)
    assert area_error(1.0, 50, 50) == 0.0


def test_a_model_that_judges_no_better_than_chance_is_not_called_good() -> None:
    chance = by_family(25 * [judged([1, 0], [0.4, 0.6]), judged([1, 0], [0.6, 0.4])])["all"]
    worse = by_family(25 * [judged([1, 0], [0.1, 0.9])])["all"]
    good = by_family(25 * [judged([1, 0], [0.9, 0.1])])["all"]
    assert str(chance.fault).startswith("no better than chance: AUC 0.500 ± 0.05")
    assert str(worse.fault).startswith("no better than chance: AUC 0.000")
    assert good.fault is None


def test_the_table_has_a_row_a_family_and_a_column_a_kind_of_error() -> None:
    console = Console(width=120, file=StringIO())
    console.print(agreement_table(by_family(RESPONSES)))
    text = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    assert [
        name for name in ("chain", "story", "of method, %", "of arithmetic, %", "50.0 of 2") if name not in text
    ] == []


def test_without_names_there_is_one_row() -> None:
    agreements: dict[str, Agreement] = by_family([judged([1, 0], [0.9, 0.1])])
    assert list(agreements) == ["all"]


def test_the_reliability_plot_is_a_picture(tmp_path: Path) -> None:
    plot_reliability(torch.tensor([0.0, 0.4, 1.0]), torch.tensor([0.0, 0.5, 1.0]), tmp_path / "new" / "plot.png")
    assert (tmp_path / "new" / "plot.png").read_bytes().startswith(b"\x89PNG")
