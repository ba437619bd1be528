"""Given responses, judged and voted on: best-of-N for candidates that were drawn elsewhere.

Nothing is generated. Responses that begin with the same steps are judged together for as long as they agree: each is
judged up to where the others leave it, then on, so that a shared prefix is one request to the verifier.

Source: Snell et al. 2024 (2408.03314), section 5.1, for the choice among N responses.
Beyond the source: a verifier that gives one verdict for each call is asked after every step, so that each step has a
score of its own.
"""

from collections.abc import Awaitable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from models.interfaces import Step
from search.candidate import Candidate
from search.expander import Expander, in_order
from search.voting import Ballot, Selection

Response = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """Judge responses and vote.

    Attributes:
        responses: At least one.
        selection: How the answer is chosen among them.
        is_judged: Whether the verifier judges them; a majority can do without.
        is_step_by_step: Whether each step is judged by a call of its own.
    """

    responses: tuple[Response, ...]
    selection: Selection = Selection.WEIGHTED
    is_judged: bool = True
    is_step_by_step: bool = False

    @property
    def n(self) -> int:
        """N, the number of responses."""
        return len(self.responses)

    @property
    def needs_verifier(self) -> bool:
        """Whether responses are judged."""
        return self.is_judged

    async def search(self, expander: Expander, ballot: Ballot[Candidate]) -> None:
        """Judge the responses and cast their votes, in their order."""
        async with aclosing(in_order(self._judge_all(expander))) as judged:
            async for candidate in judged:
                if candidate:
                    ballot.cast(candidate)

    def _judge_all(self, expander: Expander) -> Iterator[Awaitable[Candidate | None]]:
        lengths = self._step_by_step() if self.is_step_by_step else partings(self.responses)

        async def judge(number: int) -> Candidate | None:
            candidate: Candidate | None = Candidate(path=(number,))
            for length in lengths[number]:
                steps = self.responses[number][:length]
                candidate = candidate and await expander.judge(replace(candidate, steps=steps))
            return candidate

        return map(judge, range(self.n))

    def _step_by_step(self) -> list[list[int]]:
        return [[*range(1, len(response) + 1)] for response in self.responses]


def partings(responses: Sequence[Response]) -> list[list[int]]:
    """Return, for each response, after how many steps fewer others go on as it does; the last is its length."""
    places: dict[tuple[int, tuple[int, ...]], int] = {}  # of a step in the tree, by the place before it and its tokens
    num_through: list[int] = []
    ways = []
    for response in responses:
        place, way = -1, []
        for step in response:
            place = places.setdefault((place, step.token_ids), len(places))
            if place == len(num_through):
                num_through.append(0)
            num_through[place] += 1
            way.append(place)
        ways.append(way)
    return [_partings([num_through[place] for place in way]) for way in ways]


def _partings(numbers: Sequence[int]) -> list[int]:
    shared = [length for length in range(1, len(numbers)) if numbers[length] != numbers[length - 1]]
    return [*shared, len(numbers)]
