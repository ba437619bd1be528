from collections.abc import Iterator, Sequence
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.candidate import Candidate
from search.voting import ROUNDING, Ballot, Selection, rank
from tests.search.helpers import each_selection, voter


def ballot_of(selection: Selection, *candidates: Candidate) -> Ballot[Candidate]:
    ballot: Ballot[Candidate] = Ballot(selection)
    for candidate in candidates:
        ballot.cast(candidate)
    return ballot


@pytest.mark.parametrize(
    ("selection", "expected"), [(Selection.MAJORITY, "a"), (Selection.WEIGHTED, "b"), (Selection.BEST, "c")]
)
def test_the_selection_elects(selection: Selection, expected: str) -> None:
    given = [("a", 0.1), ("a", 0.2), ("a", 0.3), ("b", 0.5), ("b", 0.6), ("c", 0.9)]
    ballot = ballot_of(selection, *[voter((i,), key, score) for i, (key, score) in enumerate(given)])
    assert ballot.votes()[0].answer == expected


def test_a_vote_holds_its_candidates_the_best_first_their_number_and_their_weight() -> None:
    low, high = voter((0,), "a", 0.25), voter((1,), "a", 0.5)
    (vote,) = ballot_of(Selection.WEIGHTED, low, high).votes()
    assert (vote.candidates, vote.count, vote.weight) == ((high, low), 2, 0.75)


def test_the_best_candidate_speaks_for_the_elected_answer() -> None:
    low, high = voter((0,), "a", 0.25), voter((1,), "a", 0.5)
    assert ballot_of(Selection.MAJORITY, low, high).winner() == high


def test_candidates_that_were_not_judged_have_no_weight() -> None:
    (vote,) = ballot_of(Selection.MAJORITY, voter((0,), "a", None)).votes()
    assert vote.weight is None


@each_selection
def test_ties_go_to_the_earlier_candidate_whichever_was_cast_first(selection: Selection) -> None:
    later, earlier = voter((1,), "later", 0.5), voter((0, 9), "earlier", 0.5)
    assert ballot_of(selection, later, earlier).winner() == earlier


def test_the_best_of_equals_is_the_earlier_though_a_weaker_one_came_before() -> None:
    early, best, equal = voter((0,), "a", 0.1), voter((1,), "b", 0.9), voter((2,), "a", 0.9)
    assert ballot_of(Selection.BEST, early, best, equal).winner() == best


@each_selection
def test_candidates_without_an_answer_stand_last_and_are_not_elected(selection: Selection) -> None:
    silent = [voter((i,), None, 1.0) for i in range(3)]
    ballot = ballot_of(selection, *silent, voter((3,), "a", 0.1))
    assert [(vote.answer, vote.count) for vote in ballot.votes()] == [("a", 1), (None, 3)]
    assert ballot_of(selection, *silent).winner() is None


def test_only_complete_candidates_are_counted() -> None:
    assert ballot_of(Selection.MAJORITY, Candidate(), voter((0,), None, None)).num_cast == 1


@each_selection
def test_nothing_is_decided_without_an_answer(selection: Selection) -> None:
    assert not ballot_of(selection, voter((0,), None, 1.0)).is_decided([])


@pytest.mark.parametrize(
    ("selection", "outstanding", "expected"),
    [
        (Selection.MAJORITY, [0.0], True),
        (Selection.MAJORITY, [0.0, 0.0], False),
        (Selection.WEIGHTED, [0.5, 0.25], True),
        (Selection.WEIGHTED, [0.5, 0.5], False),
        (Selection.BEST, [0.5, 0.5], True),
        (Selection.BEST, [0.5, 0.75], False),
        (Selection.BEST, [], True),
    ],
)
def test_it_is_decided_when_the_rest_cannot_even_tie(
    selection: Selection, outstanding: list[float], expected: bool
) -> None:
    scores = [("a", 0.5), ("a", 0.75), ("a", 0.25), ("b", 0.5)]
    ballot = ballot_of(selection, *[voter((i,), key, score) for i, (key, score) in enumerate(scores)])
    assert ballot.is_decided(outstanding) is expected


def test_a_lead_that_may_be_rounding_decides_nothing() -> None:
    tenths = [voter((i,), "a", 0.1) for i in range(3)]
    assert not ballot_of(Selection.WEIGHTED, *tenths).is_decided([0.1, 0.1, 0.1 - 1e-12])


def test_candidates_rank_by_score_then_by_path_and_the_unjudged_last() -> None:
    unjudged, late, early, best = (
        voter((0,), "a", None),
        voter((2,), "a", 0.5),
        voter((1,), "a", 0.5),
        voter((3,), "a", 1),
    )
    assert rank([unjudged, late, early, best]) == (best, early, late, unjudged)


@each_selection
def test_a_refuted_answer_is_counted_and_not_elected(selection: Selection) -> None:
    refuted = [voter((i,), "a", 1.0, is_verified=False) for i in range(3)]
    ballot = ballot_of(selection, *refuted, voter((3,), "b", 0.1, is_verified=True), voter((4,), "c", 0.05))
    assert [(vote.answer, vote.count) for vote in ballot.votes()] == [("b", 1), ("c", 1), (None, 3)]
    assert ballot_of(selection, *refuted).winner() is None


@each_selection
def test_kinds_are_voted_on_before_the_answers_of_the_elected_one(selection: Selection) -> None:
    given = [("x1", "x", 0.3), ("x2", "x", 0.3), ("x3", "x", 0.4), ("y1", "y", 0.35), ("y1", "y", 0.35)]
    ballot = ballot_of(selection, *[voter((i,), key, score, kind=kind) for i, (key, kind, score) in enumerate(given)])
    winner = ballot.winner()
    assert winner is not None
    assert winner.answer is not None
    assert winner.answer.key == ("x1" if selection is Selection.MAJORITY else "x3")
    assert [vote.count for vote in ballot.votes()] == [1, 1, 1, 2]


