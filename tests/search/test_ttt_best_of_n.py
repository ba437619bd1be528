"""A verifier that learns from the candidates of a search: from which, when, and for whom."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from models.errors import ContextOverflowError, EngineUnavailableError
from models.interfaces import Meter, Problem, Step
from search.best_of_n import BestOfN
from search.errors import HyperparameterError
from search.ttt_best_of_n import TTTBestOfN
from search.voting import Selection
from tests.natures import Branch, Nature, Tree, answer, cut
from tests.search.helpers import elected, search
from tests.worlds import World, WorldVerifier


@dataclass(frozen=True)
class Outcome:
    losses: tuple[float, ...] = (0.2, 0.1)
    drift: float = 0.5
    is_finite: bool = True


class Pupil(WorldVerifier):
    """Judges by its nature, and turns its judgement round where it has learnt."""

    def __init__(self, nature: Nature) -> None:
        super().__init__(nature)
        self.how: list[tuple[int, float]] = []
        self.lessons: list[list[str]] = []
        self.taught: list[WorldVerifier] = []

    async def adapted(
        self, problem: Problem, responses: Sequence[Sequence[Step]], steps: int, learning_rate: float, meter: Meter
    ) -> tuple[WorldVerifier, Outcome]:
        await self._work("lesson")
        assert not self.judged
        self.how.append((steps, learning_rate))
        self.lessons.append(["".join(step.text for step in steps) for steps in responses])
        self.taught.append(WorldVerifier(Contrary(self._nature)))
        self.taught[-1].failures = self.failures
        meter.verifier_tokens += 1_000
        return self.taught[-1], Outcome()


class Contrary:
    """The laws of a world, with scores turned round."""

    def __init__(self, nature: Nature) -> None:
        self.draw = nature.draw
        self._nature = nature

    def judge(self, steps: Sequence[Step]) -> float:
        return 1 - self._nature.judge(steps)


def world_of_pupil(*branches: Branch) -> tuple[World, Pupil]:
    world, pupil = World(Tree(*branches), shuffle=0), Pupil(Tree(*branches))
    world.models = replace(world.models, verifier=pupil)
    return world, pupil


async def test_the_verifier_learns_from_all_responses_in_order_and_then_judges() -> None:
    world, pupil = world_of_pupil(answer("1", 0.9), answer("2", 0.2), cut("3"))
    result = await search(world, TTTBestOfN(3, 2, 0.05, Selection.BEST))
    assert (pupil.lessons, pupil.how) == ([[r"\boxed{1}", r"\boxed{2}", "3"]], [(2, 0.05)])
    assert pupil.taught[0].judged == [r"\boxed{1}", r"\boxed{2}"]
    assert result.decision is not None
    assert (elected(result), result.decision.values["losses"]) == ("2", [0.2, 0.1])
    assert [candidate.score for candidate in result.candidates] == pytest.approx([0.1, 0.8, None])
    assert result.meter.verifier_tokens > 1_000


async def test_what_is_learnt_is_for_one_search_alone() -> None:
    world, pupil = world_of_pupil(answer("1", 0.9), answer("2", 0.2))
    await search(world, TTTBestOfN(2, selection=Selection.BEST))
    result = await search(world, BestOfN(2, Selection.BEST))
    assert (elected(result), result.decision, len(pupil.lessons)) == ("1", None, 1)


async def test_a_lost_response_is_no_lesson() -> None:
    world, pupil = world_of_pupil(answer("1", 0.9), answer("2", 0.2), answer("3", 0.3))
    world.policy.failures[r"\boxed{2}"] = EngineUnavailableError("gone")
    result = await search(world, TTTBestOfN(3, selection=Selection.BEST))
    assert pupil.lessons == [[r"\boxed{1}", r"\boxed{3}"]]
    assert (elected(result), result.status.value) == ("3", "degraded")


async def test_a_verifier_that_fails_to_learn_fails_the_search() -> None:
    world, pupil = world_of_pupil(answer("1", 0.9))
    pupil.failures["lesson"] = EngineUnavailableError("out of memory")
    with pytest.raises(EngineUnavailableError, match="out of memory"):
        await search(world, TTTBestOfN(1))


async def test_a_response_that_cannot_be_judged_has_no_vote() -> None:
    world, pupil = world_of_pupil(answer("1", 0.9), answer("2", 0.2))
    pupil.failures[r"\boxed{2}"] = ContextOverflowError(10, 9)
    result = await search(world, TTTBestOfN(2))
    assert [(vote.answer, vote.count) for vote in result.votes] == [("1", 1)]
    assert [loss.path for loss in result.losses] == [(1,)]


async def test_a_decided_vote_leaves_the_rest_unjudged() -> None:
    world, _ = world_of_pupil(*[answer("1", 0.0)] * 3, *[answer(str(number), 0.5) for number in range(2, 4)])
    result = await search(world, TTTBestOfN(5))
    whole = await search(world_of_pupil(*[answer("1", 0.0)] * 5)[0], TTTBestOfN(5, early_stop=False))
    assert elected(result) == elected(whole) == "1"
    assert sum(vote.count for vote in result.votes) < 5
    assert sum(vote.count for vote in whole.votes) == 5


async def test_a_verifier_that_cannot_learn_is_refused() -> None:
    with pytest.raises(HyperparameterError, match="cannot learn from responses"):
        await search(World(Tree(answer("1", 0.9))), TTTBestOfN(1))


@pytest.mark.parametrize(
    ("fields", "message"), [({"n": 0}, "too small"), ({"selection": Selection.MAJORITY}, "judges")]
)
def test_what_makes_no_search_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(HyperparameterError, match=message):
        TTTBestOfN(**{"n": 4, **fields})


def test_it_needs_a_verifier() -> None:
    assert TTTBestOfN(1).needs_verifier
