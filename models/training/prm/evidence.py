"""Whether labels say enough to learn from and to measure on. Counts only; what is wrong comes out as a sentence.

A step is right from a label of one half. A reward model learns to tell right steps from wrong ones, so labels of one
kind teach nothing, and an AUC rests on the rarer kind: with 20 steps of it its standard error is 0.06 at best, and more
where the steps are those of a few problems. With fewer it is no measurement.
"""

from collections.abc import Iterable

from models.labels.response import RIGHT_FROM

MIN_STEPS = 20
"""Right steps, and wrong ones, that an AUC must rest on."""
MIN_PROBLEMS = 5
"""Problems that have a right step, and that have a wrong one."""
MIN_SHARE = 0.01
"""Of right steps among all, and of wrong ones."""
MAX_UNREAD_SHARE = 0.5
"""Of responses whose answer is not read."""


class Evidence:
    """Counts of labelled responses.

    Attributes:
        num_steps: Of wrong steps, and of right ones.
        problems: That have a wrong step, and that have a right one.
        num_responses: Those of which it is known whether their answer was read.
        num_unread: Of these, how many state no answer that is read.
        num_cut: Of these, how many were cut off at the token limit.
    """

    def __init__(self) -> None:
        self.num_steps = [0, 0]
        self.problems: tuple[set[str], set[str]] = (set(), set())
        self.num_responses = 0
        self.num_unread = 0
        self.num_cut = 0

    def add(self, problem: str, labels: Iterable[float], states_answer: bool | None, is_complete: bool) -> None:
        """Count a response; `states_answer` is None where nobody looked."""
        for label in labels:
            is_right = label >= RIGHT_FROM
            self.num_steps[is_right] += 1
            self.problems[is_right].add(problem)
        if states_answer is not None:
            self.num_responses += 1
            self.num_unread += not states_answer
            self.num_cut += not states_answer and not is_complete

    @property
    def unread(self) -> str | None:
        """That most answers are not read, and what to do; None if they are."""
        if self.num_unread <= MAX_UNREAD_SHARE * self.num_responses:
            return None
        cut = f" ({self.num_cut:,} were cut off at the token limit)" if self.num_cut else ""
        return (
            f"{self.num_unread:,} of {self.num_responses:,} responses state no answer that is read{cut}, so all their "
            "steps count as wrong: ask for \\boxed{} in system_prompt (in the recipe), raise --max-tokens if responses "
            "are cut off, and label anew into another file"
        )

    @property
    def one_sided(self) -> str | None:
        """That right or wrong steps are all but missing, and what to do; None if they are not."""
        num_wrong, num_right = self.num_steps
        if min(self.num_steps) > 0 and min(self.num_steps) >= MIN_SHARE * sum(self.num_steps):
            return None
        advice = (
            "harder problems, which the policy fails"
            if num_wrong < num_right
            else "easier problems, which the policy solves"
        )
        return (
            f"labels of one kind teach nothing: {self}, and {100 * MIN_SHARE:.0f} % of each are needed; "
            f"label {advice} more often"
        )

    @property
    def too_small(self) -> str | None:
        """That too few steps are right, or wrong, and how many are wanted; None if there are enough."""
        if min(self.num_steps) >= MIN_STEPS and min(map(len, self.problems)) >= MIN_PROBLEMS:
            return None
        return f"{self}; needed are {MIN_STEPS} of each, in {MIN_PROBLEMS} problems"

    def __str__(self) -> str:
        (num_wrong, num_right), (wrong, right) = self.num_steps, self.problems
        return (
            f"{num_right:,} right steps (in {len(right):,} problems) and {num_wrong:,} wrong ones "
            f"(in {len(wrong):,} problems)"
        )
