"""The responses to one problem, with what is known of each: what every exported row is made of.

A stored search is one, and so are the labelled responses to a problem, whose labels stand for scores.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from models.interfaces import Finish
from models.labels.response import RIGHT_FROM, LabelledResponse
from search.stored import StoredNode, StoredSearch, StoredStep

PROVENANCE = ("policy", "verifier", "version", "commit", "strategy", "n", "seed", "temperature", "source")
"""What every row says of where it comes from; null where nobody knows."""


@dataclass(frozen=True, slots=True)
class Response:
    """A response, whole or as far as it came.

    Attributes:
        steps: Behind the thoughts, with their scores.
        score: Of all of it; None where it was not judged.
        is_complete: Whether the policy ended it.
        answer: What it states; None for nothing.
        is_correct: Whether that is right; None where the right answer is not known.
        thinking: The thoughts before it; None without any.
        labelled: What it was read from, where that is a labelled response.
    """

    steps: tuple[StoredStep, ...]
    score: float | None
    is_complete: bool
    answer: str | None = None
    is_correct: bool | None = None
    thinking: str | None = None
    labelled: LabelledResponse | None = None

    @property
    def text(self) -> str:
        """What stands behind the thoughts."""
        return "".join(step.text for step in self.steps)


@dataclass(frozen=True, slots=True)
class Population:
    """The responses to one problem.

    Attributes:
        problem: What was asked.
        system_prompt: Instruction to the policy; None where there was none, or nobody knows.
        gold: A right answer, where one is known.
        responses: In the order of their places.
        chosen: The one that was chosen; None where none was.
        is_flat: Whether they are independent of each other.
        provenance: Where they come from, under the names of `PROVENANCE`.
        family: Kind of the problem, where that is known.
    """

    problem: str
    system_prompt: str | None
    gold: str | None
    responses: tuple[Response, ...]
    chosen: Response | None
    is_flat: bool
    provenance: Mapping[str, Any]
    family: str | None = None

    @property
    def complete(self) -> tuple[Response, ...]:
        """The responses that the policy ended, those that say the same once."""
        found: dict[str, Response] = {}
        for response in self.responses:
            if response.is_complete:
                found.setdefault(response.text, response)
        return tuple(found.values())


def of_search(stored: StoredSearch, correct: Mapping[str, bool], source: str) -> Population:
    """Return the responses of a stored search, those that were not continued, too.

    Args:
        stored: The search.
        correct: Of its answers, which are right; empty where nobody knows.
        source: Names the file.
    """
    leaves = {leaf.path: _response(stored, leaf, correct) for leaf in stored.leaves}
    found = stored.chosen
    chosen = leaves[found.path] if found else _chosen_alone(stored, correct)
    told = {name: stored.strategy.get(name) for name in ("n", "seed", "temperature")}
    made = {name: stored.made.get(name) for name in ("policy", "verifier", "version", "commit")}
    return Population(
        problem=stored.problem,
        system_prompt=stored.system_prompt,
        gold=stored.golds[0] if stored.golds else None,
        responses=tuple(leaves.values()),
        chosen=chosen,
        is_flat=stored.is_flat,
        provenance=made | told | {"strategy": stored.name, "source": source},
    )


def of_labels(responses: Sequence[LabelledResponse], source: str) -> Population:
    """Return labelled responses to one problem; the last label of each is its score, and says whether it is right.

    A step without a label has that of another response that begins in the same way.
    """
    known: dict[tuple[str, ...], float] = {}
    for response in responses:
        for place, label in enumerate(response.labels, start=1):
            if label is not None:
                known.setdefault(response.steps[:place], label)
    first, found = responses[0], tuple(_labelled(response, known) for response in responses)
    return Population(
        problem=first.problem,
        system_prompt=first.system_prompt,
        gold=first.answer,
        responses=found,
        chosen=max((each for each in found if each.is_complete), key=lambda each: each.score or 0.0, default=None),
        is_flat=True,
        provenance=dict.fromkeys(PROVENANCE) | {"source": source},
        family=first.family,
    )


def _response(stored: StoredSearch, leaf: StoredNode, correct: Mapping[str, bool]) -> Response:
    steps = stored.steps_to(leaf.path)
    thoughts = "".join(step.text for step in steps if step.is_thinking).strip()
    is_correct = correct.get(leaf.answer, False) if leaf.answer is not None else False
    return Response(
        steps=tuple(step for step in steps if not step.is_thinking),
        score=leaf.score,
        is_complete=leaf.finish is Finish.END,
        answer=leaf.answer,
        is_correct=is_correct if stored.golds else None,
        thinking=thoughts or None,
    )


def _chosen_alone(stored: StoredSearch, correct: Mapping[str, bool]) -> Response | None:
    """The chosen response of a search of which no more was kept."""
    if stored.response is None:
        return None
    is_correct = stored.answer is not None and correct.get(stored.answer, False)
    step = StoredStep(stored.response, stored.score)
    known = is_correct if stored.golds else None
    return Response((step,), stored.score, stored.answer is not None, stored.answer, known, stored.thinking)


def _labelled(response: LabelledResponse, known: Mapping[tuple[str, ...], float]) -> Response:
    labels = tuple(known.get(response.steps[:place]) for place in range(1, len(response.steps) + 1))
    labels = (*labels[:-1], response.labels[-1])
    steps = tuple(StoredStep(text, label) for text, label in zip(response.steps, labels, strict=True))
    score = response.known_labels[-1]
    whole = replace(response, labels=labels)
    return Response(steps, score, response.is_complete, is_correct=score >= RIGHT_FROM, labelled=whole)


def siblings(population: Population) -> Iterator[tuple[tuple[StoredStep, ...], list[Response]]]:
    """Yield every prefix behind which responses go on with different steps, and for each step one of them.

    Steps that say the same are one, that of the earliest response.
    """
    behind: dict[tuple[str, ...], dict[str, Response]] = {}
    for response in population.responses:
        texts = tuple(step.text for step in response.steps)
        for place, text in enumerate(texts):
            behind.setdefault(texts[:place], {}).setdefault(text, response)
    for prefix, found in behind.items():
        if len(found) > 1:
            responses = list(found.values())
            yield responses[0].steps[: len(prefix)], responses
