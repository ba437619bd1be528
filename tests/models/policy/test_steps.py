"""Where steps are cut, on texts cut into tokens by hand, and on any ids."""

import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.checkpoints.tokenizer import ChatTokenizer
from models.interfaces import Delimiter, Finish, Markers, Step, StepRule, TokenCount
from models.policy.steps import StepSplitter
from tests.conftest import DEMO
from tests.models.naive_steps import naive_steps
from tests.models.problems import ids_of, text_of
from tests.models.tiny import END_ID, NUM_TOKENS
from tests.models.tokenizers import SAVES, ugly_texts

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


@given(token_ids=TOKEN_IDS)
def test_any_ids_are_cut_into_texts_that_join_to_their_text(splitter: Splitter, token_ids: list[int]) -> None:
    steps = splitter.cut(token_ids)
    assert ids_of(steps) == token_ids
    assert text_of(steps) == splitter.tokenizer.decode(token_ids)


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


@given(token_ids=TOKEN_IDS)
def test_a_response_cut_in_two_requests_is_cut_in_the_same_places(splitter: Splitter, token_ids: list[int]) -> None:
    first, *rest = splitter.cut(token_ids)
    again = StepSplitter(splitter.tokenizer, [first]).feed(ids_of(rest), Finish.END)
    assert list(again) == rest or not rest


Tokenizers = dict[str, ChatTokenizer]


class CountingTokenizer(ChatTokenizer):
    """Counts the ids that it decodes."""

    num_decoded = 0

    def decode(self, token_ids: Sequence[int]) -> str:
        self.num_decoded += len(token_ids)
        return super().decode(token_ids)


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> Tokenizers:
    directory = tmp_path_factory.mktemp("tokenizers")
    return {name: save(directory / name) for name, save in SAVES.items()}


@st.composite
def responses(draw: st.DrawFn, tokenizer: ChatTokenizer) -> list[int]:
    """Ids, most of them newlines, pieces of characters and special tokens, in runs that come back."""
    some = st.sampled_from(
        [
            *range(len(tokenizer.vocabulary)),
            *sorted(tokenizer.newline_ids) * 8,
            *[token_id for token_id, piece in tokenizer.pieces.items() if isinstance(piece, bytes)],
            *[tokenizer.vocabulary[name] for name in ("<0x0A>", "<0xC3>", "<0xA9>") if name in tokenizer.vocabulary]
            * 8,
        ]
    )
    pool = draw(st.lists(some, min_size=1, max_size=6))
    return draw(st.lists(st.sampled_from(pool), min_size=1, max_size=24))


@pytest.mark.parametrize("name", SAVES)
@settings(max_examples=200)
@given(data=st.data())
def test_steps_are_those_of_decoding_all_ids_anew_at_every_token(
    tokenizers: Tokenizers, name: str, data: st.DataObject
) -> None:
    tokenizer = tokenizers[name]
    token_ids = data.draw(responses(tokenizer))
    expected = list(naive_steps(tokenizer, (), token_ids, Finish.END))
    assert list(StepSplitter(tokenizer, ()).feed(token_ids, Finish.END)) == expected
    prefix = expected[: data.draw(st.integers(0, len(expected) - 1))]
    rest = ids_of(expected[len(prefix) :])
    again = StepSplitter(tokenizer, prefix).feed(rest, Finish.LENGTH)
    assert list(again) == list(naive_steps(tokenizer, prefix, rest, Finish.LENGTH))


def test_no_token_is_decoded_again() -> None:
    tokenizer = CountingTokenizer(DEMO / "policy")
    splitter = StepSplitter(tokenizer, ())
    tokenizer.num_decoded = 0
    newline, emoji = tokenizer.encode("\n"), tokenizer.encode("😀")
    assert list(splitter.feed([*emoji, *newline, *emoji] * 1000, Finish.END))
    assert tokenizer.num_decoded <= 1  # the first: a text may begin otherwise than it goes on


@pytest.mark.parametrize("name", SAVES)
def test_long_responses_cost_no_more_for_each_token(tokenizers: Tokenizers, name: str) -> None:
    """1,000 tokens cost 1.8 ms, and of a response of 32,000 they cost 1,070 ms when all ids were decoded again."""
    tokenizer = tokenizers[name]
    assert tokenizer.pieces

    def cost(token_ids: list[int]) -> float:
        splitter, start = StepSplitter(tokenizer, ()), time.thread_time()
        for first in range(0, len(token_ids), 16):
            list(splitter.feed(token_ids[first : first + 16], None))
        return time.thread_time() - start

    for text, token_ids in ugly_texts(tokenizer, 8_000).items():
        short, long = ([cost(token_ids[:length]) for _ in range(5)] for length in (1_000, 8_000))
        assert min(long) < 3 * 8 * min(short), text  # of eight times the length; by decoding anew, 64 times as much


@pytest.mark.parametrize("rule", [Delimiter(), Delimiter("o"), TokenCount(3), Markers(("So", "Wait"))], ids=str)
@pytest.mark.parametrize("num_at_once", [1, 2, 100])
def test_what_was_said_of_a_token_stays_with_it(
    tiny_tokenizer: ChatTokenizer, rule: StepRule, num_at_once: int
) -> None:
    """Of every third token nothing was: that was written, not sampled."""
    ids = tiny_tokenizer.encode("First, add.\n\nSo 1 + 1.\n\nWait, no.\nSo 2.\n\nThat is all")
    said = [(float(place), -float(place)) if place % 3 else None for place in range(len(ids))]
    splitter = StepSplitter(tiny_tokenizer, (), rule, has_confidences=True)
    steps: list[Step] = []
    for start in range(0, len(ids), num_at_once):
        piece = slice(start, start + num_at_once)
        steps += splitter.feed(ids[piece], Finish.END if piece.stop >= len(ids) else None, said[piece])
    assert len(steps) > 2
    assert tuple(ids_of(steps)) == tuple(ids)
    place = 0
    for step in steps:
        places = range(place, place := place + len(step.token_ids))
        known = [each for each in places if each % 3]
        assert (list(step.confidences or ()), list(step.logprobs or ())) == (known, [-each for each in known])
        assert list(step.ahead_confidences or ()) == said[place : place + len(step.ahead)]


def test_the_next_step_begins_with_what_was_said_of_the_tokens_ahead(tiny_tokenizer: ChatTokenizer) -> None:
    rule, ids = Markers(("Wait",)), tiny_tokenizer.encode("One.\nWait, two")
    said = [(float(place), -1.0) for place in range(len(ids))]
    first = next(StepSplitter(tiny_tokenizer, (), rule, has_confidences=True).feed(ids, None, said))
    assert first.ahead
    rest = StepSplitter(tiny_tokenizer, [first], rule, has_confidences=True)
    (second,) = rest.feed(first.ahead, Finish.LENGTH, first.ahead_confidences)
    num_first = len(first.token_ids)
    assert list(second.confidences or ()) == list(range(num_first, num_first + len(first.ahead)))


def test_steps_have_no_confidences_where_nobody_asked(tiny_tokenizer: ChatTokenizer) -> None:
    (step,) = StepSplitter(tiny_tokenizer, ()).feed(tiny_tokenizer.encode("a"), Finish.END)
    assert step.confidences is step.logprobs is None
