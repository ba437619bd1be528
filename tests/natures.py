"""The laws of toy worlds: what follows a prefix, and what a response is worth.

A `Tree` is a script: the i-th draw after a prefix takes the i-th branch there. `Chance` is a seeded world of random
shape, in which a draw depends on its prefix and its seed alone and a score on the text alone, so that neither the order
of calls nor their number matters.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from models.interfaces import DELIMITER, Finish, Sampling, Step

THOUGHT = "Hm"
"""What the thoughts of a world that thinks begin with, each of their steps."""


class Nature(Protocol):
    """The laws of a world."""

    def draw(self, prefix: Sequence[Step], sampling: Sampling) -> tuple[str, Finish]: ...

    def judge(self, steps: Sequence[Step]) -> float: ...


@dataclass(frozen=True, slots=True)
class Branch:
    """A step of a scripted tree, its score, and what may follow it."""

    text: str
    finish: Finish
    score: float
    then: tuple["Branch", ...] = ()


def step(text: str, score: float, *then: Branch) -> Branch:
    return Branch(text + DELIMITER, Finish.STEP, score, then)


def end(text: str, score: float) -> Branch:
    return Branch(text, Finish.END, score)


def answer(text: str, score: float) -> Branch:
    return end(rf"\boxed{{{text}}}", score)


def cut(text: str) -> Branch:
    return Branch(text, Finish.LENGTH, score=1.0)


class Tree:
    """A script. Draws take the branches in turn, over and over; a greedy draw takes the first."""

    def __init__(self, *branches: Branch) -> None:
        self._root = Branch("", Finish.STEP, 0.0, branches)
        self._turns: Counter[str] = Counter()

    def draw(self, prefix: Sequence[Step], sampling: Sampling) -> tuple[str, Finish]:
        branches, turn = self._find(prefix).then, 0
        if sampling.temperature > 0:
            text = "".join(step.text for step in prefix)
            turn = self._turns[text]
            self._turns[text] += 1
        branch = branches[turn % len(branches)]
        return branch.text, branch.finish

    def judge(self, steps: Sequence[Step]) -> float:
        return self._find(steps).score

    def _find(self, steps: Sequence[Step]) -> Branch:
        branch = self._root
        for step in steps:
            branch = next(child for child in _shown(branch) if child.text == step.text)
        return branch


def _shown(branch: Branch) -> Iterator[Branch]:
    """What follows a branch, and what follows it for a verifier that is shown no thoughts."""
    for child in branch.then:
        yield child
        if child.text.startswith(THOUGHT):
            yield from _shown(child)


class Chance:
    """A random world that repeats itself: few words, few answers, few scores, so that ties and copies are common."""

    ANSWERS = ("0.5", "1/2", r"\frac12", "2", "3")

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def draw(self, prefix: Sequence[Step], sampling: Sampling) -> tuple[str, Finish]:
        texts = [step.text for step in prefix]
        dice = random.Random(repr((self._seed, texts, sampling.temperature and sampling.seed)))
        match dice.choices(["step", "answer", "rest", "blank"], [5, 1 + len(texts), 1, len(texts) / 4])[0]:
            case "step":
                return dice.choice("abc") * dice.randint(1, 3) + DELIMITER, Finish.STEP
            case "answer":
                return rf"\boxed{{{dice.choice(self.ANSWERS)}}}", Finish.END
            case "rest":
                return "no idea", Finish.END
            case _:
                return "", Finish.END

    def judge(self, steps: Sequence[Step]) -> float:
        texts = [step.text for step in steps]
        return random.Random(repr((self._seed, texts))).choice((0.0, 0.3, 0.6, 0.6, 0.9, 1.0))
