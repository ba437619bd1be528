"""Solutions as text: how a walk over an exercise is written down, and how any response to it is judged.

The judge reads text that our solver never wrote (a policy's samples), so it accepts every step that keeps the value,
and nothing else: a step is right if its facts are true, what it leaves follows, and every step before it is right.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import Any

from models.interfaces import DELIMITER
from models.prm.checkers.expressions import is_true, read_answer
from models.training.demo.tasks.exercise import Exercise, Move, S

_STEP = re.compile(r"## Step \d+: [^\n]+\n(?:(?P<facts>[^\n]+?), )?so (?P<claim>[^\n]+)")
_CONCLUSION = re.compile(r"Therefore, the final answer is: \$\\boxed\{(?P<answer>.+)\}\$\.")
_SHORT_BOTTOMS = (2, 4, 5, 10)


@dataclass(frozen=True, slots=True)
class Solution:
    """A written solution.

    Attributes:
        steps: Text of each, with its delimiter.
        labels: Whether each is right, all before it included.
    """

    steps: tuple[str, ...]
    labels: tuple[bool, ...]

    @property
    def text(self) -> str:
        """The whole response."""
        return "".join(self.steps)


def solve(exercise: Exercise[Any], rng: Random, *, is_careful: bool = False) -> Solution:
    """Write a solution the way a learner does, who gives in to temptations unless `is_careful`."""
    state = exercise.start
    moves: list[Move[Any]] = []
    while move := exercise.right_move(state) if is_careful else learner_move(exercise, state, rng):
        moves.append(move)
        state = move.state
    return write(exercise, moves, exercise.result(state), rng)


def learner_move(exercise: Exercise[S], state: S, rng: Random) -> Move[S] | None:
    """The move of a learner, who may give in to a temptation; None where the answer is reached."""
    right = exercise.right_move(state)
    if right is None:
        return None
    return next((each.move for each in exercise.temptations(state) if rng.random() < each.probability), right)


def write(exercise: Exercise[Any], moves: Sequence[Move[Any]], result: Fraction, rng: Random) -> Solution:
    """Text and labels of `moves` that end in `result`."""
    steps = [f"## Step {number}: {move.name}\n{move}{DELIMITER}" for number, move in enumerate(moves, 1)]
    steps.append(f"Therefore, the final answer is: $\\boxed{{{write_answer(result, rng)}}}$.")
    return Solution(tuple(steps), judge(exercise, steps))


def write_answer(answer: Fraction, rng: Random) -> str:
    r"""One of the ways to write `answer`: 7/2, \frac{7}{2} or 3.5."""
    if answer.denominator == 1:
        return str(answer)
    forms = [str(answer), str(answer), f"\\frac{{{answer.numerator}}}{{{answer.denominator}}}"]
    if answer.denominator in _SHORT_BOTTOMS:
        forms.append(f"{float(answer):g}")
    return rng.choice(forms)


def judge(exercise: Exercise[Any], steps: Sequence[str]) -> tuple[bool, ...]:
    """Whether each of `steps`, text with or without its delimiter, is right, all before it included."""
    labels: list[bool] = []
    progress: int | None = 0
    for step in steps:
        progress = None if progress is None else _judge_step(exercise, step.removesuffix(DELIMITER), progress)
        labels.append(progress is not None)
    return tuple(labels)


def concludes_right(exercise: Exercise[Any], step: str) -> bool:
    """True if `step` gives the right answer, by whatever way it was reached."""
    return conclusion(step) == exercise.answer


def conclusion(step: str) -> Fraction | None:
    """The answer that `step` gives; None if it is no conclusion."""
    found = _CONCLUSION.fullmatch(step)
    try:
        return read_answer(found["answer"]) if found else None
    except ValueError:
        return None


def has_false_fact(step: str) -> bool:
    """True for an error of arithmetic, not of method."""
    found = _STEP.fullmatch(step.removesuffix(DELIMITER))
    return found is not None and not _are_true(found["facts"])


def _judge_step(exercise: Exercise[Any], step: str, progress: int) -> int | None:
    if _CONCLUSION.fullmatch(step):
        return progress if concludes_right(exercise, step) else None
    found = _STEP.fullmatch(step)
    if not found or not _are_true(found["facts"]):
        return None
    return exercise.check(found["claim"], progress)


def _are_true(facts: str | None) -> bool:
    return facts is None or all(is_true(fact) for fact in facts.split(", "))
