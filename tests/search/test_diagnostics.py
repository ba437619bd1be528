import math
from dataclasses import replace

import pytest

from models.interfaces import Finish, Step
from search.candidate import Candidate
from search.diagnostics import Diagnostics, FieldAgreement, Novelty, Sign, diagnose
from search.stopping import Rule, Stop
from search.voting import Ballot, Selection
from tests.search.helpers import voter

TRUNCATED = Candidate((9,), (Step("x", (1,), Finish.LENGTH),))


def diagnosis_of(*candidates: Candidate) -> Diagnostics:
    ballot: Ballot[Candidate] = Ballot(Selection.WEIGHTED)
    for candidate in candidates:
        ballot.cast(candidate)
    return diagnose(ballot.votes(), candidates)


def test_an_early_stop_has_taken_the_smaller_n_already() -> None:
    ballot: Ballot[Candidate] = Ballot(Selection.MAJORITY)
    for place in range(8):
        ballot.cast(voter((place,), "1", None))
    stops = [None, Stop(Rule.ALL, 8, 8, 0.0), Stop(Rule.PROBABLE, 9, 64, 0.04)]
    signs = [[each.sign for each in diagnose(ballot.votes(), [], stopping=stop).warnings] for stop in stops]
    assert signs == [[Sign.SATURATED], [Sign.SATURATED], []]


def texts_of(found: Diagnostics) -> list[str]:
    return [caution.text for caution in found.warnings]


def test_a_vote_is_measured_as_by_hand() -> None:
    given = [("a", 0.75), ("a", 0.75), ("b", 0.25), (None, 0.25)]
    found = diagnosis_of(*[voter((i,), key, score) for i, (key, score) in enumerate(given)])
    assert (found.agreement, found.distinct_answers) == (2 / 4, 2)
    assert found.entropy == pytest.approx(2 / 3 * math.log(3 / 2) + 1 / 3 * math.log(3))
    assert (found.score_mean, found.score_std, found.best_minus_mean) == (0.5, 0.25, 0.25)


def test_agreement_is_that_with_the_elected_answer_though_another_is_more_frequent() -> None:
    found = diagnosis_of(voter((0,), "a", 0.9), voter((1,), "b", 0.1), voter((2,), "b", 0.1))
    assert found.agreement == 1 / 3


def test_where_all_agree_there_is_no_entropy() -> None:
    found = diagnosis_of(voter((0,), "a", 0.2), voter((1,), "a", 0.6))
    assert (found.agreement, found.entropy, found.warnings) == (1.0, 0.0, ())


def test_without_candidates_there_is_nothing_to_measure() -> None:
    assert diagnosis_of() == Diagnostics(None, None, 0, 0, None, None, None, ())


def test_without_scores_none_are_measured() -> None:
    found = diagnosis_of(voter((0,), "a", None), voter((1,), "a", None))
    assert (found.score_mean, found.score_std, found.best_minus_mean, found.warnings) == (None, None, None, ())


@pytest.mark.parametrize(
    ("candidates", "warning"),
    [
        ([voter((0,), "a", 0.5), TRUNCATED], "1 of 2 responses were truncated and did not vote"),
        (
            [voter((0,), "a", 0.5), voter((1,), "a", 0.9), voter((2,), None, 0.1)],
            "1 of 3 complete responses state no answer and did not vote",
        ),
        (
            [voter((0,), "a", 0.5), voter((1,), None, 0.9), voter((2,), None, 0.1)],
            "2 of 3 complete responses state no answer and did not vote: ask for it in the system_prompt, as in: "
            r"put your final answer within \boxed{}",
        ),
        (
            [voter((0,), "a", 0.5), voter((1,), "a", 0.9), voter((2,), "b", 0.1, is_verified=False)],
            "1 of 3 complete responses give an answer that fails the check: no vote",
        ),
        ([voter((0,), "a", 0.5), voter((1,), "b", 0.9)], "no two responses agree on an answer"),
        (
            [voter((0,), "a", 0.5), voter((1,), "a", 0.51)],
            "all scores are similar: the verifier does not tell the responses apart",
        ),
        (
            [voter((i,), "ab"[i % 2], 0.9 if i else 0.85) for i in range(20)],
            "the best score is no better than the mean",
        ),
        ([voter((0,), "a", 0.5 + i / 9) for i in range(3)], "only 1 of 3 responses are different"),
        (
            [voter((i,), "a" if i else "b", i / 10) for i in range(10)],
            "9 of 10 responses agree: a smaller n would have given the same answer",
        ),
    ],
)
def test_what_a_reader_should_know_is_said(candidates: list[Candidate], warning: str) -> None:
    assert texts_of(diagnosis_of(*candidates)) == [warning]


