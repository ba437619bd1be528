"""Steps by other rules than the blank line: what each cuts, and the laws that hold for all of them."""

import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.checkpoints.tokenizer import ChatTokenizer
from models.interfaces import PARAGRAPHS, Delimiter, Finish, Markers, Step, StepRule, TokenCount
from models.policy.blocks import Blocks
from models.policy.steps import StepSplitter
from tests.models.naive_steps import naive_steps
from tests.models.problems import ids_of, text_of
from tests.models.tiny import END_ID
from tests.models.tokenizers import SAVES

WORDS = Markers(("Wait", "So", "Therefore", "## Step"))
LINES = Delimiter("\n")
RULES: dict[str, StepRule] = {
    "paragraphs": PARAGRAPHS,
    "lines": LINES,
    "sentences": Delimiter(". "),
    "a visible delimiter": Delimiter("So"),
    "a delimiter of dollars": Delimiter("$$"),
    "a letter outside ASCII": Delimiter("é"),
    "one token": TokenCount(1),
    "three tokens": TokenCount(3),
    "words": WORDS,
    "markers that are marks": Markers(("$$", "-", "a\nb")),
}
PIECES = (
    *("a", "b", " ", "\n", "\n\n", ". ", "! ", "Wait", "So", "Sorry", "## Step", "- ", "**", "1. ", ","),
    *("```", "```\n", "$$", "\\[", "\\]", "\\", "é", "😀"),
)
each_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


class Splitter:
    """Cuts pieces of text, of which each is at least one token."""

    def __init__(self, tokenizer: ChatTokenizer) -> None:
        self.tokenizer = tokenizer

    def texts(self, rule: StepRule, *pieces: str) -> list[str]:
        token_ids = [token_id for piece in pieces for token_id in self.tokenizer.encode(piece)]
        return [step.text for step in self.cut(rule, [*token_ids, END_ID])]

    def cut(self, rule: StepRule, token_ids: list[int]) -> list[Step]:
        return list(StepSplitter(self.tokenizer, (), rule).feed(token_ids, Finish.END))


@pytest.fixture(scope="module")
def splitter(tiny_tokenizer: ChatTokenizer) -> Splitter:
    return Splitter(tiny_tokenizer)


def test_a_delimiter_may_be_any_text(splitter: Splitter) -> None:
    assert splitter.texts(LINES, "a\n", "b\n", "c") == ["a\n", "b\n", "c"]
    assert splitter.texts(Delimiter("---"), "a-", "--", "b") == ["a---", "b"]


def test_a_delimiter_that_shows_ends_a_step_behind_something_else(splitter: Splitter) -> None:
    assert splitter.texts(Delimiter("So"), "So", " a", "So", " b") == ["So aSo", " b"]


def test_a_step_has_so_many_tokens(splitter: Splitter) -> None:
    assert splitter.texts(TokenCount(2), *"abcde") == ["ab", "cd", "e"]


def test_tokens_that_show_nothing_make_no_step_alone(splitter: Splitter) -> None:
    assert splitter.texts(TokenCount(1), "\n", "\n", "a", "b") == ["\n\na", "b", ""]  # END_ID


def test_a_step_of_tokens_ends_with_a_whole_character(splitter: Splitter) -> None:
    assert len(splitter.tokenizer.encode("😀")) == 4
    assert splitter.texts(TokenCount(2), "😀", "a", "b", "c") == ["😀", "ab", "c"]


@pytest.mark.parametrize(
    ("pieces", "steps"),
    [
        (("a\n", "Wait", ",", " b"), ["a\n", "Wait, b"]),
        (("a.", " ", "So", " b"), ["a. ", "So b"]),
        (("a", " So", " b"), ["a So b"]),
        (("a\n", "Sorry", " b"), ["a\nSorry b"]),
        (("Wait", ",", " a\n", "Wait", ",", " b"), ["Wait, a\n", "Wait, b"]),
        (("a\n", "**", "Wait", "**", " b"), ["a\n", "**Wait** b"]),
        (("a\n", "1", ". ", "So", " b"), ["a\n", "1. So b"]),
        (("a\n", "## ", "So", " b"), ["a\n", "## So b"]),
        (("a\n", "## S", "tep", " 1", "\n", "## S", "tep", " 2"), ["a\n", "## Step 1\n", "## Step 2"]),
        (("a", "\n", "W", "a", "i", "t", "!"), ["a\n", "Wait!"]),
        (("a\n", "So"), ["a\nSo"]),
    ],
    ids=str,
)
def test_a_marker_begins_a_step_where_a_line_or_a_sentence_begins(
    splitter: Splitter, pieces: tuple[str, ...], steps: list[str]
) -> None:
    assert splitter.texts(WORDS, *pieces) == steps


