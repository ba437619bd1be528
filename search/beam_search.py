"""Beam search against a process reward model: spend the budget on the most promising prefixes.

Sample N first steps and judge them. Keep the N/M best, sample M next steps of each survivor, judge those, and so on: N
candidates are in flight at every step. After `max_steps` steps the rest run to their end. A candidate is complete when
the policy ends it; the answer is chosen among the complete.

Source: Snell et al. 2024 (2408.03314), section 5.2, "Beam search".
Beyond the source: a complete candidate leaves the beam and takes its place in the budget with it. With c complete,
(N - c) // M survive, at least one while c < N, and a single survivor has at most N - c children: complete and in flight
together never exceed N. A candidate has children as soon as it surely survives: when it would be kept even if all that
are outstanding were better. The search ends early when no score of the N - c candidates outstanding can change the
answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from search.candidate import Candidate
from search.expander import Expander
from search.head_start import HeadStart
from search.tree import refuse_nonsense
from search.voting import Ballot, Selection, rank


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
        async with HeadStart(expander, self._grow, self.beam_width) as head_start:
            while beam:
                children = await head_start.grow(_children(beam, width), partial(self._survivors, room))
                for child in children:
                    ballot.cast(child)
                room = _left(room, children)
                width = min(self.beam_width, room)
                beam = expander.keep(max(room // self.beam_width, 1), _alive(children))
                if beam and ballot.may_end(_ceilings(expander, beam, room), early_stop=self.early_stop):
                    return

    async def _grow(self, expander: Expander, child: Candidate) -> Candidate | None:
        is_last = len(child.path) == self.max_steps
        return await (expander.respond(child) if is_last else expander.step(child, self.lookahead))

    def _survivors(self, room: int, children: Sequence[Candidate], outstanding: int) -> Sequence[Candidate]:
        """Return those that survive a round, whatever becomes of the candidates outstanding.

        One that is outstanding takes a better place or a place in the budget, not both: it costs one survivor at most.
        """
        number = _left(room, children) // self.beam_width - outstanding
        return rank(_alive(children))[:number] if number > 0 else ()


def _left(room: int, children: Sequence[Candidate]) -> int:
    return room - sum(child.is_complete for child in children)


def _alive(children: Sequence[Candidate]) -> list[Candidate]:
    return [child for child in children if child.is_growing]


def _ceilings(expander: Expander, beam: Sequence[Candidate], room: int) -> list[float]:
    return [max(expander.ceiling(candidate) for candidate in beam)] * room


def _children(beam: Sequence[Candidate], width: int) -> list[Candidate]:
    return [child for parent in beam for child in parent.children(range(width))]
