"""Thoughts: text in which a learner attempts each move of a solution, checks the attempt and corrects what is wrong.

A learner gives in to the same temptations here as in a written solution, and now and then slips in a number; but most
of what is wrong is found by the check, and tried again with care. So every block of thoughts takes some errors out of
the answer that is written behind them, and thoughts that are cut short leave the rest of the way to a careless learner.
"""

from bisect import bisect_left
from dataclasses import dataclass
from random import Random
from typing import Any

from models.interfaces import DELIMITER
from models.training.demo.tasks.corruption import change_number
from models.training.demo.tasks.exercise import Exercise, Move
from models.training.demo.tasks.solution import Solution, learner_move, solve, write

GUESS_SHARE = 0.15
"""Of thoughts that begin with a guess, boxed like an answer and mostly wrong."""
SLIP_SHARE = 0.03
"""Of attempts in which a number is not what it should be."""
FOUND_SHARE = 0.93
"""Of wrong attempts that their check finds; a slip is always found."""
FALSE_ALARM_SHARE = 0.02
"""Of right attempts that their check takes for wrong."""
CARE_SHARE = 0.9
"""Of second attempts that are made with care."""
MAX_ATTEMPTS = 3

_FIRST = ("", "", "", "Now ", "So ")
_AGAIN = ("Wait, ", "Wait, ", "No: ")
_CHECKS = ("\nCheck: ", "\nCheck: ", "\nIs it so? ")


@dataclass(frozen=True, slots=True)
class Standing:
    """What thoughts have come to.

    Attributes:
        moves: That the answer will take over.
        is_warned: Whether an attempt at the next move was found wrong.
    """

    moves: tuple[Move[Any], ...] = ()
    is_warned: bool = False


@dataclass(frozen=True, slots=True)
class Thoughts:
    """Thoughts, and what they have come to wherever they are cut.

    Attributes:
        text: All of them, without marks.
        standings: What holds from a character on, in the order of the text.
    """

    text: str
    standings: tuple[tuple[int, Standing], ...]

    def standing(self, num_characters: int) -> Standing:
        """What the first `num_characters` have come to."""
        begun = bisect_left(self.standings, num_characters, key=lambda standing: standing[0])
        return self.standings[begun - 1][1] if begun else Standing()


def think(exercise: Exercise[Any], rng: Random) -> Thoughts:
    """Thoughts about an exercise, a block for each attempt."""
    draft = _Draft(exercise, rng)
    if rng.random() < GUESS_SHARE:
        draft.write(f"Is it {_box(solve(exercise, rng))}?{DELIMITER}", Standing())
    while draft.attempt():
        pass
    draft.write(f"So it is {exercise.result(draft.state)}.\n", draft.standing)
    return Thoughts(draft.text, tuple(draft.standings))


def conclude(exercise: Exercise[Any], standing: Standing, rng: Random) -> Solution:
    """The written solution behind thoughts: what they have come to, and a learner's own way from there."""
    moves = [*standing.moves]
    state = moves[-1].state if moves else exercise.start
    is_warned = standing.is_warned
    while move := exercise.right_move(state) if is_warned else learner_move(exercise, state, rng):
        moves.append(move)
        state, is_warned = move.state, False
    return write(exercise, moves, exercise.result(state), rng)


class _Draft:
    """Thoughts under way."""

    def __init__(self, exercise: Exercise[Any], rng: Random) -> None:
        self.text = ""
        self.standings: list[tuple[int, Standing]] = []
        self.standing = Standing()
        self.state = exercise.start
        self._exercise = exercise
        self._rng = rng
        self._num_attempts = 0

    def write(self, text: str, standing: Standing) -> None:
        self.standings.append((len(self.text), standing))
        self.standing = standing
        self.text += text

    def attempt(self) -> bool:
        """Attempt the next move and check it; False where the answer is reached."""
        rng, before = self._rng, self.standing
        right = self._exercise.right_move(self.state)
        if right is None:
            return False
        is_careful = before.is_warned and rng.random() < CARE_SHARE
        move = right if is_careful else learner_move(self._exercise, self.state, rng) or right
        is_last = self._num_attempts + 1 == MAX_ATTEMPTS
        if is_last:
            move = right
        written, is_slip = f"{move.name}: {move}", not is_last and rng.random() < SLIP_SHARE
        if is_slip:
            written = f"{move.name}: {change_number(str(move), rng)}"
        warned = Standing(before.moves, is_warned=True)
        taken = warned if is_slip else Standing((*before.moves, move))
        self.write(rng.choice(_AGAIN if before.is_warned else _FIRST) + written, taken)
        self.write(rng.choice(_CHECKS), taken)
        alarm = 1.0 if is_slip else FALSE_ALARM_SHARE if move == right else FOUND_SHARE
        if not is_last and rng.random() < alarm:
            self.write(f"no.{DELIMITER}", warned)
            self._num_attempts += 1
        else:
            self.write(f"yes.{DELIMITER}", taken)
            self.state = move.state
            self._num_attempts = 0
        return True


def _box(solution: Solution) -> str:
    """The boxed answer of a solution."""
    conclusion = solution.steps[-1]
    return conclusion[conclusion.index("$") : conclusion.rindex("$") + 1]
