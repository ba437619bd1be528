"""The CPU of a gateway in front of engines that answer at once, a token and a step."""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any

from rich.table import Table

from tests.bench.gateway import ROOT
from tests.bench.gateway_cpu import NUM_TOKENS, running
from tests.bench.instant import Shape, instant_servers
from tests.bench.limit.part import Bar, Job, median, spread, table

N, IN_FLIGHT = 16, 8
MOST = {"weighted_best_of_n": {60: 5.0, 20: 5.0}, "beam_search": {60: 10.0, 20: 25.0}, "dvts": {60: 10.0, 20: 25.0}}
"""Microseconds a token, by the tokens of a step."""


class Gateway:
    """Strategies and lengths of steps."""

    def __init__(self, strategies: Sequence[str], step_tokens: Sequence[int] = (60, 20)) -> None:
        self._strategies = strategies
        self._step_tokens = step_tokens
        self._micros = defaultdict[tuple[str, int], list[float]](list)
        self._turns = 0

    def jobs(self) -> list[Job]:
        """A job a length of steps, with a gateway of its own."""
        return [Job(f"steps of {number}", partial(self._measure, number)) for number in self._step_tokens]

    async def _measure(self, step_tokens: int) -> None:
        self._turns += 1
        with instant_servers(Shape(NUM_TOKENS, step_tokens)) as urls:
            async with running(ROOT, *urls) as gateway:
                for strategy in self._strategies:
                    for is_warm in (False, True):
                        micros, _ = await gateway.measure(strategy, N, IN_FLIGHT, 2 * self._turns + is_warm)
                        if is_warm:
                            self._micros[strategy, step_tokens].append(micros)

    def tables(self) -> list[Table]:
        """A row a strategy and length."""
        shown = table(
            f"CPU of a gateway alone, engines elsewhere: N = {N}, {IN_FLIGHT} problems at a time, responses of "
            f"{NUM_TOKENS} tokens",
            *("strategy", "steps of", "µs a token", "µs a step"),
        )
        for (strategy, step_tokens), values in sorted(self._micros.items()):
            steps = spread([each * step_tokens for each in values], 0)
            shown.add_row(strategy, str(step_tokens), spread(values, 1), steps)
        return [shown]

    def bars(self) -> list[Bar]:
        """Microseconds a token."""
        return [
            Bar(
                f"{strategy}, steps of {number}: gateway's µs a token",
                median(values),
                MOST[strategy][number],
                is_ceiling=True,
            )
            for (strategy, number), values in sorted(self._micros.items())
            if number in MOST.get(strategy, {})
        ]

    def raw(self) -> Any:
        """Microseconds a token, all runs."""
        return [[strategy, number, values] for (strategy, number), values in self._micros.items()]
