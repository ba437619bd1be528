"""Stories: "Ana has 5 pens. She buys 4 bags of 3 pens. ... How many pens has she now?" One event a step."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import ClassVar, NamedTuple, Self

from typing_extensions import override

from models.prm.checkers.expressions import evaluate
from models.training.demo.tasks.exercise import Exercise, Move, Temptation

_PEOPLE = (("Ana", "She"), ("Ben", "He"), ("Cleo", "She"), ("Dan", "He"))
_ITEMS = ("pens", "cards", "shells", "apples")
_CLAIM = re.compile(r"(?P<value>\d+)(?: [a-z]+)?")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens, or is mentioned, in a story.

    Attributes:
        sentence: How the story tells it, with {who} and {items} to fill in.
        name: Title of the step about it.
        right: Operations on the count before it, "v"; "p" is the result of the operation before. None changes nothing.
        wrong: The same by misconception; empty if nobody errs here.
        probability: Of the misconception.
    """

    sentence: str
    name: str
    right: tuple[str, ...]
    wrong: tuple[str, ...] = ()
    probability: float = 0.0


class Page(NamedTuple):
    """How far the story is read, and the count there."""

    num_read: int
    total: int


@dataclass(frozen=True, slots=True)
class Story(Exercise[Page]):
    """A count that events change; the state is the count so far."""

    family: ClassVar[str] = "story"
    who: tuple[str, str]
    other: str
    items: str
    count: int
    events: tuple[Event, ...]

    @classmethod
    @override
    def propose(cls, rng: Random, level: int) -> Self:
        who, other = rng.sample(_PEOPLE, 2)
        tempting = rng.choices((_bags, _daily, _empty, _price), k=level - 1)
        plain = [_plain] if rng.random() < 0.7 else []
        middle = [*tempting, *plain]
        rng.shuffle(middle)
        events = [kind(rng) for kind in (*middle, rng.choice((_fewer, _bags, _daily, _empty)))]
        return cls(who, other[0], rng.choice(_ITEMS), rng.randint(2, 30), tuple(events))

    @property
    @override
    def problem(self) -> str:
        name, pronoun = self.who
        told = " ".join(event.sentence for event in self.events)
        asked = f"has {self.other}" if "{other}" in told else f"does {name} have now"
        text = f"{name} has {self.count} {{items}}. {told} How many {{items}} {asked}?"
        return text.format(who=pronoun, items=self.items, other=self.other)

    @property
    @override
    def start(self) -> Page:
        return Page(0, self.count)

    @override
    def right_move(self, state: Page) -> Move[Page] | None:
        for num_read, event in enumerate(self.events[state.num_read :], state.num_read + 1):
            if event.right:
                return self._move(event.name, event.right, Page(num_read, state.total))
        return None

    @override
    def wrong_moves(self, state: Page) -> Iterator[Temptation[Page]]:
        for num_read, event in enumerate(self.events[state.num_read :], state.num_read + 1):
            if event.wrong:
                yield Temptation(event.probability, self._move(event.name, event.wrong, Page(num_read, state.total)))
            if event.right:
                break

    @override
    def result(self, state: Page) -> Fraction:
        return Fraction(state.total)

    @override
    def check(self, claim: str, progress: int) -> int | None:
        counts = self._right_counts()
        found = _CLAIM.fullmatch(claim)
        for reached in (progress + 1, progress):
            if found and 0 < reached < len(counts) and counts[reached] == int(found["value"]):
                return reached
        return None

    def _right_counts(self) -> list[int]:
        state, counts = self.start, [self.count]
        while move := self.right_move(state):
            state = move.state
            counts.append(state.total)
        return counts

    def _move(self, name: str, operations: tuple[str, ...], page: Page) -> Move[Page]:
        facts, result = [], 0
        for operation in operations:
            formula = operation.replace("v", str(page.total)).replace("p", str(result))
            result = int(evaluate(formula))
            facts.append(f"{formula} = {result}")
        return Move(name, tuple(facts), f"{result} {self.items}", page._replace(total=result))


def _bags(rng: Random) -> Event:
    k, m = rng.randint(2, 6), rng.randint(2, 9)
    return Event(
        f"{{who}} buys {k} bags of {m} {{items}}.",
        f"Buys {k} bags of {m}",
        (f"{k} * {m}", "v + p"),
        (f"{k} + {m}", "v + p"),
        0.4,
    )


def _daily(rng: Random) -> Event:
    k, m = rng.randint(2, 5), rng.randint(2, 6)
    return Event(
        f"{{who}} gives away {m} a day for {k} days.",
        f"Gives {m} for {k} days",
        (f"{k} * {m}", "v - p"),
        (f"v - {m}",),
        0.4,
    )


def _empty(rng: Random) -> Event:
    k, m, none = rng.randint(4, 7), rng.randint(2, 6), rng.randint(1, 3)
    return Event(
        f"{{who}} opens {k} boxes of {m} {{items}}, but {none} of the boxes turn out empty.",
        f"Opens {k} boxes of {m}",
        (f"{k} - {none}", f"p * {m}", "v + p"),
        (f"{k} * {m}", "v + p"),
        0.4,
    )


def _price(rng: Random) -> Event:
    cost = rng.randint(2, 30)
    return Event(f"That took {cost} minutes.", f"Took {cost}", (), (f"v + {cost}",), 0.3)


def _plain(rng: Random) -> Event:
    number = rng.randint(2, 20)
    if rng.random() < 0.5:
        return Event(f"{{who}} finds {number} more.", f"Finds {number}", (f"v + {number}",))
    return Event(f"{{who}} loses {number} of them.", f"Loses {number}", (f"v - {number}",))


def _fewer(rng: Random) -> Event:
    number = rng.randint(2, 20)
    word, right, wrong = rng.choice((("fewer", "+", "-"), ("more", "-", "+")))
    return Event(
        f"That is {number} {word} than {{other}} has.",
        f"{number} {word}",
        (f"v {right} {number}",),
        (f"v {wrong} {number}",),
        0.45,
    )
