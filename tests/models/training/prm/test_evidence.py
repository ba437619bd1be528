"""Whether labels say enough, by counts made by hand."""

import pytest

from models.training.prm.evidence import MIN_PROBLEMS, MIN_STEPS, Evidence


def steps(num_right: int, num_wrong: int, num_problems: int = 10) -> Evidence:
    """Responses of one step."""
    evidence = Evidence()
    for index in range(num_right):
        evidence.add(f"problem {index % num_problems}", (0.5,), True, True)
    for index in range(num_wrong):
        evidence.add(f"problem {index % num_problems}", (0.49,), True, True)
    return evidence


def responses(num_read: int, num_silent: int, num_cut: int = 0, num_unknown: int = 0) -> Evidence:
    """Responses whose labels do not matter."""
    evidence = Evidence()
    for states_answer, is_complete, count in (
        (True, True, num_read),
        (False, True, num_silent),
        (False, False, num_cut),
        (None, True, num_unknown),
    ):
        for _ in range(count):
            evidence.add("a problem", (1.0, 0.0), states_answer, is_complete)
    return evidence


@pytest.mark.parametrize(("num_right", "num_wrong"), [(0, 310), (310, 0), (3, 307), (307, 3), (0, 1)])
def test_labels_of_almost_one_kind_are_a_fault_that_has_their_counts(num_right: int, num_wrong: int) -> None:
    fault = steps(num_right, num_wrong).one_sided
    assert fault is not None
    assert f"{num_right} right steps" in fault
    assert f"{num_wrong} wrong ones" in fault
    assert ("easier problems" if num_right < num_wrong else "harder problems") in fault


@pytest.mark.parametrize(("num_right", "num_wrong"), [(1, 1), (1, 99), (20, 1_980)])
def test_labels_of_two_kinds_are_not_one_sided(num_right: int, num_wrong: int) -> None:
    assert steps(num_right, num_wrong).one_sided is None


@pytest.mark.parametrize(
    ("evidence", "is_enough"),
    [
        (steps(MIN_STEPS, MIN_STEPS), True),
        (steps(MIN_STEPS - 1, 500), False),
        (steps(500, MIN_STEPS - 1), False),
        (steps(500, 500, num_problems=MIN_PROBLEMS), True),
        (steps(500, 500, num_problems=MIN_PROBLEMS - 1), False),
    ],
)
def test_both_kinds_need_some_steps_and_some_problems(evidence: Evidence, is_enough: bool) -> None:
    assert (evidence.too_small is None) is is_enough


def test_a_label_of_one_half_counts_as_right() -> None:
    assert steps(2, 1).num_steps == [1, 2]


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        (responses(10, 10), None),
        (responses(10, 11), "11 of 21 responses state no answer that is read, "),
        (responses(10, 1, num_cut=10), "11 of 21 responses state no answer that is read (10 were cut off"),
        (responses(0, 0, num_unknown=50), None),
        (responses(1, 2, num_unknown=50), "2 of 3 responses"),
        (Evidence(), None),
    ],
)
def test_most_answers_that_are_not_read_are_a_fault(evidence: Evidence, said: str | None) -> None:
    assert evidence.unread is None if said is None else said in str(evidence.unread)
