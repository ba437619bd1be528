"""Probable stopping: what it predicts, and how often it is wrong, computed exactly."""

import math
from collections.abc import Sequence
from itertools import pairwise

import pytest

from search.candidate import Candidate
from search.errors import HyperparameterError
from search.stopping import (
    Forecast,
    Lead,
    Probable,
    Rule,
    Stop,
    doubt_of,
    loss_probability,
    tempered,
    total,
    worst_of,
)
from search.strategies import ROWS, Row
from search.voting import Ballot, Selection
from tests.search.helpers import voter

PROBABLE = Probable(0.95)
WORST = 1.2 * worst_of(PROBABLE.risk)
"""So small a number of votes has few leads to choose from; 0.83 to 1.2 of what is asked for is met."""


def changed_share(num_parts: int, rule: Probable, shares: Sequence[float]) -> float:
    """Return the share of majority votes that the rule changes, exactly: over all sequences of answers.

    Args:
        num_parts: N.
        rule: It.
        shares: Of the answers 0, 1, ...; what is missing to 1 states none.
    """
    silent = 1 - math.fsum(shares)
    draws = [(str(key), share) for key, share in enumerate(shares)] + [(None, silent)] * (silent > 1e-9)

    def grow(cast: tuple[str | None, ...], weight: float, first: str | None, *, has_ended: bool) -> float:
        if not has_ended:
            ballot: Ballot[Candidate] = Ballot(Selection.MAJORITY)
            forecast = Forecast(rule, Selection.MAJORITY, num_parts)
            for place, key in enumerate(cast):
                candidate = voter((place,), key, None)
                ballot.cast(candidate)
                forecast.see([candidate])
            votes = ballot.votes()
            if has_ended := forecast.change_probability(votes) <= rule.risk:
                first = votes[0].answer
        if len(cast) == num_parts:
            counts = [(-cast.count(key), cast.index(key), key) for key in set(cast) if key is not None]
            return weight * bool(first and counts and min(counts)[2] != first)
        return math.fsum(grow((*cast, key), weight * share, first, has_ended=has_ended) for key, share in draws)

    return grow((), 1.0, None, has_ended=False)


@pytest.mark.parametrize("num_parts", [6, 8, 11])
@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.55, 0.45), (0.7, 0.3)])
def test_of_two_answers_that_tie_no_larger_share_changes_than_is_predicted(
    num_parts: int, shares: tuple[float, float]
) -> None:
    share = changed_share(num_parts, PROBABLE, shares)
    assert 0 < share <= WORST


@pytest.mark.parametrize("num_parts", [6, 9])
def test_over_two_answers_of_whatever_shares_no_more_change_than_was_asked_for(num_parts: int) -> None:
    changed = [changed_share(num_parts, PROBABLE, (place / 20, 1 - place / 20)) for place in range(1, 20)]
    assert sum(changed) / 20 <= PROBABLE.risk


@pytest.mark.parametrize("shares", [(0.4, 0.4), (0.3, 0.3, 0.3), (0.6, 0.2)])
def test_neither_do_silent_responses_or_a_third_answer_change_more(shares: tuple[float, ...]) -> None:
    assert changed_share(7, PROBABLE, shares) <= WORST


def tied_share(num_parts: int, worst: float) -> float:
    """Return the share of votes on two answers that tie which a prediction of at most `worst` changes, exactly."""
    doubt, ways, share = doubt_of(num_parts, worst), {0: 1.0}, 0.0
    for seen in range(1, num_parts):
        grown: dict[int, float] = {}
        for lead, weight in ways.items():
            for step in (-1, 1):
                grown[lead + step] = grown.get(lead + step, 0.0) + weight / 2
        ways, left = {}, num_parts - seen
        for lead, weight in grown.items():
            now = abs(lead)
            if now and loss_probability(Lead(now, now, seen), seen, left, doubt, 1.0) <= worst:
                lost = math.fsum(
                    math.comb(left, rival) * (1.0 if 2 * rival - left > now else 0.5)
                    for rival in range(math.ceil((left + now) / 2), left + 1)
                )
                share += weight * lost / 2**left
            else:
                ways[lead] = weight
    return share


