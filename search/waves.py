"""Draws the parts of a search a few at a time, so that a stop saves what was not drawn.

A part is a response or a subtree. Votes are cast in the order of the parts, so that the same seed casts the same votes.
As many parts grow at the same time as are still needed before the search may end, if all of them support the leader,
and a few more; so little is drawn in vain. The wave rolls on with every vote that is cast, and waits for nothing else;
the engine is filled by other searches. Once the search ends, what still grows is stopped.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from search.candidate import Candidate
from search.expander import cancel_all
from search.stopping import Forecast, Rule, Stop
from search.voting import Ballot, Vote

SPARE = 20
"""One part more for so many that are outstanding: it saves rounds, and costs little where a search ends early."""

Draw = Callable[[int], Awaitable[Sequence[Candidate]]]
"""Grows the part of an index, and returns its candidates that vote; none where all were lost."""


async def cast_in_waves(ballot: Ballot[Candidate], draw: Draw, forecast: Forecast) -> Stop:
    """Draw parts and cast their votes until the answer is certain, or probable enough, or everything is drawn."""
    growing: deque[asyncio.Future[Sequence[Candidate]]] = deque()
    num_drawn, votes = 0, ballot.votes()
    try:
        while forecast.outstanding:
            wave = forecast.needed(votes) + forecast.outstanding // SPARE
            while len(growing) < min(wave, forecast.outstanding):
                growing.append(asyncio.ensure_future(draw(num_drawn)))
                num_drawn += 1
            part = await growing[0]
            growing.popleft()
            for candidate in part:
                ballot.cast(candidate)
            forecast.see(part)
            votes = ballot.votes()
            if rule := _end(ballot, forecast, votes):
                break
        else:
            rule = Rule.ALL
    finally:
        await cancel_all(growing)
    bound = 0.0 if rule in (Rule.EXACT, Rule.ALL) else forecast.change_probability(votes)
    return Stop(rule, num_drawn * forecast.size, forecast.num_parts * forecast.size, bound)


def _end(ballot: Ballot[Candidate], forecast: Forecast, votes: Sequence[Vote[Candidate]]) -> Rule | None:
    """Return what ends the search before everything is drawn; None where it goes on."""
    if not forecast.outstanding:
        return None
    if ballot.may_end([1.0] * (forecast.outstanding * forecast.size), early_stop=True):
        return Rule.CONFIDENCE if ballot.is_enough else Rule.EXACT
    return Rule.PROBABLE if forecast.change_probability(votes) <= forecast.risk else None
