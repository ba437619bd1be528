"""What an observer is told of a search beside its growth: what is dropped, and how the vote stands."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.beam_search import BeamSearch
from search.best_of_n import BestOfN
from search.candidate import Candidate
from search.compute_optimal import Bin, ComputeOptimal
from search.confidence import Confidence
from search.deepconf import DeepConf
from search.dvts import DVTS
from search.observer import Choice
from search.rebase import Rebase
from search.strategy import Strategy
from search.voting import Ballot, Selection, Tally
from tests.natures import Chance, Tree, answer, step
from tests.search.helpers import Watch, each_strategy, search
from tests.worlds import World

SEEDS = st.integers(0, 1000)
CHOOSING: list[Strategy] = [
    BeamSearch(8, 2, early_stop=False),
    BeamSearch(6, 3, max_steps=3, early_stop=False),
    DVTS(8, 4, early_stop=False),
    DVTS(9, 3, max_steps=2, early_stop=False),
    Rebase(8, early_stop=False),
    Rebase(6, max_steps=3, early_stop=False),
]


class Witness(Watch):
    """Remembers, of every notice, what had grown before it."""

    def __init__(self) -> None:
        super().__init__()
        self.choices: list[tuple[Choice, set[tuple[int, ...]]]] = []
        self.tallies: list[Tally[Candidate]] = []

    def on_choice(self, choice: Choice) -> None:
        self.choices.append((choice, {candidate.path for candidate in self.growths}))

    def on_votes(self, tally: Callable[[], Tally[Candidate]]) -> None:
        self.tallies.append(tally())


@settings(max_examples=200)
@given(strategy=st.sampled_from(CHOOSING), world_seed=SEEDS, seed=SEEDS)
async def test_all_that_is_not_continued_is_dropped_before_the_kept_grow(
    strategy: Strategy, world_seed: int, seed: int
) -> None:
    witness = Witness()
    result = await search(World(Chance(world_seed), seed), strategy, seed=seed, observer=witness)
    continued = {candidate.path[:-1] for candidate in result.candidates}
    dropped = [candidate.path for choice, _ in witness.choices for _, candidate in choice.dropped]
    assert len(set(dropped)) == len(dropped)
    left = {candidate.path for candidate in result.candidates if candidate.is_growing} - continued
    assert left == set(dropped)
    for choice, grown in witness.choices:
        children = {candidate.path[:-1] for candidate in result.candidates if candidate.path in grown}
        assert not children & {candidate.path for candidate in choice.ranked}


@settings(max_examples=100)
@given(strategy=st.sampled_from(CHOOSING), world_seed=SEEDS)
async def test_who_is_dropped_ranks_below_all_that_are_kept(strategy: Strategy, world_seed: int) -> None:
    witness = Witness()
    await search(World(Chance(world_seed)), strategy, observer=witness)
    for choice, _ in witness.choices:
        scores = [candidate.score or 0.0 for candidate in choice.ranked]
        assert scores == sorted(scores, reverse=True)
        assert [rank for rank, _ in choice.dropped] == [
            number for number, each in enumerate(choice.ranked, 1) if number > choice.num_kept and each.is_growing
        ]


async def test_the_beam_that_is_kept_is_n_over_m() -> None:
    scores = {"a": 0.1, "b": 0.4, "c": 0.3, "d": 0.2}
    world = World(Tree(*[step(name, score, answer("1", 0.9)) for name, score in scores.items()]))
    witness = Witness()
    await search(world, BeamSearch(4, 2), observer=witness)
    ((choice, _),) = witness.choices
    assert [candidate.path for candidate in choice.kept] == [(1,), (2,)]
    assert [(rank, candidate.path) for rank, candidate in choice.dropped] == [(3, (3,)), (4, (0,))]


async def test_a_chosen_response_that_is_complete_drops_its_growing_siblings_alone() -> None:
    world = World(Tree(answer("1", 0.9), step("a", 0.5), answer("2", 0.1), step("b", 0.2)))
    witness = Witness()
    await search(world, DVTS(4, 4), observer=witness)
    ((choice, _),) = witness.choices
    assert (choice.num_kept, [(rank, candidate.path) for rank, candidate in choice.dropped]) == (
        1,
        [(2, (1,)), (3, (3,))],
    )


AUTO = ComputeOptimal(
    8, BestOfN(4), Confidence((0.0, 1.0), (0.0, 1.0)), (Bin(0.0, DVTS(4, 2)),), Confidence((0.0, 1.0), (0.0, 1.0))
)


@pytest.mark.parametrize(
    "strategy",
    [
        *[BestOfN(8, selection) for selection in Selection],
        BestOfN(8, keep=0.5),
        BeamSearch(8, 2),
        DVTS(8, 2),
        Rebase(8),
        DeepConf(8, warmup=4),
        AUTO,
    ],
    ids=repr,
)
@pytest.mark.parametrize("seed", range(8))
async def test_the_last_tally_is_the_vote_of_the_result(strategy: Strategy, seed: int) -> None:
    witness = Witness()
    result = await search(World(Chance(seed), seed), strategy, seed=seed, observer=witness)
    last = witness.tallies[-1]
    assert (last.votes, last.outstanding) == (result.votes, 0)
    counts = [sum(vote.count for vote in tally.votes) for tally in witness.tallies]
    assert counts == sorted(counts)
    assert all(tally.outstanding <= strategy.n for tally in witness.tallies)


@pytest.mark.parametrize("early_stop", [True, False])
async def test_votes_are_told_whether_or_not_the_search_may_stop(early_stop: bool) -> None:
    witness = Witness()
    await search(World(Tree(answer("1", 0.5))), BestOfN(5, Selection.MAJORITY, early_stop), observer=witness)
    told = [(tally.votes[0].count, tally.outstanding, tally.line) for tally in witness.tallies]
    assert told[:3] == [(1, 4, 5), (2, 3, 4), (3, 2, 3)]
    assert told[3:] == ([(3, 0, 0)] if early_stop else [(4, 1, 2), (5, 0, 0), (5, 0, 0)])


@each_strategy(n=8, beam_width=2)
async def test_nobody_counts_votes_that_nobody_reads(strategy: Strategy, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(ballot: Ballot[Candidate], outstanding: Sequence[float] = ()) -> Tally[Candidate]:
        pytest.fail("it was counted")

    monkeypatch.setattr(Ballot, "tally", refuse)
    assert (await search(World(Chance(3)), strategy)).votes
