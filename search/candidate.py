"""A candidate: a response under construction, with the scores of its steps and its place in the search tree."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from models.interfaces import Finish, Step, num_thoughts, response_of
from search.answers.answer import Answer


@dataclass(frozen=True, slots=True)
class Candidate:
    """A response under construction. Immutable: siblings share the steps of their prefix.

    Attributes:
        path: Place in the tree: which child it is at each expansion; () is the root. Paths order candidates, and ties
            go to the earlier one.
        steps: The response so far.
        step_scores: The verifier's score of each step, in [0, 1], None of one that it does not judge; shorter than
            `steps` while some are not judged.
        score: Aggregation of the step scores; None before the first is judged.
        answer: What a complete response says the answer is; None before that, and when it says none.
        is_stopped: True when its growth was stopped because it could no longer be chosen.
    """

    path: tuple[int, ...] = ()
    steps: tuple[Step, ...] = ()
    step_scores: tuple[float | None, ...] = ()
    score: float | None = None
    answer: Answer | None = None
    is_stopped: bool = False

    @property
    def text(self) -> str:
        """The response so far, as the policy wrote it."""
        return "".join(step.text for step in self.steps)

    @property
    def num_thoughts(self) -> int:
        """Steps up to the last one that is of the thoughts."""
        return num_thoughts(self.steps)

    @property
    def is_thinking(self) -> bool:
        """Whether its last step is of the thoughts."""
        return bool(self.steps) and self.steps[-1].is_thinking

    @property
    def thinking(self) -> str | None:
        """The thoughts, and what stands between them; None without any."""
        return "".join(step.text for step in self.steps[: self.num_thoughts]).strip() or None

    @property
    def response(self) -> str:
        """What stands behind the thoughts, and alone states an answer."""
        return response_of(self.steps)

    @property
    def num_tokens(self) -> int:
        """Tokens of the response so far."""
        return sum(len(step.token_ids) for step in self.steps)

    @property
    def num_shown_tokens(self) -> int:
        """Tokens of what stands behind the thoughts."""
        return sum(len(step.token_ids) for step in self.steps[self.num_thoughts :])

    @property
    def finish(self) -> Finish | None:
        """Why its last step ended; None without steps."""
        return self.steps[-1].finish if self.steps else None

    @property
    def is_complete(self) -> bool:
        """True when the policy itself ended the response."""
        return self.finish is Finish.END

    @property
    def is_growing(self) -> bool:
        """True when another step may follow: it is neither complete, nor truncated, nor stopped."""
        return self.finish in (None, Finish.STEP) and not self.is_stopped

    @property
    def is_final(self) -> bool:
        """True when it grew to an end: it is complete or truncated."""
        return self.finish in (Finish.END, Finish.LENGTH)

    @property
    def unjudged_steps(self) -> tuple[Step, ...]:
        """Steps the verifier has not judged."""
        return self.steps[len(self.step_scores) :]

    def children(self, indices: Iterable[int]) -> "list[Candidate]":
        """Return the children `indices`: each starts as this one and grows on its own."""
        return [self.child(index) for index in indices]

    def child(self, index: int) -> "Candidate":
        """Return the candidate that starts as this one and grows on its own."""
        return replace(self, path=(*self.path, index))

    def extend(self, step: Step) -> "Candidate":
        """Return the candidate grown by one step, which is not judged yet."""
        return replace(self, steps=(*self.steps, step))