def test_without_kinds_the_most_frequent_of_the_same_answers_wins() -> None:
    given = [("x1", 0.3), ("x2", 0.3), ("x3", 0.4), ("y1", 0.35), ("y1", 0.35)]
    ballot = ballot_of(Selection.MAJORITY, *[voter((i,), key, score) for i, (key, score) in enumerate(given)])
    assert ballot.votes()[0].answer == "y1"


@st.composite
def any_voters(draw: st.DrawFn) -> list[Candidate]:
    said = st.one_of(st.none(), st.tuples(st.sampled_from("xyz"), st.sampled_from("12")))
    given = draw(st.lists(st.tuples(said, st.sampled_from([0.0, 0.3, 0.6, 1.0]), st.booleans()), max_size=10))
    return [
        voter((i,), kind and "".join(kind), score, is_verified=None if is_unchecked else False, kind=kind and kind[0])
        for i, (kind, score, is_unchecked) in enumerate(given)
    ]


@settings(max_examples=500)
@given(voters=any_voters(), num_cast=st.integers(0, 10), selection=st.sampled_from(Selection))
def test_a_decided_vote_on_kinds_and_answers_stays(
    voters: list[Candidate], num_cast: int, selection: Selection
) -> None:
    ballot = ballot_of(selection, *voters[:num_cast])
    if ballot.is_decided([1.0] * len(voters[num_cast:])):
        before, after = ballot.votes()[0], ballot_of(selection, *voters).votes()[0]
        assert before.answer == after.answer


def test_a_kind_that_leads_decides_nothing_while_its_answers_do_not() -> None:
    voters = [voter((i,), key, 1.0, kind=key[0]) for i, key in enumerate(["x1", "x2", "x1", "x2"])]
    assert not ballot_of(Selection.MAJORITY, *voters).is_decided([1.0])
    assert ballot_of(Selection.MAJORITY, *voters, voter((4,), "x1", 1.0, kind="x")).is_decided([])
    assert not ballot_of(Selection.MAJORITY, *voters[::2]).is_decided([1.0] * 2)
    assert ballot_of(Selection.MAJORITY, *voters[::2]).is_decided([1.0])


ENDS = st.sampled_from(["a", "b", "c", None])


def completions(ceilings: Sequence[float | None], first: int) -> Iterator[list[Candidate]]:
    """All ways in which those outstanding can vote, before (`first` below 0) or behind all others."""
    ways: list[list[Candidate | None]] = []
    for place, ceiling in enumerate(ceilings):
        ends = product(("a", "b", "c", "new"), {ceiling, ceiling and 0.0})
        ways.append([None, *(voter((first, place), key, score) for key, score in ends)])
    for way in product(*ways):
        yield [each for each in way if each]


def changes(selection: Selection, cast: Sequence[Candidate], ceilings: Sequence[float | None]) -> bool:
    before = ballot_of(selection, *cast).votes()[0].answer
    ends = (end for first in (-1, 99) for end in completions(ceilings, first))
    return any(ballot_of(selection, *cast, *end).votes()[0].answer != before for end in ends)


@settings(max_examples=300)
@given(keys=st.lists(ENDS, max_size=9), number=st.integers(0, 2))
def test_a_majority_at_the_line_stays_and_one_below_it_may_change(keys: list[str | None], number: int) -> None:
    cast = [voter((place,), key, None) for place, key in enumerate(keys)]
    tally = ballot_of(Selection.MAJORITY, *cast).tally([1.0] * number)
    assert tally.outstanding == number
    if tally.line is None:
        assert set(keys) <= {None}
        return
    assert changes(Selection.MAJORITY, cast, [None] * number) is (tally.votes[0].count < tally.line)


@settings(max_examples=300)
@given(
    selection=st.sampled_from([Selection.WEIGHTED, Selection.BEST]),
    given_=st.lists(st.tuples(ENDS, st.sampled_from([0.0, 0.25, 0.5, 1.0])), max_size=8),
    ceilings=st.lists(st.sampled_from([0.25, 0.5, 1.0]), max_size=2),
)
def test_a_vote_by_score_at_the_line_stays(
    selection: Selection, given_: list[tuple[str | None, float]], ceilings: list[float]
) -> None:
    cast = [voter((place,), key, score) for place, (key, score) in enumerate(given_)]
    tally = ballot_of(selection, *cast).tally(ceilings)
    if tally.line is None:
        return
    leader = tally.votes[0]
    support = leader.weight if selection is Selection.WEIGHTED else leader.candidates[0].score
    assert support is not None
    if support >= tally.line:
        assert not changes(selection, cast, ceilings)
    elif selection is Selection.WEIGHTED:  # a lead that the outstanding can more than equal is lost
        assert changes(selection, cast, ceilings) or support >= tally.line - 2 * ROUNDING


def test_the_line_of_an_answer_counts_on_others_of_its_kind() -> None:
    keys = ["x1", "x1", "x1", "x2", "y1", "y1"]
    voters = [voter((i,), key, 1.0, kind=key[0]) for i, key in enumerate(keys)]
    assert ballot_of(Selection.MAJORITY, *voters).tally([1.0]).line == 3  # and x2, which lifts x to 4
    assert ballot_of(Selection.MAJORITY, *voters[:3], *voters[4:]).tally([1.0] * 2).line == 5


def test_a_tournament_has_no_line() -> None:
    assert ballot_of(Selection.TOURNAMENT, voter((0,), "a", 1.0)).tally([0.1]).line is None