def test_a_token_that_holds_the_beginning_of_a_marker_belongs_to_its_step(splitter: Splitter) -> None:
    assert len(splitter.tokenizer.encode("$.\n\n## ")) == 1
    assert splitter.texts(Markers(("##",)), "a", "$.\n\n## ", "b") == ["a", "$.\n\n## b"]


def test_a_token_that_ends_within_a_character_ends_no_step(splitter: Splitter) -> None:
    first, *_ = splitter.tokenizer.encode("😀")
    behind = [token_id for piece in ("$.\n\n## ", "b") for token_id in splitter.tokenizer.encode(piece)]
    assert len(splitter.cut(Markers(("##",)), [first, *behind])) == 1


def test_chinese_needs_no_spaces_around_a_marker(splitter: Splitter) -> None:
    assert splitter.texts(Markers(("等等",)), "好。", "等等", "不对") == ["好。", "等等不对"]


def test_a_step_before_a_marker_has_the_tokens_that_showed_it_ahead(splitter: Splitter) -> None:
    first, last = splitter.cut(
        WORDS, [id_ for text in ("a\n", "Wait", ",", " b") for id_ in splitter.tokenizer.encode(text)]
    )
    assert splitter.tokenizer.decode(first.ahead) == "Wait,"
    assert last.ahead == ()


@pytest.mark.parametrize(
    "block",
    [
        "```python\na = 1\n\nb = 2\n```",
        "~~~\na\n\nb\n~~~",
        "````\n```\n\n```\n````",
        "  ```\n  a\n\n  b\n  ```",
        "\\[\na\n\nb\n\\]",
        "\\[ a \\\\[2pt]\n\nb \\]",
        "$$\na\n\nb\n$$",
        "\\begin{align}\na\n\n\\begin{cases}\nb\n\\end{cases}\n\nc\n\\end{align}",
    ],
    ids=repr,
)
def test_nothing_in_a_code_block_or_a_displayed_formula_cuts_a_step(splitter: Splitter, block: str) -> None:
    assert splitter.texts(PARAGRAPHS, *f"x\n\n{block}\n\ny") == ["x\n\n", f"{block}\n\n", "y"]
    assert splitter.texts(LINES, *f"x\n{block}\ny") == ["x\n", f"{block}\n", "y"]
    assert splitter.texts(Markers(("a", "b")), *f"x\n{block}\na y") == [f"x\n{block}\n", "a y"]


@pytest.mark.parametrize("text", ["x `a\n\nb", "x ```\n\nb", "\\\\[2pt]\n\nb", "US\\$$5\n\nb", "\\]\n\nb", "\\(a\n\nb"])
def test_what_only_looks_like_a_block_is_text(splitter: Splitter, text: str) -> None:
    assert len(splitter.texts(PARAGRAPHS, *text)) == 2


@pytest.mark.parametrize("opening", ["```\n", "\\[", "$$", "\\begin{align}"])
def test_a_block_that_is_never_closed_is_text_after_some_lines(splitter: Splitter, opening: str) -> None:
    steps = splitter.texts(PARAGRAPHS, *f"{opening} a\n\n", *"b\n\n" * 500)
    assert len(steps) > 200
    assert steps[0].count("\n") > 20


@pytest.mark.parametrize("mark", ["`", "~"])
def test_a_fence_without_an_end_costs_no_more_for_each_character(mark: str) -> None:
    blocks, start = Blocks(), time.thread_time()
    for _ in range(4_000):
        blocks.read(mark)
    assert time.thread_time() - start < 1


