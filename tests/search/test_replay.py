"""Strategies on searches that are stored: what they answer there is what they answer with the models."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.interfaces import Problem
from search.aggregation import Aggregation
from search.best_of_n import BestOfN
from search.candidate import Candidate
from search.dvts import DVTS
from search.errors import NotStoredError
from search.replay import StoredModels, replay
from search.solve import SearchResult
from search.stored import StoredSearch, of_reply
from search.strategies import strategies
from search.strategy import Strategy
from search.voting import Selection, voted
from tests.natures import Chance, Tree, answer, end, step
from tests.search.helpers import elected, search
from tests.worlds import BoxReader, World

SEEDS = st.integers(0, 1000)
PARTS = st.sampled_from(["majority", "best_of_n", "weighted_best_of_n", "dvts", "beam_search", "rebase"])


class BoxKeys:
    """Keys as the reader of worlds has them."""

    async def canonicalise(self, text: str) -> str:
        found = await BoxReader().read(rf"\boxed{{{text}}}")
        assert found
        return found.key


def stored(result: SearchResult, name: str, n: int, **fields: Any) -> StoredSearch:
    """What a reply tells of a search, with its tree."""
    by_path = {candidate.path: candidate for candidate in result.candidates}
    parents = {path[:-1] for path in by_path}
    final = [candidate for candidate in result.candidates if not candidate.is_growing]
    chosen = result.chosen
    told = voted(chosen) if chosen else None
    return of_reply(
        "?",
        {
            "answer": told.text if told else None,
            "response": chosen.response if chosen else None,
            "score": chosen.score if chosen else None,
            "strategy": {"name": name, "n": n, "seed": 0, **fields},
            "candidates": [shown(candidate, 0) | {"finish": state(candidate)} for candidate in final],
            "tree": {
                "nodes": [
                    shown(candidate, len(by_path[path[:-1]].steps) if path[:-1] in by_path else 0)
                    | {"state": "expanded" if path in parents else state(candidate)}
                    for path, candidate in by_path.items()
                ]
            },
        },
    )


def state(candidate: Candidate) -> str:
    if candidate.is_stopped:
        return "stopped"
    return "dropped" if candidate.is_growing else "complete" if candidate.is_complete else "truncated"


def shown(candidate: Candidate, first: int) -> dict[str, Any]:
    scores = (*candidate.step_scores, *[None] * len(candidate.steps))
    steps = [
        {"text": each.text, "score": score, "thinking": each.is_thinking}
        for each, score in list(zip(candidate.steps, scores, strict=False))[first:]
        if not each.is_blank
    ]
    return {
        "id": ".".join(map(str, candidate.path)),
        "steps": steps,
        "score": candidate.score,
        "tokens": sum(len(each.token_ids) for each in candidate.steps[first:]),
        "answer": candidate.answer.text if candidate.answer else None,
        "verified": candidate.answer.is_verified if candidate.answer else None,
    }


def votes(result: SearchResult) -> Sequence[tuple[str | None, int, float | None]]:
    return [(vote.answer, vote.count, vote.weight) for vote in result.votes]


def told(name: str) -> dict[str, Any]:
    """What a reply tells of the strategies that `build` makes."""
    return {"max_steps": 5} if strategies()[name].reads("max_steps") else {}


VOTES = [selection for selection in Selection if selection is not Selection.TOURNAMENT]


def build(name: str, n: int, selection: Selection, *, beam_width: int = 2, early_stop: bool = False) -> Strategy:
    row = strategies()[name]
    fields: dict[str, Any] = {"beam_width": beam_width, "max_steps": 5}
    fields |= {"selection": selection} if selection in row.selections else {}
    return row.build(n, early_stop=early_stop, **fields)


@pytest.mark.asyncio(loop_scope="function")
@settings(max_examples=300)
@given(
    world_seed=SEEDS,
    name=PARTS,
    aggregation=st.sampled_from(Aggregation),
    first=st.sampled_from(VOTES),
    selection=st.sampled_from(VOTES),
    refuted=st.sets(st.sampled_from(["1/2", "2"]), max_size=1),
    max_tokens=st.sampled_from([25, 1000]),
    early_stop=st.booleans(),
)
@pytest.mark.no_cover
async def test_another_selection_is_the_search_that_has_it(
    world_seed: int,
    name: str,
    aggregation: Aggregation,
    first: Selection,
    selection: Selection,
    refuted: set[str],
    max_tokens: int,
    early_stop: bool,
) -> None:
    async def run(selection: Selection, *, early_stop: bool) -> SearchResult:
        return await search(
            World(Chance(world_seed)),
            build(name, 8, selection, early_stop=early_stop),
            aggregation=aggregation,
            refuted=refuted,
            max_tokens=max_tokens,
        )

    whole = stored(await run(first, early_stop=False), name, 8, **told(name))
    fresh = await run(selection, early_stop=early_stop)
    again = await replay(whole, build(name, 8, selection), aggregation, BoxKeys())
    assert elected(again) == elected(fresh)
    if not early_stop:
        assert votes(again) == votes(fresh)
        assert [each.path for each in again.candidates] == [each.path for each in fresh.candidates]
        assert (again.chosen and again.chosen.path) == (fresh.chosen and fresh.chosen.path)


@pytest.mark.asyncio(loop_scope="function")
@settings(max_examples=300)
@given(
    world_seed=SEEDS,
    n=st.sampled_from([1, 2, 4, 6, 8]),
    name=st.sampled_from(["majority", "best_of_n", "weighted_best_of_n"]),
    stored_with=st.sampled_from(Aggregation),
    aggregation=st.sampled_from(Aggregation),
)
@pytest.mark.no_cover
async def test_fewer_responses_and_other_scores_are_the_search_that_has_them(
    world_seed: int, n: int, name: str, stored_with: Aggregation, aggregation: Aggregation
) -> None:
    source = BestOfN(8, Selection.BEST, early_stop=False)
    whole = stored(await search(World(Chance(world_seed)), source, aggregation=stored_with), "best_of_n", 8)
    fresh = await search(World(Chance(world_seed)), build(name, n, Selection.WEIGHTED), aggregation=aggregation)
    again = await replay(whole, build(name, n, Selection.WEIGHTED), aggregation, BoxKeys())
    assert votes(again) == votes(fresh)
    assert elected(again) == elected(fresh)


@pytest.mark.asyncio(loop_scope="function")
@settings(max_examples=200)
@given(world_seed=SEEDS, num_subtrees=st.integers(1, 4), beam_width=st.integers(1, 3), selection=st.sampled_from(VOTES))
@pytest.mark.no_cover
async def test_fewer_subtrees_are_the_search_that_has_them(
    world_seed: int, num_subtrees: int, beam_width: int, selection: Selection
) -> None:
    def dvts(n: int) -> DVTS:
        return DVTS(n, beam_width, max_steps=5, selection=selection, early_stop=False)

    whole = stored(await search(World(Chance(world_seed)), dvts(4 * beam_width)), "dvts", 4 * beam_width, max_steps=5)
    fresh = await search(World(Chance(world_seed)), dvts(num_subtrees * beam_width))
    again = await replay(whole, dvts(num_subtrees * beam_width), Aggregation.LAST, BoxKeys())
    assert votes(again) == votes(fresh)


@pytest.mark.asyncio(loop_scope="function")
@settings(max_examples=300)
@given(
    world_seed=SEEDS,
    source=PARTS,
    target=PARTS,
    n=st.sampled_from([2, 4, 8]),
    aggregation=st.sampled_from(Aggregation),
    early_stop=st.booleans(),
)
@pytest.mark.no_cover
async def test_whatever_is_answered_at_all_is_right(
    world_seed: int, source: str, target: str, n: int, aggregation: Aggregation, early_stop: bool
) -> None:
    made = await search(World(Chance(world_seed)), build(source, 8, Selection.WEIGHTED, early_stop=early_stop))
    try:
        again = await replay(
            stored(made, source, 8, **told(source)),
            build(target, n, Selection.WEIGHTED, early_stop=True),
            aggregation,
            BoxKeys(),
        )
    except NotStoredError:
        return
    fresh = await search(World(Chance(world_seed)), build(target, n, Selection.WEIGHTED), aggregation=aggregation)
    assert elected(again) == elected(fresh)


async def test_lookahead_is_in_the_scores_that_are_stored() -> None:
    whole = await search(World(Chance(3)), DVTS(8, 2, lookahead=2, early_stop=False))
    fresh = await search(World(Chance(3)), DVTS(4, 2, lookahead=2, early_stop=False))
    again = await replay(
        stored(whole, "dvts", 8, max_steps=40), DVTS(4, 2, early_stop=False), Aggregation.LAST, BoxKeys()
    )
    assert votes(again) == votes(fresh)


@pytest.mark.parametrize("judge", ["answer", "all"])
async def test_thoughts_are_drawn_again(judge: str) -> None:
    def world() -> World:
        nature = Tree(step("Hm", 0.2, step("so", 0.6, answer("1", 0.4))), step("Hm 2", 0.9, answer("2", 0.5)))
        return World(nature, thinks=True)

    strategy = DVTS(4, 2, early_stop=False)
    whole = await search(world(), strategy, judges_thoughts=judge == "all")
    again = await replay(stored(whole, "dvts", 4, judge=judge, max_steps=40), strategy, Aggregation.LAST, BoxKeys())
    assert votes(again) == votes(whole)
    assert [each.step_scores for each in again.candidates] == [each.step_scores for each in whole.candidates]


async def test_more_than_is_stored_is_refused() -> None:
    whole = stored(await search(World(Chance(1)), BestOfN(4, early_stop=False)), "weighted_best_of_n", 4)
    assert (whole.name, whole.n, whole.seed) == ("weighted_best_of_n", 4, 0)
    assert StoredModels(whole, BoxKeys()).count_prompt_tokens(Problem("?")) == 0
    with pytest.raises(NotStoredError, match="grew no candidate"):
        await replay(whole, BestOfN(5, early_stop=False), Aggregation.LAST, BoxKeys())


async def test_what_nobody_judged_is_refused() -> None:
    voted_only = await search(World(Tree(answer("1", 1.0))), BestOfN(2, Selection.MAJORITY, early_stop=False))
    with pytest.raises(NotStoredError, match="not all its steps were judged"):
        await replay(stored(voted_only, "majority", 2), BestOfN(2), Aggregation.LAST, BoxKeys())


async def test_what_did_not_grow_to_its_end_is_refused() -> None:
    made_in_steps = await search(World(Tree(step("a", 0.5, answer("1", 0.5)))), DVTS(2, 1, early_stop=False))
    with pytest.raises(NotStoredError, match="did not let a candidate grow"):
        await replay(
            stored(made_in_steps, "dvts", 2, max_steps=40), BestOfN(2, early_stop=False), Aggregation.LAST, BoxKeys()
        )


@pytest.mark.parametrize("strategy", [BestOfN(2, early_stop=False), DVTS(2, 1, max_steps=1, early_stop=False)])
async def test_a_response_that_was_drawn_as_a_whole_has_no_steps_of_a_search(strategy: Strategy) -> None:
    made = await search(World(Tree(step("a", 0.5, end("", 0.5)))), strategy)  # its end is blank, and not in a reply
    whole = stored(made, "dvts", 2, **({"max_steps": 1} if isinstance(strategy, DVTS) else {}))
    with pytest.raises(NotStoredError, match="drew the rest of a response where this one draws a step"):
        await replay(whole, DVTS(2, 1, early_stop=False), Aggregation.LAST, BoxKeys())


async def test_candidates_without_a_tree_are_enough_for_independent_responses() -> None:
    result = await search(World(Chance(5)), BestOfN(8, early_stop=False))
    final = [shown(each, 0) | {"finish": state(each)} for each in result.candidates]
    reply = {"answer": None, "response": None, "score": None, "strategy": {"name": "x", "n": 8, "seed": 0}}
    flat = of_reply("?", reply | {"candidates": final})
    again = await replay(flat, BestOfN(8, early_stop=False), Aggregation.LAST, BoxKeys())
    assert votes(again) == votes(result)
