"""Word problems of one operation on small numbers: what SmolLM2-135M-Instruct has a chance with.

Drawn from a seed: the same seed gives the same problems, each once, the families in turn.
"""

from collections.abc import Collection
from random import Random

from search.evaluation.tasks import Task

NAMES = ("Tom", "Anna", "Sam", "Maria", "Ben", "Lucy", "Omar", "Nina")
THINGS = ("apples", "books", "pencils", "marbles", "stickers", "cookies", "coins", "shells")
BOXES = (("box", "boxes"), ("bag", "bags"), ("basket", "baskets"), ("jar", "jars"))
WARES = ("pen", "ticket", "sandwich", "notebook")


def draw_sums(seed: int, count: int, but_not: Collection[str] = ()) -> list[Task]:
    """Draw so many problems, none of `but_not`."""
    rng, found = Random(f"sums {seed}"), dict[str, Task]()
    while len(found) < count:
        family = FAMILIES[len(found) % len(FAMILIES)]
        problem, answer = family(rng)
        if problem not in found and problem not in but_not:
            found[problem] = Task(problem, str(answer), family=family.__name__.strip("_"))
    return list(found.values())


def _more(rng: Random) -> tuple[str, int]:
    name, thing, a, b = rng.choice(NAMES), rng.choice(THINGS), rng.randint(2, 20), rng.randint(2, 20)
    return f"{name} has {a} {thing} and gets {b} more. How many {thing} does {name} have now?", a + b


def _both(rng: Random) -> tuple[str, int]:
    (one, other), thing, a, b = rng.sample(NAMES, 2), rng.choice(THINGS), rng.randint(2, 20), rng.randint(2, 20)
    return f"{one} has {a} {thing} and {other} has {b} {thing}. How many {thing} do they have together?", a + b


def _fewer(rng: Random) -> tuple[str, int]:
    name, thing, a = rng.choice(NAMES), rng.choice(THINGS), rng.randint(5, 20)
    b = rng.randint(2, a - 2)
    return f"{name} has {a} {thing} and gives away {b} of them. How many {thing} does {name} have left?", a - b


def _rest(rng: Random) -> tuple[str, int]:
    thing, (box, _), a = rng.choice(THINGS), rng.choice(BOXES), rng.randint(5, 20)
    b = rng.randint(2, a - 2)
    return (
        f"There are {a} {thing} in a {box}. {b} of them are taken out. How many {thing} are still in the {box}?",
        a - b,
    )


def _times(rng: Random) -> tuple[str, int]:
    thing, (box, boxes), a, b = rng.choice(THINGS), rng.choice(BOXES), rng.randint(2, 9), rng.randint(2, 12)
    return f"Each {box} holds {b} {thing}. How many {thing} are in {a} {boxes}?", a * b


def _cost(rng: Random) -> tuple[str, int]:
    ware, a, b = rng.choice(WARES), rng.randint(2, 9), rng.randint(2, 12)
    return f"A {ware} costs ${b}. How many dollars do {a} of them cost?", a * b


def _older(rng: Random) -> tuple[str, int]:
    one, other = rng.sample(NAMES, 2)
    a, b = rng.randint(4, 20), rng.randint(2, 12)
    return f"{one} is {a} years old. {other} is {b} years older than {one}. How old is {other}?", a + b


FAMILIES = (_more, _both, _fewer, _rest, _times, _cost, _older)
