"""Where steps are cut, on texts cut into tokens by hand, and on any ids."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.checkpoints.tokenizer import ChatTokenizer
from models.interfaces import Finish, Step
from models.policy.steps import StepSplitter
from tests.models.problems import ids_of, text_of
from tests.models.tiny import END_ID, NUM_TOKENS

TOKEN_IDS = st.lists(st.integers(0, NUM_TOKENS - 1), min_size=1, max_size=60)


class Splitter:
    """Cuts pieces of text, of which each is at least one token."""

    def __init__(self, tokenizer: ChatTokenizer) -> None:
        self.tokenizer = tokenizer

    def steps(self, *pieces: str, finish: Finish = Finish.END) -> list[Step]:
        return self.cut([token_id for piece in pieces for token_id in self.tokenizer.encode(piece)], finish)

    def texts(self, *pieces: str) -> list[str]:
        return [step.text for step in self.steps(*pieces)]

    def cut(self, token_ids: list[int], finish: Finish = Finish.END) -> list[Step]:
        return list(StepSplitter(self.tokenizer, ()).feed(token_ids, finish))


@pytest.fixture(scope="module")
def splitter(tiny_tokenizer: ChatTokenizer) -> Splitter:
    return Splitter(tiny_tokenizer)


def test_a_step_ends_with_its_delimiter(splitter: Splitter) -> None:
    assert splitter.texts("a\n\n", "b") == ["a\n\n", "b"]


def test_a_delimiter_of_two_tokens_ends_a_step(splitter: Splitter) -> None:
    assert splitter.texts("a\n", "\n", "b") == ["a\n\n", "b"]


def test_a_token_that_runs_past_the_delimiter_takes_the_step_with_it(splitter: Splitter) -> None:
    assert len(splitter.tokenizer.encode("$.\n\n## ")) == 1
    assert splitter.texts("a", "$.\n\n## ", "b") == ["a$.\n\n## ", "b"]


def test_a_single_newline_ends_nothing(splitter: Splitter) -> None:
    assert splitter.texts("a\nb\n", "c") == ["a\nb\nc"]


def test_a_step_without_visible_text_goes_on(splitter: Splitter) -> None:
    assert splitter.texts("\n\n", "a\n", "b\n\n", "c") == ["\n\na\nb\n\n", "c"]


def test_a_response_that_ends_right_behind_a_delimiter_ends_with_a_blank_step(splitter: Splitter) -> None:
    steps = splitter.cut([*splitter.tokenizer.encode("a\n\n"), END_ID])
    assert steps[-1] == Step("", (END_ID,), Finish.END)


def test_a_delimiter_at_the_token_limit_ends_the_response(splitter: Splitter) -> None:
    assert [step.finish for step in splitter.steps("a\n\n", finish=Finish.LENGTH)] == [Finish.LENGTH]


@settings(deadline=None)
@given(token_ids=TOKEN_IDS)
def test_any_ids_are_cut_into_texts_that_join_to_their_text(splitter: Splitter, token_ids: list[int]) -> None:
    steps = splitter.cut(token_ids)
    assert ids_of(steps) == token_ids
    assert text_of(steps) == splitter.tokenizer.decode(token_ids)


@settings(deadline=None)
@given(token_ids=TOKEN_IDS, size=st.integers(1, 10))
def test_steps_do_not_depend_on_how_many_tokens_come_at_once(
    splitter: Splitter, token_ids: list[int], size: int
) -> None:
    piecewise = StepSplitter(splitter.tokenizer, ())
    steps = [
        step
        for start in range(0, len(token_ids), size)
        for step in piecewise.feed(
            token_ids[start : start + size], Finish.END if start + size >= len(token_ids) else None
        )
    ]
    assert steps == splitter.cut(token_ids)


@settings(deadline=None)
@given(token_ids=TOKEN_IDS)
def test_a_response_cut_in_two_requests_is_cut_in_the_same_places(splitter: Splitter, token_ids: list[int]) -> None:
    first, *rest = splitter.cut(token_ids)
    again = StepSplitter(splitter.tokenizer, [first]).feed(ids_of(rest), Finish.END)
    assert list(again) == rest or not rest
