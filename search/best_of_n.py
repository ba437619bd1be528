"""Best-of-N and its kin: N independent responses, then one vote.

All N responses are sampled at the same time, each to its own end, and judged as they end. `selection` makes three
strategies of one procedure: the answer given most often (majority, or self-consistency, which judges nothing), the
answer of the best response (best-of-N), or the answer with the largest sum of scores (weighted best-of-N).

Source: Wang et al. 2022 (self-consistency, 2203.11171); Cobbe et al. 2021 (2110.14168), section 4; Snell et al. 2024
(2408.03314), section 5.1, and the Hugging Face blog "Scaling test-time compute with open models".
Beyond the source: exact early stopping. Votes are cast in the order of the candidates, not of their arrival, so that
the same seed casts the same votes; once those outstanding cannot change the answer, they are stopped. Where a score can
only fall (min, prod), best-of-N also judges every step as it comes, and stops a response that is already below the best
complete one. With `keep` below 1 the responses with the lowest scores do not vote (`voting.kept`): all must be there
before that can be said, so none is stopped.
complete one. Probable stopping (search/stopping.py) draws the responses in waves.
"""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass

from search.candidate import Candidate
from search.errors import HyperparameterError
from search.expander import Expander, in_order
from search.stopping import EarlyStop, Forecast, Probable, refuse_tournament
from search.voting import Ballot, Selection, kept, refuse_share, voted
from search.waves import cast_in_waves


@dataclass(frozen=True, slots=True)
class BestOfN:
    """Sample N responses and vote.

    Attributes:
        n: N, responses sampled, at least 1.
        selection: How the answer is chosen among them.
        early_stop: Which responses to leave out: those that cannot, or probably do not, change the answer.
        keep: Share of the responses, those with the highest scores, that vote by weight, in (0, 1].
    """

    n: int
    selection: Selection = Selection.WEIGHTED
    early_stop: EarlyStop = True
    keep: float = 1.0

    def __post_init__(self) -> None:
        """Refuse hyperparameters that make no search."""
        if self.n < 1:
            raise HyperparameterError("n", f"a budget of {self.n} is too small: at least 1")
        refuse_share("keep", self.keep)
        refuse_tournament(self.early_stop, self.selection)
        if self.keep < 1 and self.selection is not Selection.WEIGHTED:
            raise HyperparameterError("keep", f"{self.keep} changes weighted votes alone; omit it")
        if self.keep < 1 and isinstance(self.early_stop, Probable):
            raise HyperparameterError("keep", f"{self.keep} wants all responses; omit it, or set early_stop to exact")

    @property
    def needs_verifier(self) -> bool:
        """A majority counts answers and judges nothing."""
        return self.selection is not Selection.MAJORITY

    async def search(self, expander: Expander, ballot: Ballot[Candidate]) -> None:
        """Sample the responses and cast their votes."""
        respond = self._respond(expander)
        if self.keep < 1:
            children = Candidate().children(range(self.n))
            async with aclosing(in_order(map(respond, children))) as judged:
                judged_responses = [response async for response in judged if response]
            for response in kept(judged_responses, self.keep):
                ballot.cast(response)
        elif isinstance(self.early_stop, Probable):

            async def draw(index: int) -> list[Candidate]:
                candidate = await respond(Candidate().child(index))
                return [candidate] if candidate else []

            forecast = Forecast(self.early_stop, self.selection, self.n, before=ballot.votes())
            expander.stops.append(await cast_in_waves(ballot, draw, forecast))
        else:
            responses = map(respond, Candidate().children(range(self.n)))
            await cast_in_order(ballot, responses, self.n, early_stop=self.early_stop)

    def _respond(self, expander: Expander) -> Callable[[Candidate], Awaitable[Candidate | None]]:
        """Each response is judged at its end, or before that where it may be stopped."""
        judges_early = bool(self.early_stop) and self.selection is Selection.BEST and expander.aggregation.is_monotone
        best_score = 0.0

        def is_hopeless(candidate: Candidate) -> bool:
            return expander.ceiling(candidate) < best_score

        async def respond(child: Candidate) -> Candidate | None:
            nonlocal best_score
            candidate = await expander.respond(child, is_hopeless if judges_early else None)
            if candidate and voted(candidate):
                best_score = max(best_score, candidate.score or 0.0)
            return candidate

        return respond


async def cast_in_order(
    ballot: Ballot[Candidate], responses: Iterable[Awaitable[Candidate | None]], number: int, *, early_stop: bool
) -> None:
    """Cast the votes of `number` responses in their order; stop the rest once they can no longer change the answer."""
    async with aclosing(in_order(responses)) as judged:
        outstanding = number
        async for candidate in judged:
            outstanding -= 1
            if candidate:
                ballot.cast(candidate)
            if ballot.may_end([1.0] * outstanding, early_stop=early_stop):
                return
