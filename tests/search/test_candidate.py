import pytest

from models.interfaces import Finish, Step
from search.answers.answer import Answer
from search.candidate import Candidate
from search.voting import voted
from tests.search.helpers import voter

OPEN = Step("a\n\n", (1, 2), Finish.STEP)
LAST = Step("b", (3,), Finish.END)
CUT = Step("b", (3,), Finish.LENGTH)
BLANK = Step(" \n", (), Finish.END)


@pytest.mark.parametrize(
    ("steps", "is_growing", "is_complete", "is_final"),
    [
        ((), True, False, False),
        ((OPEN,), True, False, False),
        ((OPEN, LAST), False, True, True),
        ((OPEN, CUT), False, False, True),
    ],
)
def test_its_last_step_says_how_far_it_is(
    steps: tuple[Step, ...], is_growing: bool, is_complete: bool, is_final: bool
) -> None:
    candidate = Candidate(steps=steps)
    assert (candidate.is_growing, candidate.is_complete, candidate.is_final) == (is_growing, is_complete, is_final)


def test_a_stopped_candidate_neither_grows_nor_is_final() -> None:
    candidate = Candidate(steps=(OPEN,), is_stopped=True)
    assert not candidate.is_growing
    assert not candidate.is_final


def test_a_child_shares_the_steps_of_its_parent_which_stays_as_it_was() -> None:
    parent = Candidate((7,), (OPEN,), (0.5,), 0.5)
    child = parent.child(3).extend(LAST)
    assert (child.path, child.text, child.num_tokens) == ((7, 3), "a\n\nb", 3)
    assert (parent.path, parent.steps, child.step_scores) == ((7,), (OPEN,), (0.5,))


def test_steps_without_a_score_are_unjudged() -> None:
    assert Candidate(steps=(OPEN, LAST), step_scores=(0.5,)).unjudged_steps == (LAST,)


@pytest.mark.parametrize(("is_verified", "votes"), [(True, True), (None, True), (False, False)])
def test_it_votes_for_what_it_states_unless_that_is_refuted(is_verified: bool | None, votes: bool) -> None:
    candidate = voter((0,), "7", None, is_verified)
    stated = Answer("7", "7", is_verified)
    assert candidate.answer == stated
    assert voted(candidate) == (stated if votes else None)


def test_tokens_behind_the_thoughts_are_those_of_what_is_shown() -> None:
    candidate = Candidate(steps=(Step("hm\n", (1, 2), Finish.STEP, is_thinking=True), OPEN, LAST))
    assert (candidate.num_tokens, candidate.num_shown_tokens) == (5, 3)
