"""Near misses: a solution cut after a step in which one number or sign is not what it should be."""

import re
from random import Random
from typing import Any

from models.training.demo.tasks.exercise import Exercise
from models.training.demo.tasks.solution import Solution, judge

_TITLE = re.compile(r"## [^\n]*\n")
_NUMBER = re.compile(r"\d+")
_SIGN = re.compile(r"(?<= )[+-](?= )")
_OFFSETS = (-10, -2, -1, -1, 1, 1, 2, 10)


def corrupt(exercise: Exercise[Any], solution: Solution, rng: Random) -> Solution:
    """Spoil a random right step of `solution` and drop what follows; without a right step it stays as it is."""
    num_right = sum(solution.labels)
    if num_right == 0:
        return solution
    last = rng.randrange(num_right)
    step = solution.steps[last]
    title = match[0] if (match := _TITLE.match(step)) else ""
    body = step.removeprefix(title)
    spoilt = _flip_sign(body, rng) if rng.random() < 0.15 else change_number(body, rng)
    steps = (*solution.steps[:last], title + spoilt)
    return Solution(steps, judge(exercise, steps))


def change_number(body: str, rng: Random) -> str:
    """Miss a number by a little: there alone (a slip of the pen), or wherever it comes again (a slip of the mind)."""
    number = rng.choice(list(_NUMBER.finditer(body)))
    changed = str(max(0, int(number[0]) + rng.choice(_OFFSETS)))
    rest = body[number.end() :]
    if rng.random() < 0.5:
        rest = re.sub(rf"\b{number[0]}\b", changed, rest)
    return body[: number.start()] + changed + rest


def _flip_sign(body: str, rng: Random) -> str:
    signs = list(_SIGN.finditer(body))
    if not signs:
        return change_number(body, rng)
    sign = rng.choice(signs)
    return body[: sign.start()] + ("-" if sign[0] == "+" else "+") + body[sign.end() :]
