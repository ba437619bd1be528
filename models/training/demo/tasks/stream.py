"""Where problems come from: an endless training stream, and held-out problems that it never holds.

A problem is held out by a hash of its text, whatever seed it was drawn with, so no list has to be kept and nothing
drawn later can leak.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import blake2b
from itertools import cycle, islice, product
from random import Random
from typing import Any

from models.training.demo.tasks.chain import Chain
from models.training.demo.tasks.exercise import CHANCES, Exercise
from models.training.demo.tasks.fraction import Fraction
from models.training.demo.tasks.linear import Linear
from models.training.demo.tasks.sequence import Sequence
from models.training.demo.tasks.story import Story

FAMILIES: dict[str, type[Exercise[Any]]] = {kind.family: kind for kind in (Chain, Fraction, Linear, Sequence, Story)}
LEVELS = tuple(CHANCES)
HELD_OUT_SHARE = 8
MAX_TRIES = 300


@dataclass(frozen=True, slots=True)
class Task:
    """An exercise and how hard it is, 1 to 5."""

    exercise: Exercise[Any]
    level: int

    @property
    def problem(self) -> str:
        """The text that the policy is given."""
        return self.exercise.problem

    @property
    def family(self) -> str:
        """The kind of exercise."""
        return self.exercise.family


@dataclass(frozen=True, slots=True)
class Record:
    """A problem as users see it; `answer` is exact, such as "90" or "7/2"."""

    problem: str
    answer: str
    level: int
    family: str

    def as_dict(self) -> dict[str, Any]:
        """The fields, for JSON."""
        return asdict(self)


def is_held_out(problem: str) -> bool:
    """True for one problem in eight, whenever and wherever it is drawn."""
    digest = blake2b(problem.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % HELD_OUT_SHARE == 0


def draw_task(rng: Random, family: str, level: int, *, held_out: bool) -> Task:
    """A random task on the wanted side of the split."""
    exercise = FAMILIES[family].draw(rng, level, lambda problem: is_held_out(problem) is held_out)
    return Task(exercise, level)


def training_tasks(rng: Random) -> Iterator[Task]:
    """Tasks of all families and levels without end, none of them held out."""
    while True:
        yield draw_task(rng, rng.choice(tuple(FAMILIES)), rng.choice(LEVELS), held_out=False)


def held_out_tasks(seed: int) -> Iterator[Task]:
    """Held-out tasks with different texts, families and levels in turn, until those of every kind are used up."""
    rng = Random(seed)
    seen: set[str] = set()
    kinds = set(product(FAMILIES, LEVELS))
    for family, level in cycle(product(FAMILIES, LEVELS)):
        if (family, level) not in kinds:
            continue
        tries = (draw_task(rng, family, level, held_out=True) for _ in range(MAX_TRIES))
        task = next((task for task in tries if task.problem not in seen), None)
        if task is None:
            kinds.discard((family, level))
            if not kinds:
                return
            continue
        seen.add(task.problem)
        yield task


def held_out_problems(seed: int, count: int) -> list[Record]:
    """`count` held-out problems (fewer only where there are no more); the same seed and count give the same ones."""
    return [
        Record(task.problem, str(task.exercise.answer), task.level, task.family)
        for task in islice(held_out_tasks(seed), count)
    ]
