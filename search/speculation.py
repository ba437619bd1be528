"""Grows the next step of candidates before their round has ended, where it is known, or likely, who survives it.

Whenever a candidate of a round is judged, the strategy says which children are wanted as far as it can tell. Those not
started yet start, those no longer wanted are stopped. The end of the round settles the matter: what is wanted then goes
on, all else is stopped. A child's seed follows from its place in the tree, so it is the same child whenever it starts.

Nobody is told of a child while it may still be stopped: it is in no tree and casts no vote, and a model that fails it
takes nothing from the search. Its tokens are billed like all others and counted as speculative if it is stopped. A
search that is cut off keeps what was wanted then: it may hold the answer.

Source: speculative execution; for decoding, Leviathan, Kalman and Matias 2022 (2211.17192).
Beyond the source: branches of a search are executed, and the strategy says which.
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
Foresee = Callable[[Sequence[Candidate], int], Iterable[Candidate]]
"""From the candidates of a round so far and the number outstanding: those that are to have children already."""
Path = tuple[int, ...]


class HeadStart:
    """Grows the rounds of one search.

    Args:
        expander: Of the search.
        grow: Grows a child of any round.
        width: Children of a candidate that starts early.
    """

    def __init__(self, expander: Expander, grow: Grow, width: int) -> None:
        self._expander = expander
        self._grow = grow
        self._width = width
        self._started: dict[Path, dict[Path, _Start]] = {}  # by parent
        self._stopped: list[_Start] = []

    async def __aenter__(self) -> "HeadStart":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop what has started; keep what it has grown if the search is cut off."""
        started = self._taken()
        if kind is None:
            self._stop(started.values())
        else:
            await cancel_all(start.growth for start in started.values())
            for child in started.values():
                child.confirm()
        await self._settle()

    async def grow(self, children: Sequence[Candidate], foresee: Foresee) -> list[Candidate]:
        """Grow the children of a round at the same time, and begin with the children of those that `foresee` names.

        Returns:
            Those that no failing model took, in order.
        """
        grown, outstanding = list[Candidate](), len(children)

        async def one(growth: Awaitable[Candidate | None]) -> Candidate | None:
            nonlocal outstanding
            child = await growth
            outstanding -= 1
            if child:
                grown.append(child)
            if outstanding:
                self._want(foresee(grown, outstanding))
            return child

        started = self._taken()
        starts = [started.pop(child.path, None) for child in children]
        self._stop(started.values())
        growths = [
            start.confirm() if start else self._grow(self._expander, child)
            for child, start in zip(children, starts, strict=True)
        ]
        found = [child async for child in in_order(map(one, growths)) if child]
        await self._settle()
        return found

    def _want(self, parents: Iterable[Candidate]) -> None:
        """Start the children of those of `parents` that have none, and stop those of all others."""
        wanted = {parent.path: parent for parent in parents}
        for path in self._started.keys() - wanted.keys():
            self._stop(self._started.pop(path).values())
        for path, parent in wanted.items():
            if path not in self._started:
                children = parent.children(range(self._width))
                self._started[path] = {child.path: _Start(self._expander, self._grow, child) for child in children}

    def _taken(self) -> "dict[Path, _Start]":
        """Return what has started, by child, and forget it."""
        families, self._started = self._started, {}
        return {path: start for family in families.values() for path, start in family.items()}

    def _stop(self, starts: "Iterable[_Start]") -> None:
        for start in starts:
            start.growth.cancel()
            self._stopped.append(start)

    async def _settle(self) -> None:
        """Bill what was stopped; a judgement that others may share runs on, and is billed the next time."""
        await cancel_all(start.growth for start in self._stopped)
        for start in self._stopped:
            start.drop()


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