def test_a_token_count_cuts_blocks_too(splitter: Splitter) -> None:
    assert splitter.texts(TokenCount(3), *"$$a$$bc") == ["$$a", "$$b", "c"]


def test_a_response_has_a_thousand_steps_at_most(splitter: Splitter) -> None:
    token_ids = [*splitter.tokenizer.encode("a") * 5_000, END_ID]
    steps = splitter.cut(TokenCount(1), token_ids)
    assert [len(step.token_ids) for step in steps] == [1] * 1023 + [5_001 - 1023]
    again = StepSplitter(splitter.tokenizer, steps[:1000], TokenCount(1)).feed(token_ids[1000:], Finish.END)
    assert list(again) == steps[1000:]


@st.composite
def responses(draw: st.DrawFn, tokenizer: ChatTokenizer) -> list[int]:
    """Ids of what rules look for, and any others, in runs that come back."""
    pieces = [tokenizer.encode(piece) for piece in PIECES]
    others = [[token_id] for token_id in tokenizer.pieces]
    pool = draw(st.lists(st.one_of(st.sampled_from(pieces), st.sampled_from(others)), min_size=1, max_size=8))
    chosen = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=24))
    return [token_id for piece in chosen for token_id in piece]


Tokenizers = dict[str, ChatTokenizer]


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> Tokenizers:
    directory = tmp_path_factory.mktemp("tokenizers")
    return {name: save(directory / name) for name, save in SAVES.items()}


@each_rule
@pytest.mark.parametrize("name", SAVES)
@settings(max_examples=30)
@given(data=st.data())
def test_the_cuts_do_not_depend_on_how_the_tokens_come(
    tokenizers: Tokenizers, name: str, rule: StepRule, data: st.DataObject
) -> None:
    tokenizer = tokenizers[name]
    token_ids, size = data.draw(responses(tokenizer)), data.draw(st.integers(1, 10))
    steps = Splitter(tokenizer).cut(rule, token_ids)
    assert ids_of(steps) == token_ids
    assert not any(step.is_blank for step in steps[:-1])
    pieces = [token_ids[start : start + size] for start in range(0, len(token_ids), size)]
    piecewise = StepSplitter(tokenizer, (), rule)
    assert [
        step
        for number, piece in enumerate(pieces, 1)
        for step in piecewise.feed(piece, Finish.END if number == len(pieces) else None)
    ] == steps
    prefix = steps[: data.draw(st.integers(0, len(steps) - 1))]
    again = StepSplitter(tokenizer, prefix, rule)
    assert list(again.feed(token_ids[len(ids_of(prefix)) :], Finish.END)) == steps[len(prefix) :]


@each_rule
@settings(max_examples=150)
@given(data=st.data())
def test_the_cuts_are_those_of_reading_the_whole_text_at_every_token(
    splitter: Splitter, rule: StepRule, data: st.DataObject
) -> None:
    token_ids = data.draw(responses(splitter.tokenizer))
    steps = splitter.cut(rule, token_ids)
    assert text_of(steps) == splitter.tokenizer.decode(token_ids)
    assert steps == list(naive_steps(splitter.tokenizer, (), token_ids, Finish.END, rule))


@pytest.mark.parametrize("rule", [LINES, Delimiter(". "), TokenCount(3), WORDS], ids=str)
@pytest.mark.parametrize("name", ["byte-level", "SentencePiece"])
def test_long_responses_cost_no_more_for_each_token(tokenizers: Tokenizers, name: str, rule: StepRule) -> None:
    tokenizer = tokenizers[name]
    patterns = {text: tokenizer.encode(text) for text in ("\nSo a", "```\nSo\n", "$$So\n", "a. So ", "\\", "😀\n", "a")}
    assert tokenizer.pieces

    def cost(token_ids: Sequence[int], number: int) -> float:
        splitter, start = StepSplitter(tokenizer, (), rule), time.thread_time()
        for first in range(0, number, 16):
            list(splitter.feed([token_ids[place % len(token_ids)] for place in range(first, first + 16)], None))
        return time.thread_time() - start

    for text, token_ids in patterns.items():
        short, long = (min(cost(token_ids, number) for _ in range(3)) for number in (1_000, 8_000))
        assert long < 3 * 8 * short, text  # of eight times the length
