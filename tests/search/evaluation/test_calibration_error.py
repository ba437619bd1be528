import pytest

from search.evaluation.calibration_error import expected_calibration_error


def test_what_comes_true_as_often_as_said_has_no_error() -> None:
    told = [(0.75, True)] * 3 + [(0.75, False)] + [(0.0, False)] * 4 + [(1.0, True)] * 4
    assert expected_calibration_error(told) == pytest.approx(0.0)


def test_the_error_is_the_mean_distance_over_all_that_was_said() -> None:
    told = [(0.9, True), (0.9, False), (0.25, False), (0.25, False)]  # 0.4 too sure of two, 0.25 of two
    assert expected_calibration_error(told) == pytest.approx((0.4 + 0.25) / 2)


def test_errors_in_one_bin_make_up_for_each_other() -> None:
    assert expected_calibration_error([(0.52, True), (0.58, False)]) == pytest.approx(0.05)
