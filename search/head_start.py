"""Grows the children of those that surely survive a round before the round has ended.

Whenever a candidate of a round is judged, the strategy says who is sure to survive; their children start, and the next
round takes them as they are. A child's seed follows from its place in the tree, so it is the same child whenever it
starts. One case is left in which it is in vain: the votes of the round's last candidates end the search.

Nobody is told of a child before its round has begun: if the search ends, the child is in no tree and casts no vote, and
a model that fails it takes nothing from the search. Its tokens are billed, and counted as speculative. A search that is
cut off by its deadline keeps what has grown: that may hold the answer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from types import TracebackType

from models.interfaces import Meter
from search.candidate import Candidate
from search.expander import Expander, cancel_all, in_order
from search.observer import Loss, Observer, Silence

Grow = Callable[[Expander, Candidate], Awaitable[Candidate | None]]
"""Grows a child; None when a model failed."""
Survivors = Callable[[Sequence[Candidate], int], Iterable[Candidate]]
"""From the candidates of a round so far and the number outstanding: those that survive, whatever is still to come."""


class HeadStart:
    """Grows the rounds of one search.

    Args:
        expander: Of the search.
        grow: Grows a child of any round.
        width: Children of a candidate that is sure to survive.
    """

    def __init__(self, expander: Expander, grow: Grow, width: int) -> None:
        self._expander = expander
        self._grow = grow
        self._width = width
        self._started: dict[tuple[int, ...], _Start] = {}

    async def __aenter__(self) -> "HeadStart":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop what has started; keep what it has grown if the search is cut off."""
        await cancel_all(start.growth for start in self._started.values())
        for start in self._started.values():
            if kind is None:
                start.drop()
            else:
                start.confirm()

    async def grow(self, children: Sequence[Candidate], survivors: Survivors) -> list[Candidate]:
        """Grow the children of a round at the same time, and start those of its survivors once these are sure.

        Returns:
            Those that no failing model took, in order.
        """
        grown, outstanding = list[Candidate](), len(children)

        async def one(child: Candidate) -> Candidate | None:
            nonlocal outstanding
            done = await self._growth(child)
            outstanding -= 1
            if done:
                grown.append(done)
            if outstanding:
                self._start(survivors(grown, outstanding))
            return done

        return [child async for child in in_order(map(one, children)) if child]

    def _growth(self, child: Candidate) -> Awaitable[Candidate | None]:
        start = self._started.pop(child.path, None)
        return start.confirm() if start else self._grow(self._expander, child)

    def _start(self, parents: Iterable[Candidate]) -> None:
        for parent in parents:
            if (*parent.path, 0) not in self._started:
                for child in parent.children(range(self._width)):
                    self._started[child.path] = _Start(self._expander, self._grow, child)


class _Start:
    """A child that has started: until it is confirmed or dropped, nobody is told of it, its tokens are not billed."""

    def __init__(self, expander: Expander, grow: Grow, child: Candidate) -> None:
        self._bill, self._spent = expander.meter, Meter()
        self._report = Held(expander.observer)
        self.growth = asyncio.ensure_future(grow(expander.aside(self._report, self._spent), child))

    def confirm(self) -> Awaitable[Candidate | None]:
        """Tell of it, and bill it; from now on as well."""
        self._report.release()
        self._bill.absorb(self._spent)
        self.growth.add_done_callback(lambda growth: self._bill.absorb(self._spent))
        return self.growth

    def drop(self) -> None:
        """Bill it as speculative."""
        self._spent.speculative_tokens += self._spent.completion_tokens + self._spent.verifier_tokens
        self._bill.absorb(self._spent)


class Held(Silence):
    """Keeps what it is told of growths and losses until it is released, and then passes all on."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._kept: list[Callable[[], None]] | None = []

    def on_growth(self, candidate: Candidate) -> None:
        self._tell(partial(self._observer.on_growth, candidate))

    def on_loss(self, loss: Loss) -> None:
        self._tell(partial(self._observer.on_loss, loss))

    def release(self) -> None:
        """Pass on what was kept, and from now on everything at once."""
        kept, self._kept = self._kept or (), None
        for tell in kept:
            tell()

    def _tell(self, tell: Callable[[], None]) -> None:
        if self._kept is None:
            tell()
        else:
            self._kept.append(tell)