@pytest.mark.parametrize("scores", [(0.5, 0.5, 0.5), (0.5, 0.501, 0.5), (0.9, 0.1, 0.5)])
def test_a_verifier_that_saw_one_response_is_not_judged_by_its_copies(scores: tuple[float, ...]) -> None:
    copies = [replace(voter((0,), "a", score), path=(place,)) for place, score in enumerate(scores)]
    assert texts_of(diagnosis_of(*copies)) == ["only 1 of 3 responses are different"]


def test_copies_of_a_response_do_not_hide_that_the_verifier_tells_it_from_another() -> None:
    copies = [replace(voter((0,), "a", 0.99), path=(place,)) for place in range(199)]
    found = diagnosis_of(*copies, voter((199,), "b", 0.3))
    assert {caution.sign for caution in found.warnings} == {Sign.LOW_DIVERSITY, Sign.SATURATED}


def test_one_response_alone_is_no_reason_to_warn() -> None:
    assert diagnosis_of(voter((0,), "a", 0.5)).warnings == ()


def test_refuted_answers_are_counted_apart_from_none() -> None:
    given = [("a", True), ("a", None), ("b", False), ("c", False), (None, None)]
    found = diagnosis_of(*[voter((i,), key, i / 10, verified) for i, (key, verified) in enumerate(given)])
    assert (found.refuted, found.distinct_answers, found.agreement) == (2, 1, 2 / 5)
    assert [text[:6] for text in texts_of(found)] == ["1 of 5", "2 of 5"]


def test_the_fields_of_the_elected_answer_have_an_agreement_each() -> None:
    x, y = (("/a", "1"), ("/b", "2")), (("/a", "1"), ("/b", "3"))
    found = diagnosis_of(
        voter((0,), "x", 0.5, fields=x),
        voter((1,), "x", 0.5, fields=x),
        voter((2,), "y", 0.25, fields=y),
        voter((3,), None, 0.75),
    )
    assert found.fields == (FieldAgreement("/a", 3 / 4, 1.25 / 2), FieldAgreement("/b", 2 / 4, 1 / 2))


def test_fields_of_what_was_not_judged_have_no_confidence() -> None:
    found = diagnosis_of(voter((0,), "x", None, fields=(("", "1"),)))
    assert found.fields == (FieldAgreement("", 1.0, None),)


def test_a_document_that_states_no_answer_is_not_asked_for_a_box() -> None:
    silent: Ballot[Candidate] = Ballot(Selection.MAJORITY)
    silent.cast(voter((0,), None, None))
    (warning,) = diagnose(silent.votes(), [], is_structured=True).warnings
    assert warning.text == "1 of 1 complete responses state no answer and did not vote"


@pytest.mark.parametrize(("share", "familiar"), [(0.0, True), (0.1, True), (0.11, False), (1.0, False)])
def test_a_problem_is_unfamiliar_above_the_limit_and_that_is_the_first_warning(share: float, familiar: bool) -> None:
    before = diagnosis_of(voter((0,), None, 0.5))
    found = before.comparing(Novelty(share, 0.1), "it is for sums")
    assert (before.familiar, found.familiar) == (None, familiar)
    first = [] if familiar else ["unfamiliar problem: it is for sums; confidence does not hold here"]
    assert texts_of(found) == [*first, *texts_of(before)]