@pytest.mark.parametrize("worst", [0.02, 0.1, 0.2, 0.4])
@pytest.mark.parametrize("num_parts", [16, 64, 256])
def test_neither_do_more_looks(num_parts: int, worst: float) -> None:
    assert 0.5 * worst < tied_share(num_parts, worst) < 1.1 * worst


@pytest.mark.parametrize("lead", [0, 2, 4, 8])
def test_with_all_the_doubt_what_follows_is_a_fair_coin(lead: int) -> None:
    ways = [math.comb(30, rival) * (1.0 if 2 * rival - 30 > lead else 0.5) for rival in range(15 + lead // 2, 31)]
    found = loss_probability(Lead(lead, lead, 29), 30, 30, 1e9, 1.0)
    assert found == pytest.approx(math.fsum(ways) / 2**30, abs=0.01)  # the normal distribution stands for the binomial


@pytest.mark.parametrize("risk", [0.001, 0.05, 0.1, 0.2, 0.4, 0.499])
def test_over_problems_as_they_come_a_change_is_up_to_twice_as_rare_as_in_ties(risk: float) -> None:
    worst = worst_of(risk)
    assert tempered(worst) == pytest.approx(risk)
    assert risk <= worst <= 2 * risk
    assert tempered(0.9) == 0.9


def test_a_lead_that_grew_with_every_part_is_lost_less_often() -> None:
    losses = [loss_probability(Lead(4, 4, 4), 8, 24, doubt, 1.0) for doubt in (0.0, 4.0, 64.0)]
    assert losses == sorted(losses)
    assert len(set(losses)) == 3


def test_the_probability_of_a_change_falls_with_every_vote_for_the_leader() -> None:
    ballot: Ballot[Candidate] = Ballot(Selection.WEIGHTED)
    forecast = Forecast(PROBABLE, Selection.WEIGHTED, 64)
    found = [forecast.change_probability(ballot.votes())]
    for place in range(20):
        ballot.cast(voter((place,), "1", 0.9))
        forecast.see([voter((place,), "1", 0.9)])
        found.append(forecast.change_probability(ballot.votes()))
    assert found[0] == 1.0
    assert all(before > after for before, after in pairwise(found))


@pytest.mark.parametrize("selection", [Selection.MAJORITY, Selection.WEIGHTED])
def test_votes_before_a_search_count_as_they_are(selection: Selection) -> None:
    ballot: Ballot[Candidate] = Ballot(selection)
    for place in range(6):
        ballot.cast(voter((place,), "1", 0.9))
    before = ballot.votes()
    ballot.cast(voter((6,), "2", 0.9))
    ahead, level = [Forecast(PROBABLE, selection, 8, before=votes) for votes in (before, ())]
    for forecast in (ahead, level):
        forecast.see([voter((6,), "2", 0.9)])
    assert ahead.change_probability(ballot.votes()) > level.change_probability(ballot.votes())


def test_searches_one_after_the_other_share_a_risk_and_add_what_they_drew() -> None:
    assert Probable(0.9).shared(2) == Probable(0.95)
    stops = [Stop(Rule.ALL, 8, 8, 0.0), Stop(Rule.PROBABLE, 12, 56, 0.02), Stop(Rule.EXACT, 4, 8, 0.0)]
    assert total(stops) == Stop(Rule.PROBABLE, 24, 72, 0.02)
    assert total(stops[::2]) == Stop(Rule.EXACT, 12, 16, 0.0)
    assert total(stops[:1]) == stops[0]
    assert total([]) is None


@pytest.mark.parametrize("probability", [0.5, 1.0, 0.0, -1.0, 2.0, math.nan])
def test_what_is_no_confidence_is_refused(probability: float) -> None:
    with pytest.raises(HyperparameterError, match=f"stop_probability: {probability} is not between 0.5 and 1"):
        Probable(probability)


@pytest.mark.parametrize("row", [row for row in ROWS if row.fallback is None], ids=lambda row: row.name)
def test_strategies_whose_candidates_depend_on_each_other_refuse_it(row: Row) -> None:
    if row.stops_probably:
        assert row.build(4, early_stop=PROBABLE) != row.build(4)
    else:
        with pytest.raises(HyperparameterError, match=f"early_stop: probable is not supported by strategy {row.name}"):
            row.build(4, early_stop=PROBABLE)
