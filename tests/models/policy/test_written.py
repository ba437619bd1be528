"""Responses that were written elsewhere are cut as the policy's own are."""

import pytest

from models.checkpoints.marks import THINK
from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.interfaces import PARAGRAPHS, Delimiter, Finish, Step, StepRule, TokenCount, response_of
from models.policy.written import written_steps
from server.settings import DEMO

TEXT = "## Step 1: Add\n17 + 28 = 45\n\n## Step 2: Multiply\n45 * 3 = 135\n\nThe answer is \\boxed{135}."


@pytest.fixture(scope="module")
def prompts() -> PromptBuilder:
    return PromptBuilder(ChatTokenizer(DEMO / "policy"))


def cut(
    prompts: PromptBuilder, response: str | list[str], rule: StepRule = PARAGRAPHS, *, is_complete: bool = True
) -> tuple[Step, ...]:
    return written_steps(prompts, response, rule, is_complete=is_complete)


def text_of(steps: tuple[Step, ...]) -> str:
    return "".join(step.text for step in steps)


def test_a_text_is_cut_by_the_rule_and_ends_with_the_end_of_sequence(prompts: PromptBuilder) -> None:
    steps = cut(prompts, TEXT)
    assert [step.text for step in steps] == [f"{part}\n\n" for part in TEXT.split("\n\n")[:2]] + [TEXT.split("\n\n")[2]]
    assert [step.finish for step in steps] == [Finish.STEP, Finish.STEP, Finish.END]
    assert steps[-1].token_ids[-1] == prompts.tokenizer.end_id


@pytest.mark.parametrize("rule", [PARAGRAPHS, Delimiter("\n"), TokenCount(5)], ids=str)
def test_steps_join_to_the_text_and_its_tokens(prompts: PromptBuilder, rule: StepRule) -> None:
    steps = cut(prompts, TEXT, rule, is_complete=False)
    assert text_of(steps) == TEXT
    assert tuple(token for step in steps for token in step.token_ids) == prompts.tokenizer.encode(TEXT)
    assert {step.finish for step in steps} == {Finish.STEP}


def test_given_steps_are_kept_and_get_the_delimiter_that_they_lack(prompts: PromptBuilder) -> None:
    steps = cut(prompts, ["one\ntwo", "three\n\nfour\n\n", "five"])
    assert [step.text for step in steps] == ["one\ntwo\n\n", "three\n\nfour\n\n", "five"]
    assert steps[2].token_ids == (*prompts.tokenizer.encode("five"), prompts.tokenizer.end_id)
    unfinished = cut(prompts, ["one", "two"], is_complete=False)
    assert [(step.text, step.finish) for step in unfinished] == [("one\n\n", Finish.STEP), ("two\n\n", Finish.STEP)]


def test_given_steps_of_a_rule_without_delimiter_are_kept_as_they_are(prompts: PromptBuilder) -> None:
    assert text_of(cut(prompts, ["one ", "two"], TokenCount(4))) == "one two"


def test_spelled_special_tokens_are_text_and_can_be_found(prompts: PromptBuilder) -> None:
    names = {token_id: name for name, token_id in prompts.tokenizer.vocabulary.items()}
    special = names[prompts.tokenizer.end_id or 0]
    steps = cut(prompts, f"a {special} b", is_complete=False)
    assert text_of(steps) == f"a {special} b"
    assert prompts.special_token_in(f"a {special} b") == special
    assert prompts.special_token_in("a < b") is None


class TestThoughts:
    @pytest.fixture
    def thinking(self) -> PromptBuilder:
        return PromptBuilder(ChatTokenizer(DEMO / "thinker", THINK.texts), marks=THINK)

    @pytest.mark.parametrize(
        "response",
        [
            "<think>Hm \\boxed{1}\n\nno</think>\n\nIt is 2.\n\n\\boxed{2}",
            ["<think>Hm \\boxed{1}", "no</think>", "It is 2.", "\\boxed{2}"],
            ["<think>Hm \\boxed{1}", "no</think>\n\nIt is 2.\n\n", "\\boxed{2}"],
            "<think>a</think>b<think>c \\boxed{1}</think>It is 2.\n\n\\boxed{2}",
        ],
    )
    def test_what_stands_up_to_the_last_end_is_of_the_thoughts(
        self, thinking: PromptBuilder, response: str | list[str]
    ) -> None:
        steps = cut(thinking, response)
        assert response_of(steps) == "It is 2.\n\n\\boxed{2}"
        assert "think>" not in text_of(steps)
        assert [step.text for step in steps if not step.is_thinking] == ["It is 2.\n\n", "\\boxed{2}"]

    def test_open_thoughts_are_all_there_is(self, thinking: PromptBuilder) -> None:
        assert response_of(cut(thinking, "a <think>Hm \\boxed{1}")) == ""

    def test_marks_are_no_special_tokens_to_refuse(self, thinking: PromptBuilder) -> None:
        assert thinking.special_token_in("<think>a</think>b") is None
