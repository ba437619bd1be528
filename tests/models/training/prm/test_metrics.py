"""Agreement of scores and labels, against hand counts."""

import pytest
import torch

from models.training.prm.metrics import area_under_curve, bin_sums, calibration_error


def test_area_counts_pairs_in_order_and_ties_by_half() -> None:
    scores = torch.tensor([0.9, 0.5, 0.5, 0.1])
    labels = torch.tensor([True, True, False, False])
    assert area_under_curve(scores, labels) == pytest.approx(3.5 / 4)


def test_there_is_no_area_without_both_labels() -> None:
    assert area_under_curve(torch.tensor([0.1, 0.9]), torch.tensor([True, True])) is None


def test_calibration_error_is_the_mean_gap_of_the_bins() -> None:
    scores = torch.tensor([0.95, 0.95, 0.05, 0.05])
    labels = torch.tensor([True, False, False, False])
    assert calibration_error(scores, labels) == pytest.approx((abs(1.9 - 1) + 0.1) / 4)


def test_bins_hold_what_lies_between_their_edges() -> None:
    sums = bin_sums(torch.tensor([0.0, 0.05, 0.1, 0.95, 1.0]), torch.tensor([0.0, 0.5, 1.0, 1.0, 0.25]))
    assert sums[:, 0].tolist() == [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert sums[[0, 1, 9], 1].tolist() == pytest.approx([0.05, 0.1, 1.95])
    assert sums[[0, 1, 9], 2].tolist() == pytest.approx([0.5, 1.0, 1.25])
