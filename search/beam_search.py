"""Beam search against a process reward model: spend the budget on the most promising prefixes.

Sample N first steps and judge them. Keep the N/M best, sample M next steps of each survivor, judge those, and so on: N
candidates are in flight at every step. After `max_steps` steps the rest run to their end. A candidate is complete when
the policy ends it; the answer is chosen among the complete.

Source: Snell et al. 2024 (2408.03314), section 5.2, "Beam search".
Beyond the source: a complete candidate leaves the beam and takes its place in the budget with it. With c complete,
(N - c) // M survive, at least one while c < N, and a single survivor has at most N - c children: complete and in flight
together never exceed N. The survivors of a step wait for all of its candidates; nothing else waits. The search ends
early when no score of the N - c candidates outstanding can change the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from search.candidate import Candidate
from search.expander import Expander
from search.tree import refuse_nonsense
from search.voting import Ballot, Selection


@dataclass(frozen=True, slots=True)
class BeamSearch:
    """Keep the N/M best of N candidates at every step.

    Attributes:
        n: N, the budget: candidates in flight and complete together.
        beam_width: M, children of each survivor; divides N. With N = 1 it has no meaning.
        max_steps: Steps, at least 1; the last runs to the end of the response.
        lookahead: k, greedy steps rolled out before a step is judged.
        selection: How the answer is chosen among complete candidates.
        early_stop: Whether to end the search when nothing can change the answer.
    """

    n: int
    beam_width: int = 4
    max_steps: int = 40
    lookahead: int = 0
    selection: Selection = Selection.WEIGHTED
    early_stop: bool = True

    def __post_init__(self) -> None:
        """Refuse hyperparameters that make no search."""
        refuse_nonsense(self.n, self.beam_width, self.max_steps, self.lookahead)

    @property
    def needs_verifier(self) -> bool:
        """Survivors are chosen by score."""
        return True

    async def search(self, expander: Expander, ballot: Ballot[Candidate]) -> None:
        """Grow the beam until all of it is complete, and cast its votes."""
        beam: Sequence[Candidate] = [Candidate()]
        width = room = self.n
        for _ in range(self.max_steps - 1):
            children = await expander.expand(_children(beam, width), self.lookahead)
            for child in children:
                ballot.cast(child)
            room -= sum(child.is_complete for child in children)
            width = min(self.beam_width, room)
            alive = [child for child in children if child.is_growing]
            beam = expander.keep(max(room // self.beam_width, 1), alive)
            if not beam or ballot.may_end(_ceilings(expander, beam, room), early_stop=self.early_stop):
                return
        for child in await expander.roll_out(_children(beam, width)):
            ballot.cast(child)


def _ceilings(expander: Expander, beam: Sequence[Candidate], room: int) -> list[float]:
    return [max(expander.ceiling(candidate) for candidate in beam)] * room


def _children(beam: Sequence[Candidate], width: int) -> list[Candidate]:
    return [child for parent in beam for child in parent.children(range(width))]
