"""Test-time training, then best-of-N: the verifier learns from the N responses before it judges them.

N responses are sampled, each to its own end. A copy of the verifier then takes a few gradient steps on all of them,
without labels, and judges them; it is gone when the search ends.

Source: Sun et al. 2020 (test-time training, 1909.13231), for learning from the test input itself; Cobbe et al. 2021
(2110.14168), section 4, for best-of-N.
Beyond the source: what learns is the verifier, and its input are the policy's responses. All of them are a lesson,
truncated ones too. Votes are cast in order; once those outstanding cannot change the answer, they are not judged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from models.interfaces import Meter, Problem, Step, Verifier
from search.best_of_n import cast_in_order
from search.candidate import Candidate
from search.errors import HyperparameterError
from search.expander import Expander
from search.observer import Decision
from search.voting import Ballot, Selection


class Lesson(Protocol):
    """How the weights fared that learnt."""

    @property
    def losses(self) -> tuple[float, ...]:
        """Before each gradient step and after the last."""

    @property
    def drift(self) -> float | None:
        """Norm of the change of the weights, relative to theirs; None where it is not finite."""

    @property
    def is_finite(self) -> bool:
        """False where NaN or infinity appeared; then nothing was changed."""


@runtime_checkable
class AdaptableVerifier(Verifier, Protocol):
    """A verifier that can learn from the responses to a problem."""

    async def adapted(
        self,
        problem: Problem,
        responses: Sequence[Sequence[Step]],
        steps: int,
        learning_rate: float,
        meter: Meter,
    ) -> tuple[Verifier, Lesson]:
        """Make the verifier of one request; this one stays as it is.

        Args:
            problem: What the responses answer.
            responses: They need no labels.
            steps: Gradient steps, 1 to 5.
            learning_rate: Of each, .001 to .1.
            meter: Where the tokens learnt from are counted, once for each time they are read.

        Returns:
            The adapted verifier, and how it went; this verifier itself where nothing could be learnt.

        Raises:
            EngineUnavailableError: The model failed.
        """


@dataclass(frozen=True, slots=True)
class TTTBestOfN:
    """Sample N responses, let the verifier learn from them, and vote.

    Attributes:
        n: N, responses sampled, at least 1.
        adapt_steps: Gradient steps, 1 to 5.
        adapt_learning_rate: Of each, .001 to .1.
        selection: How the answer is chosen: by weight or the best.
        early_stop: Whether to leave responses unjudged that can no longer change the answer.
    """

    n: int
    adapt_steps: int = 1
    adapt_learning_rate: float = 0.01
    selection: Selection = Selection.WEIGHTED
    early_stop: bool = True

    def __post_init__(self) -> None:
        """Refuse hyperparameters that make no search."""
        if self.n < 1:
            raise HyperparameterError("n", f"a budget of {self.n} is too small: at least 1")
        if self.selection is Selection.MAJORITY:
            raise HyperparameterError("selection", "a majority judges nothing, so no verifier can adapt")

    @property
    def needs_verifier(self) -> bool:
        """It learns, and judges."""
        return True

    async def search(self, expander: Expander, ballot: Ballot[Candidate]) -> None:
        """Sample, learn, judge, and cast the votes.

        Raises:
            HyperparameterError: The verifier cannot learn.
        """
        pupil = expander.models.verifier
        if not isinstance(pupil, AdaptableVerifier):
            raise HyperparameterError("strategy", UNABLE)
        responses = await expander.judged_by(None).roll_out(Candidate().children(range(self.n)))
        lesson = [tuple(filter(expander.is_judged, response.steps)) for response in responses]
        verifier, outcome = await pupil.adapted(
            expander.problem, lesson, self.adapt_steps, self.adapt_learning_rate, expander.meter
        )
        expander.tell(_decision(outcome))
        judge = expander.judged_by(verifier).judge
        judged = (judge(response) for response in responses)
        await cast_in_order(ballot, judged, len(responses), early_stop=self.early_stop)


UNABLE = "the verifier of this service cannot learn from responses; WINNOW_VERIFIER_FORMAT=torch makes one that can"


def _decision(lesson: Lesson) -> Decision:
    values = {"losses": list(lesson.losses), "drift": lesson.drift, "is_finite": lesson.is_finite}
    return Decision(values, "the verifier learnt from the responses before it judged them")
