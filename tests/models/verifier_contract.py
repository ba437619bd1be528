"""What every verifier must do. A test class that inherits from `VerifierContract` says which one by `subject`."""

from collections.abc import Callable

import pytest

from models.interfaces import Finish, Meter, Step, Verifier
from tests.models.problems import PROBLEM

TEXTS = (
    "## Step 1: Add\n17 + 28 = 45, so 45 * 3 - 45\n\n",
    "## Step 2: Multiply\n45 * 3 = 135, so 135 - 45\n\n",
    "## Step 3: Subtract\n135 - 45 = 80, so 80\n\n",
)

TOLERANCE = 0.005
"""Between a score with and without the prefix cache, and beside other requests: bfloat16 sums in another order."""


def steps_of(encode: Callable[[str], tuple[int, ...]]) -> list[Step]:
    return [Step(text, encode(text), Finish.STEP) for text in TEXTS]


class VerifierContract:
    async def test_each_step_gets_a_probability(self, subject: Verifier, steps: list[Step]) -> None:
        scores = await subject.score(PROBLEM, (), steps, Meter())
        assert len(scores) == len(steps)
        assert all(0 <= score <= 1 for score in scores)

    async def test_judging_step_by_step_is_judging_all_at_once(self, subject: Verifier, steps: list[Step]) -> None:
        at_once = await subject.score(PROBLEM, (), steps, Meter())
        one_by_one = [
            (await subject.score(PROBLEM, steps[:index], [step], Meter()))[0] for index, step in enumerate(steps)
        ]
        assert one_by_one == pytest.approx(at_once, abs=TOLERANCE)

    async def test_a_later_step_never_changes_an_earlier_score(self, subject: Verifier, steps: list[Step]) -> None:
        alone = await subject.score(PROBLEM, (), steps[:1], Meter())
        followed = await subject.score(PROBLEM, (), steps, Meter())
        assert alone[0] == pytest.approx(followed[0], abs=TOLERANCE)

    async def test_what_is_judged_is_counted(self, subject: Verifier, steps: list[Step]) -> None:
        meter = Meter()
        await subject.score(PROBLEM, (), steps, meter)
        assert meter.verifier_tokens > 0
        assert meter.completion_tokens == 0
