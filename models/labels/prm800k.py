"""PRM800K: a solution that grew step by step, and at each step the alternatives that were rated, too.

`question.problem`, and in `label.steps[]` the `completions[]` with `text` and `rating` (-1, 0, 1 or null); the solution
went on from `chosen_completion`, or from `human_completion`, which a labeller wrote. So a row is a tree: the chosen
steps are one response, and every other completion ends one of its own, behind steps that are labelled in the first.

Source: Lightman et al. 2023 (2305.20050), and the data set openai/prm800k. Neutral (0) counts as right, as
they found best for scoring.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from models.labels.response import (
    OURS,
    LabelledResponse,
    Row,
    checked,
    facts_of,
    response_of,
    separator_of,
    shown_facts,
)

FIELDS = frozenset({"question", "label"})
SOLVED = "solution"
"""Why labelling ended, of a response that was followed to its end."""

UNSOLVED = "found_error"


@dataclass(frozen=True, slots=True)
class _Completion:
    text: str
    rating: int | None = None


@dataclass(frozen=True, slots=True)
class _Step:
    completions: list[_Completion] | None = None
    human_completion: _Completion | str | None = None
    chosen_completion: int | None = None

    def chosen(self) -> _Completion | None:
        """Return what the solution went on from; None where it ends."""
        if self.chosen_completion is not None:
            if not self.completions or not 0 <= self.chosen_completion < len(self.completions):
                raise ValueError(f"chosen_completion: there is no completion {self.chosen_completion}")
            return self.completions[self.chosen_completion]
        if self.human_completion is None:
            return None
        human = self.human_completion
        return _Completion(human if isinstance(human, str) else human.text, 1)

    def others(self) -> list[_Completion]:
        """Return what it did not go on from."""
        return [each for place, each in enumerate(self.completions or []) if place != self.chosen_completion]


@dataclass(frozen=True, slots=True)
class _Labels:
    steps: list[_Step]
    finish_reason: str | None = None


@dataclass(frozen=True, slots=True)
class _Question:
    problem: str
    ground_truth_answer: str | None = None


@dataclass(frozen=True, slots=True)
class _Tree:
    question: _Question
    label: _Labels


_KIND = TypeAdapter(_Tree)


def read(row: Row) -> list[LabelledResponse]:
    """Return the response that was followed, if it has a label at its end, and one for each other completion.

    Raises:
        ValueError: A field is missing or cannot be used, or no completion is rated.
    """
    found, facts = checked(_KIND, {name: row.get(name) for name in FIELDS}), facts_of(row)
    facts = replace(facts, answer=facts.answer or found.question.ground_truth_answer)
    open_end = replace(facts, is_complete=False, ending=facts.separator)  # a solution could go on from there
    problem = found.question.problem
    texts: list[str] = []
    labels: list[float | None] = []
    responses: list[LabelledResponse] = []
    for step in found.label.steps:
        for other in step.others():
            if (label := _label(other)) is not None:
                own = [*[None] * len(texts), label]
                responses.append(response_of(problem, [*texts, other.text], own, open_end))
        if (chosen := step.chosen()) is None:
            break
        texts.append(chosen.text)
        labels.append(_label(chosen))
    is_whole = found.label.finish_reason == SOLVED and len(texts) == len(found.label.steps)
    while labels and labels[-1] is None:
        labels.pop()
    if labels:
        is_whole = is_whole and len(labels) == len(texts)
        ended = facts if is_whole or OURS in row else open_end
        responses.insert(0, response_of(problem, texts[: len(labels)], labels, ended))
    if not responses:
        raise ValueError("label.steps: no completion is rated")
    return responses


def write(responses: Sequence[LabelledResponse], threshold: float) -> list[Row]:
    """Return one row: the first response step by step, and among the completions of each step those of the others.

    Args:
        responses: The first one is chosen; each other one is a beginning of it and one further step.
        threshold: The least label that is rated 1; others are rated -1.
    """
    first, *others = responses
    separator = separator_of(first.steps)
    steps = []
    for place, text in enumerate(first.steps):
        beside = [each for each in others if len(each.steps) == place + 1]
        rated = [(text, first.labels[place]), *((each.steps[-1], each.labels[-1]) for each in beside)]
        completions = [_completion(own.removesuffix(separator), label, threshold) for own, label in rated]
        steps.append({"completions": completions, "human_completion": None, "chosen_completion": 0})
    question = {"problem": first.problem, "ground_truth_answer": first.answer}
    label = {"steps": steps, "finish_reason": SOLVED if first.is_complete else UNSOLVED}
    return [{"question": question, "label": label, OURS: shown_facts(first)}]


def _completion(text: str, label: float | None, threshold: float) -> Row:
    rating = None if label is None else 1 if label >= threshold else -1
    return {"text": text, "rating": rating, "flagged": None}


def _label(completion: _Completion) -> float | None:
    if completion.rating is None:
        return None
    if completion.rating not in (-1, 0, 1):
        raise ValueError(f"rating: {completion.rating} is no rating; allowed: -1, 0, 1 or null")
    return float(completion.rating >= 0)
