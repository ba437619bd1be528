"""How responses fall out: the lengths of their steps, the verifier's scores, the answers.

`DrawnLaw` draws them from a few numbers, for models that are not here; `RecordedLaw` from responses that a model gave.
They know nothing of time.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

from models.interfaces import Finish, Problem, Step
from search.answers.answer import Answer

BOX = "\\boxed{"
NUM_WRONG = 12
"""Wrong answers that responses to a problem may give."""


@dataclass(frozen=True, slots=True)
class ScoredStep(Step):
    """A step, and what the verifier will say of it.

    The text is a name that no other step has, unless it is the same step after the same prefix; the last one of a
    response has the answer, too.
    """

    score: float = 0.0


class Law(Protocol):
    """Draws problems, and steps that follow others."""

    def problem(self, number: int) -> Problem:
        """Return one of the problems; its text is its name."""

    def prompt_tokens(self, problem: Problem) -> int:
        """Return how long its prompt is."""

    def step(self, problem: Problem, prefix: Sequence[Step], seed: int) -> ScoredStep:
        """Draw the step after a prefix; the same seed draws the same, whatever else the fleet does."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What responses look like.

    Attributes:
        prompt_tokens: Of a problem.
        step_tokens: Of a step in the mean; their standard deviation is half of it.
        min_steps, max_steps: Of a response; each number is as likely as another.
        accuracy: Probability that a response is right.
    """

    prompt_tokens: int = 150
    step_tokens: int = 60
    min_steps: int = 3
    max_steps: int = 9
    accuracy: float = 0.4

    @property
    def response_tokens(self) -> float:
        """Of a response in the mean."""
        return self.step_tokens * (self.min_steps + self.max_steps) / 2


class DrawnLaw:
    """Responses of a shape, all different; scores are uniform, and say how probable it is that the answer is right."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    def problem(self, number: int) -> Problem:
        return Problem(f"problem {number}")

    def prompt_tokens(self, problem: Problem) -> int:
        return self.shape.prompt_tokens

    def step(self, problem: Problem, prefix: Sequence[Step], seed: int) -> ScoredStep:
        shape, place, dice = self.shape, len(prefix) + 1, _dice(problem, prefix, seed)
        left = shape.max_steps - place + 1
        is_last = place >= shape.min_steps and dice.random() * left < 1
        num_tokens = max(round(dice.gammavariate(4, shape.step_tokens / 4)), 4)
        name, score = dice.getrandbits(60), dice.random()
        text = f"{name} "
        if is_last:
            is_right = dice.random() < 2 * shape.accuracy * score
            text += f"{BOX}{'right' if is_right else dice.randrange(NUM_WRONG)}}}"
        finish = Finish.END if is_last else Finish.STEP
        return ScoredStep(text, (name,) * num_tokens, finish, score=score)


@dataclass(frozen=True, slots=True)
class Response:
    """A response that was recorded.

    Attributes:
        steps: Texts of its steps.
        sizes: Their numbers of tokens.
        scores: The verifier's.
        answer: A name of what it answers; None where it answers nothing.
    """

    steps: tuple[str, ...]
    sizes: tuple[int, ...]
    scores: tuple[float, ...]
    answer: str | None


@dataclass(frozen=True, slots=True)
class Record:
    """A problem with responses to it.

    Attributes:
        name: Of the problem.
        prompt_tokens: Of it.
        responses: Drawn independently.
    """

    name: str
    prompt_tokens: int
    responses: tuple[Response, ...]


class RecordedLaw:
    """What comes after a prefix is the next step of any response recorded that is long enough; equal ones stay equal.

    Problems come in turn, again and again, each time under a name of its own.
    """

    def __init__(self, records: Sequence[Record], seed: int = 0) -> None:
        self._records: Mapping[str, Record] = {record.name: record for record in records}
        self._names = [record.name for record in records]
        self._seed = seed
        self._ids: dict[str, int] = {}

    def problem(self, number: int) -> Problem:
        return Problem(f"{number}|{self._names[number % len(self._names)]}")

    def prompt_tokens(self, problem: Problem) -> int:
        return self._record(problem).prompt_tokens

    def step(self, problem: Problem, prefix: Sequence[Step], seed: int) -> ScoredStep:
        place = len(prefix)
        before = prefix[-1].text if prefix else problem.text
        longer = [each for each in self._record(problem).responses if len(each.steps) > place]
        # Whoever wrote the same step before is likelier to say how it goes on than whoever wrote another.
        alike = [each for each in longer if place and before.endswith(f"|{each.steps[place - 1]}")] or longer
        response = _dice(problem, prefix, seed + self._seed).choice(alike)
        is_last = place + 1 == len(response.steps)
        name = f"{self._id(before)}|{response.steps[place]}"
        text = f"{name}{BOX}{response.answer}}}" if is_last and response.answer is not None else name
        tokens = (self._id(text),) * response.sizes[place]
        return ScoredStep(text, tokens, Finish.END if is_last else Finish.STEP, score=response.scores[place])

    def _record(self, problem: Problem) -> Record:
        return self._records[problem.text.partition("|")[2]]

    def _id(self, text: str) -> int:
        return self._ids.setdefault(text, len(self._ids))


def _dice(problem: Problem, prefix: Sequence[Step], seed: int) -> random.Random:
    return random.Random(crc32(problem.text.encode()) << 56 ^ seed << 8 ^ len(prefix))


class BoxReader:
    """Reads the answers that laws write."""

    async def read(self, response: str) -> Answer | None:
        text = response.rpartition(BOX)[2].removesuffix("}") if BOX in response else None
        return None if text is None else Answer(text, text)
