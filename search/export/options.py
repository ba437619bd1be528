"""What may be asked of an export, and what comes of a response: a row, or the reason why there is none."""

from dataclasses import dataclass
from typing import Any

from models.interfaces import DELIMITER
from models.labels.response import OURS, RIGHT_FROM
from search.export.population import Population, Response

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that makes no row.

    Attributes:
        reason: In words that stand for all that are left out for it.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Options:
    """Which rows are made, and how they look.

    Attributes:
        min_score: Least score of a response, or of the chosen one of a pair.
        max_score: Largest score of a response, or of the rejected one of a pair.
        margin: Least difference of the scores of a pair.
        threshold: Least score of a step that counts as right.
        correct_only: Only what is right by the known answer; of a pair the chosen one, and the rejected one is wrong.
        as_messages: Whether texts are messages of a chat.
    """

    min_score: float | None = None
    max_score: float | None = None
    margin: float = 0.0
    threshold: float = RIGHT_FROM
    correct_only: bool = False
    as_messages: bool = True

    def fault(self, response: Response) -> LeftOut | None:
        """Say why a response makes no row; None where it does."""
        if self.correct_only and response.is_correct is not True:
            return LeftOut("the answer is wrong" if response.is_correct is False else "the right answer is not known")
        if self.min_score is not None and (response.score is None or response.score < self.min_score):
            return LeftOut("the score is below --min-score")
        if self.max_score is not None and (response.score is None or response.score > self.max_score):
            return LeftOut("the score is above --max-score")
        return None


def provenance(population: Population, **own: Any) -> Row:
    """Return the column that says where a row comes from, and what is known of it."""
    told = {"problem": population.problem, "answer": population.gold, "system_prompt": population.system_prompt}
    return {OURS: told | dict(population.provenance) | own}


def prompt_of(population: Population, options: Options, prefix: str = "") -> list[dict[str, str]] | str:
    """Return what is asked: messages, or one text that ends where the response goes on."""
    system = population.system_prompt
    if not options.as_messages:
        return DELIMITER.join([*([system] if system else []), population.problem, prefix])
    messages = [{"role": "system", "content": system}] if system else []
    return [*messages, {"role": "user", "content": population.problem}]


def completion_of(text: str, options: Options, prefix: str = "") -> list[dict[str, str]] | str:
    """Return what is answered behind `prefix`; a message is whole, since a chat template ends every message."""
    return [{"role": "assistant", "content": prefix + text}] if options.as_messages else text
