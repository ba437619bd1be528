"""What the tests of the searches share."""

import asyncio
from collections.abc import Coroutine, Set
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pytest

from models.interfaces import Finish, Problem, Sampling, Step
from search.aggregation import Aggregation
from search.answers.answer import Answer, AnswerReader
from search.beam_search import BeamSearch
from search.best_of_n import BestOfN
from search.candidate import Candidate
from search.dvts import DVTS
from search.observer import Decision, Loss, Observer, Silence
from search.solve import SearchResult, solve
from search.strategy import Strategy
from search.voting import Selection, voted
from tests.worlds import World

T = TypeVar("T")


async def search(
    world: World,
    strategy: Strategy,
    *,
    aggregation: Aggregation = Aggregation.LAST,
    max_tokens: int = 10_000,
    seed: int | None = 0,
    deadline_s: float | None = None,
    observer: Observer | None = None,
    refuted: Set[str] = frozenset(),
    judges_thoughts: bool = False,
) -> SearchResult:
    sampling = Sampling(temperature=0.8, top_p=1.0, max_tokens=max_tokens, seed=seed)
    return await solve(
        Problem("?"),
        strategy,
        replace(world.models, reader=Sceptic(world.models.reader, refuted)),
        sampling,
        aggregation=aggregation,
        judges_thoughts=judges_thoughts,
        deadline_s=deadline_s,
        observer=observer,
    )


def each_strategy(n: int, beam_width: int) -> pytest.MarkDecorator:
    strategies: dict[str, Strategy] = {
        "majority": BestOfN(n, Selection.MAJORITY),
        "best_of_n": BestOfN(n, Selection.BEST),
        "weighted_best_of_n": BestOfN(n, Selection.WEIGHTED),
        "beam_search": BeamSearch(n, beam_width),
        "dvts": DVTS(n, beam_width),
    }
    return pytest.mark.parametrize("strategy", strategies.values(), ids=strategies)


each_selection = pytest.mark.parametrize("selection", list(Selection), ids=lambda selection: selection.value)


def texts(steps: tuple[Step, ...]) -> str:
    """Return a response in one line: the steps' texts without their delimiters."""
    return " ".join(step.text.strip() for step in steps)


def drawn_after(world: World) -> list[str]:
    """Return the prefix of every step sampled, in the order of the calls; greedy ones left out."""
    return [texts(prefix) for prefix, sampling in world.policy.draws if sampling.temperature > 0]


@dataclass(frozen=True, slots=True)
class Sceptic:
    """Reads as another reader does, and refutes the answers whose keys it is told."""

    reader: AnswerReader
    refuted: Set[str]

    async def read(self, response: str) -> Answer | None:
        answer = await self.reader.read(response)
        return replace(answer, is_verified=False) if answer and answer.key in self.refuted else answer


def voter(
    path: tuple[int, ...],
    key: str | None,
    score: float | None,
    is_verified: bool | None = None,
    kind: str | None = None,
    fields: tuple[tuple[str, str], ...] = (),
) -> Candidate:
    """Return a complete candidate."""
    scores = () if score is None else (score,)
    said = None if key is None else Answer(key, key, is_verified, kind, fields)
    return Candidate(path, (Step(f"said {path}", (1, 2), Finish.END),), scores, score, said)


def elected(result: SearchResult) -> str | None:
    """Return the key of the answer chosen."""
    answer = voted(result.chosen) if result.chosen else None
    return answer.key if answer else None


async def settle() -> None:
    """Let everything happen that can happen before a gate opens."""
    for _ in range(1000):
        await asyncio.sleep(0)


async def cancel_midway(work: Coroutine[Any, Any, object]) -> None:
    """Cancel `work` when it can get no further."""
    task = asyncio.create_task(work)
    await settle()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def an_hour_later(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` until it can get no further, and let an hour pass: no deadline is met by chance."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert not others, 'the hour would pass for engines, too: mark the module with asyncio(loop_scope="function")'
    task, loop = asyncio.create_task(work), asyncio.get_running_loop()
    await settle()
    later = loop.time() + 3600
    with pytest.MonkeyPatch.context() as clock:
        clock.setattr(loop, "time", lambda: later)
        return await task


class Watch(Silence):
    """The observer that remembers."""

    def __init__(self) -> None:
        self.growths: list[Candidate] = []
        self.losses: list[Loss] = []
        self.decisions: list[Decision] = []

    def on_growth(self, candidate: Candidate) -> None:
        self.growths.append(candidate)

    def on_loss(self, loss: Loss) -> None:
        self.losses.append(loss)

    def on_decision(self, decision: Decision) -> None:
        self.decisions.append(decision)
