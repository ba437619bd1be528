"""Where thoughts begin and end in a response, and the budget that they keep."""

import random
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.checkpoints.marks import HARMONY, PARSERS, THINK, Marks, marks_of
from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import CheckpointError
from models.interfaces import Finish, Meter, Problem, Sampling, Step
from models.policy.engine_policy import EnginePolicy
from models.policy.marks import Spelling
from models.policy.steps import StepSplitter
from models.policy.thoughts import Thoughts
from tests.models.scripted import ScriptedEngine
from tests.models.thinkers import EFFORT, HARMONY_TOKENS, HYBRID, OPENED, save_thinker, thinker

PROBLEM = Problem("What is 1 + 1?")
ASIDE = Marks.of("<aside>", "</aside>")
"""No added tokens: text that is spelt."""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_thinker(tmp_path_factory.mktemp("thinker") / "policy")


@pytest.fixture(scope="module")
def tokenizer(directory: Path) -> ChatTokenizer:
    return thinker(directory)


class Cutter:
    """Cuts responses of a policy with marks; its texts spell the marks as they are."""

    def __init__(self, tokenizer: ChatTokenizer, marks: Marks = THINK) -> None:
        self.tokenizer = tokenizer
        self.spelling = Spelling(marks, tokenizer)

    def splitter(self, prefix: Sequence[Step] = (), *, opened: bool = False) -> StepSplitter:
        thoughts = Thoughts(self.spelling, prefix, are_opened=opened)
        return StepSplitter(self.tokenizer, prefix, thoughts=thoughts)

    def steps(self, text: str, *, opened: bool = False, finish: Finish = Finish.END) -> list[Step]:
        token_ids = [*self.tokenizer.encode_marked(text), 0]
        steps = self.splitter(opened=opened).feed(token_ids, finish)
        return list(steps)

    def parts(self, text: str, *, opened: bool = False) -> tuple[str, str]:
        """The thoughts, and what stands behind the last of them."""
        steps = self.steps(text, opened=opened)
        behind = max((place + 1 for place, step in enumerate(steps) if step.is_thinking), default=0)
        return "".join(step.text for step in steps[:behind]), "".join(step.text for step in steps[behind:])


@pytest.fixture(scope="module")
def cutter(tokenizer: ChatTokenizer) -> Cutter:
    return Cutter(tokenizer)


@pytest.fixture(scope="module")
def spelt(tokenizer: ChatTokenizer) -> Cutter:
    return Cutter(tokenizer, ASIDE)


def test_thoughts_stand_between_their_marks(cutter: Cutter) -> None:
    assert cutter.parts("<think>1 and 1\n\nare 2</think>It is 2.") == ("1 and 1\n\nare 2", "It is 2.")


def test_thoughts_are_cut_into_steps_like_the_answer(cutter: Cutter) -> None:
    steps = cutter.steps("<think>a\n\nb</think>\n\nc\n\nd")
    assert [(step.text, step.is_thinking) for step in steps] == [
        ("", True),
        ("a\n\n", True),
        ("b", True),
        ("\n\nc\n\n", False),
        ("d", False),
    ]


def test_a_response_that_begins_inside_its_thoughts_has_no_start(cutter: Cutter) -> None:
    assert cutter.parts("hm</think>2", opened=True) == ("hm", "2")


def test_a_response_without_marks_has_no_thoughts(cutter: Cutter) -> None:
    assert cutter.parts("It is 2.\n\nYes.") == ("", "It is 2.\n\nYes.")


def test_thoughts_that_do_not_end_leave_no_answer(cutter: Cutter) -> None:
    assert cutter.parts(r"<think>It is \boxed{3}. But") == (r"It is \boxed{3}. But", "")


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (r"<think>a<think>\boxed{1}</think>\boxed{2}</think>\boxed{3}", r"\boxed{3}"),
        (r"<think>a<think>b</think>\boxed{2}</think>", ""),
        (r"<think>a</think>b</think>\boxed{3}", r"\boxed{3}"),
        (r"<think><think>a</think>\boxed{3}", r"\boxed{3}"),
        (r"<think>a</think>hm<think>\boxed{1}</think>\boxed{3}", r"\boxed{3}"),
        (r"<think>a</think>hm<think>\boxed{1}", ""),
        (r"\boxed{1}</think>\boxed{3}", r"\boxed{3}"),
    ],
)
def test_the_answer_is_what_stands_behind_the_last_thoughts(cutter: Cutter, response: str, answer: str) -> None:
    assert cutter.parts(response)[1] == answer


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (r"<aside>\boxed{1}</aside>\boxed{3}", r"\boxed{3}"),
        (r"<aside>\boxed{1}<aside></aside></aside>\boxed{3}", r"\boxed{3}"),
        (r"</aside>\boxed{3}", r"\boxed{3}"),
        ("<aside>a</aside >b</aside>é", "é"),
    ],
)
def test_a_mark_that_is_no_token_is_found_in_the_text(spelt: Cutter, response: str, answer: str) -> None:
    assert len(spelt.tokenizer.encode("</aside>")) > 1
    assert spelt.parts(response)[1] == answer


def test_characters_of_a_mark_that_other_tokens_spell_are_text(cutter: Cutter) -> None:
    token_ids = [*cutter.tokenizer.encode("a<think>b"), 0]
    assert [(step.text, step.is_thinking) for step in cutter.splitter().feed(token_ids, Finish.END)] == [
        ("a<think>b", False)
    ]


@pytest.mark.parametrize("special", [False, True], ids=["added", "special"])
def test_marks_that_are_special_tokens_survive_decoding(tmp_path: Path, special: bool) -> None:
    cutter = Cutter(thinker(save_thinker(tmp_path / "policy", special=special)))
    assert cutter.parts("<think>a</think>b") == ("a", "b")


def test_the_channels_of_gpt_oss_are_thoughts_and_answer(tmp_path: Path) -> None:
    saved = save_thinker(tmp_path / "policy", tokens=HARMONY_TOKENS, special=True)
    cutter = Cutter(thinker(saved, HARMONY), HARMONY)
    analysis = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>2"
    assert cutter.parts(analysis) == ("Hm.", "2")
    assert cutter.parts("<|channel|>final<|message|>2") == ("", "2")


RUNS = st.lists(st.sampled_from(["<aside>", "</aside>", "a", "1 + 1", "\n\n", "</", ">", "é", " "]), max_size=12)


@given(pieces=RUNS)
def test_marks_in_text_are_found_however_it_is_cut_into_tokens(spelt: Cutter, pieces: list[str]) -> None:
    text = "".join(pieces)
    behind = text[max(text.rfind("</aside>") + len("</aside>"), 0) :] if "</aside>" in text else text
    expected = "" if "<aside>" in behind else behind
    assert spelt.parts(text)[1] == expected
    by_character = [token_id for character in text for token_id in spelt.tokenizer.encode(character)]
    steps = list(spelt.splitter().feed([*by_character, 0], Finish.END))
    last = max((place + 1 for place, step in enumerate(steps) if step.is_thinking), default=0)
    assert "".join(step.text for step in steps[last:]) == expected


MARKED = st.lists(st.sampled_from(["<think>", "</think>", "a", "b\n\n", "\n\n", "1"]), min_size=1, max_size=12)


@given(pieces=MARKED, place=st.integers(0, 20), opened=st.booleans())
def test_a_response_that_goes_on_behind_any_step_is_cut_in_the_same_places(
    cutter: Cutter, pieces: list[str], place: int, opened: bool
) -> None:
    whole = cutter.steps("".join(pieces), opened=opened)
    prefix = whole[: place % len(whole)]
    rest = [token_id for step in whole[len(prefix) :] for token_id in step.token_ids]
    assert list(cutter.splitter(prefix, opened=opened).feed(rest, Finish.END)) == whole[len(prefix) :]


@given(pieces=RUNS, place=st.integers(0, 20))
def test_text_behind_a_mark_in_its_token_is_not_lost(spelt: Cutter, pieces: list[str], place: int) -> None:
    whole = spelt.steps("".join(pieces))
    prefix = whole[: place % len(whole)]
    rest = [token_id for step in whole[len(prefix) :] for token_id in step.token_ids]
    assert list(spelt.splitter(prefix).feed(rest, Finish.END)) == whole[len(prefix) :]


@pytest.mark.parametrize(("behind", "expected"), [(HYBRID, False), (OPENED, True)], ids=["hybrid", "opened"])
def test_a_template_can_open_the_thoughts(tmp_path: Path, behind: str, expected: bool) -> None:
    prompts = PromptBuilder(thinker(save_thinker(tmp_path / "policy", behind=behind)), marks=THINK)
    assert prompts.opens_thoughts(PROBLEM) is expected
    assert prompts.opens_thoughts(Problem("Say <think> twice: <think>")) is expected


def test_a_template_that_closes_them_says_so_by_its_argument(tokenizer: ChatTokenizer) -> None:
    without = Problem(PROBLEM.text, template_arguments=(("enable_thinking", False),))
    prompts = PromptBuilder(tokenizer, marks=THINK)
    assert prompts.build(without)[: len(prompts.build(PROBLEM))] == prompts.build(PROBLEM)
    assert tokenizer.vocabulary["</think>"] in prompts.build(without)
    assert not prompts.opens_thoughts(without)


HYBRID_OFF = HYBRID.replace("enable_thinking is defined and enable_thinking is false", "not enable_thinking")


@pytest.mark.parametrize(
    ("behind", "marks", "expected"),
    [
        (HYBRID, THINK, (True, False)),
        (HYBRID_OFF, THINK, (False, True)),
        (HYBRID_OFF.replace("enable_thinking", "wants_thoughts"), THINK, (None,)),
        ("{%- if enable_thinking %}{%- endif %}", THINK, (None,)),
        (HYBRID, None, (None,)),
    ],
    ids=["on by default", "off by default", "another argument", "read in vain", "no marks"],
)
def test_prompts_tell_whether_a_policy_can_be_asked_to_think(
    tmp_path: Path, behind: str, marks: Marks | None, expected: tuple[bool | None, ...]
) -> None:
    prompts = PromptBuilder(thinker(save_thinker(tmp_path / "policy", behind=behind)), marks=marks)
    assert prompts.modes == expected


def test_marks_in_a_users_text_stay_text(tokenizer: ChatTokenizer) -> None:
    prompt = PromptBuilder(tokenizer, marks=THINK).build(Problem("What does <think> do? </think>"))
    assert not {tokenizer.vocabulary["<think>"], tokenizer.vocabulary["</think>"]} & {*prompt}
    assert "<think>" in tokenizer.decode(prompt)


def test_the_template_names_the_arguments_that_it_reads(tmp_path: Path) -> None:
    saved = save_thinker(tmp_path / "policy", before=EFFORT)
    assert {"reasoning_effort", "enable_thinking"} <= thinker(saved).template_variables


@pytest.mark.parametrize("value", ["<|assistant|>", "</think>"])
def test_an_argument_of_the_template_spells_no_special_token(tmp_path: Path, value: str) -> None:
    prompts = PromptBuilder(thinker(save_thinker(tmp_path / "policy", before=EFFORT)), marks=THINK)
    with pytest.raises(CheckpointError, match="reasoning_effort"):
        prompts.build(Problem("?", template_arguments=(("reasoning_effort", value),)))


def test_an_argument_of_a_type_that_the_template_does_not_expect_is_refused(tmp_path: Path) -> None:
    prompts = PromptBuilder(thinker(save_thinker(tmp_path / "policy", before=EFFORT)), marks=THINK)
    with pytest.raises(CheckpointError, match="reasoning_effort"):
        prompts.build(Problem("?", template_arguments=(("reasoning_effort", 7),)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Marks.of("<think>"),
        lambda: Marks.of("", "</think>"),
        lambda: Marks.of("<think>", "<think>"),
        lambda: Marks.of("<think>", "</think>", at_limit="Enough."),
        lambda: marks_of("qwen"),
    ],
)
def test_marks_that_mark_nothing_are_refused(make: Callable[[], Marks]) -> None:
    with pytest.raises(ValueError, match=r"mark|close"):
        make()


# Budgets: a policy whose thoughts are 50 tokens long and state a wrong answer, which it corrects behind them.

THOUGHTS, ANSWER = "<think>" + r"\boxed{3}" * 20, r"So \boxed{2}."


class Thinking:
    """A policy that thinks at length, and answers once its thoughts are closed."""

    def __init__(
        self, directory: Path, thoughts: str = THOUGHTS, marks: Marks = THINK, *, interval: int = 16, ends: bool = True
    ) -> None:
        self.prompts = PromptBuilder(thinker(directory, marks), marks=marks)
        encode, prompt = self.prompts.tokenizer.encode_marked, self.prompts.build(PROBLEM)
        (end,) = encode(marks.ends[0])
        self.thoughts, answer = encode(thoughts), [*encode(ANSWER), 0]
        num_ends = self.thoughts.count(end) + ends

        def script(token_ids: Sequence[int]) -> Sequence[int]:
            written = token_ids[len(prompt) :]
            if num_ends and written.count(end) == num_ends:
                return answer[len(written) - 1 - max(place for place, token in enumerate(written) if token == end) :]
            return [*self.thoughts, *[end] * ends, *answer][len(written) :]

        self.engine = ScriptedEngine(script, interval)
        self.policy = EnginePolicy(self.engine, self.prompts)
        self.meter = Meter()

    async def respond(
        self,
        budget: int | None,
        max_tokens: int = 1000,
        prefix: Sequence[Step] = (),
        grammar: tuple[str, str] | None = None,
    ) -> list[Step]:
        sampling = Sampling(1.0, 1.0, max_tokens, thinking_budget=budget, grammar=grammar)
        async with aclosing(self.policy.respond(PROBLEM, prefix, sampling, self.meter)) as steps:
            return [step async for step in steps]


def thoughts_in(steps: Sequence[Step]) -> int:
    return sum(len(step.token_ids) for step in steps if step.is_thinking)


def answer_in(steps: Sequence[Step]) -> str:
    return "".join(step.text for step in steps if not step.is_thinking)


@pytest.mark.parametrize("interval", [1, 7, 16])
@pytest.mark.parametrize("budget", [1, 2, 16, 33, 59])
async def test_thoughts_end_at_their_budget_and_the_answer_follows(directory: Path, budget: int, interval: int) -> None:
    thinking = Thinking(directory, interval=interval)
    steps = await thinking.respond(budget)
    assert thoughts_in(steps) == budget + 1  # the end mark, which is written for the policy
    assert (answer_in(steps), steps[-1].finish) == (ANSWER, Finish.END)
    assert thinking.meter.completion_tokens == sum(len(step.token_ids) for step in steps)
    assert thinking.meter.reasoning_tokens == budget + 1


@pytest.mark.parametrize("budget", [None, 100_000])
async def test_thoughts_within_their_budget_end_by_themselves(directory: Path, budget: int | None) -> None:
    thinking = Thinking(directory)
    steps = await thinking.respond(budget)
    assert thoughts_in(steps) == len(thinking.thoughts) + 1 == thinking.meter.reasoning_tokens
    assert (answer_in(steps), len(thinking.engine.asked)) == (ANSWER, 1)


async def test_without_a_budget_for_thoughts_the_answer_comes_at_once(tmp_path: Path) -> None:
    thinking = Thinking(save_thinker(tmp_path / "policy", behind=OPENED), THOUGHTS.removeprefix("<think>"))
    steps = await thinking.respond(0)
    assert (thoughts_in(steps), answer_in(steps), len(thinking.engine.asked)) == (1, ANSWER, 1)


async def test_a_policy_that_does_not_think_answers_beyond_the_budget(directory: Path) -> None:
    thinking = Thinking(directory, "1 + 1 = 2, for all that I know. ", ends=False)
    steps = await thinking.respond(5)
    assert answer_in(steps) == "1 + 1 = 2, for all that I know. " + ANSWER
    assert thinking.meter.completion_tokens == sum(len(step.token_ids) for step in steps)


async def test_a_budget_of_thoughts_that_do_not_come_cuts_no_grammar(directory: Path) -> None:
    thinking, quiet = (
        Thinking(directory, ends=False),
        replace(PROBLEM, template_arguments=(("enable_thinking", False),)),
    )
    sampling = Sampling(1.0, 1.0, 100, thinking_budget=5, grammar=("json", "{}"))
    async with aclosing(thinking.policy.respond(quiet, (), sampling, thinking.meter)) as steps:
        await anext(steps)
    assert [asked.max_tokens for asked in thinking.engine.asked] == [100]


async def test_the_token_limit_can_end_a_response_inside_its_thoughts(directory: Path) -> None:
    for max_tokens, budget in ((20, None), (20, 30), (21, 20)):
        thinking = Thinking(directory)
        steps = await thinking.respond(budget, max_tokens)
        assert (steps[-1].finish, answer_in(steps)) == (Finish.LENGTH, "")
        assert thoughts_in(steps) == max_tokens == thinking.meter.completion_tokens


async def test_a_text_can_lead_over_to_the_answer_at_the_limit(directory: Path) -> None:
    marks = Marks.of("<think>", "</think>", at_limit="\nTime is up.\n</think>\n\n")
    thinking = Thinking(directory, marks=marks)
    steps = await thinking.respond(8)
    assert "".join(step.text for step in steps if step.is_thinking).endswith("\nTime is up.\n")
    forced = len(thinking.prompts.tokenizer.encode_marked(marks.at_limit))
    assert thinking.meter.completion_tokens == sum(len(step.token_ids) for step in steps)
    assert thoughts_in(steps) < 8 + forced  # the blank line behind the mark is the answer's


async def test_thoughts_opened_again_keep_the_budget_that_is_left(directory: Path) -> None:
    thinking = Thinking(directory, "<think>a</think>b" + THOUGHTS, interval=4)
    steps = await thinking.respond(20)
    assert 20 < thoughts_in(steps) <= 20 + 4 + 1  # the second request cannot know beforehand
    assert answer_in(steps) == ANSWER


@pytest.mark.parametrize("grammar", [None, ("json", "{}")], ids=["free", "held"])
@pytest.mark.parametrize("dies_after", [0, 16, 32])
async def test_a_response_whose_engine_dies_in_its_thoughts_goes_on(
    directory: Path, dies_after: int, grammar: tuple[str, str] | None
) -> None:
    thinking = Thinking(directory, "<think>" + "one\n\n" * 30)
    thinking.engine.dies_after = [dies_after]
    steps = await thinking.respond(40, grammar=grammar)
    assert (answer_in(steps), thoughts_in(steps)) == (ANSWER, 41)


async def test_thoughts_that_are_left_are_counted_as_such(directory: Path) -> None:
    thinking = Thinking(directory, "<think>one\n\n" + "two " * 30)
    sampling = Sampling(1.0, 1.0, 1000)
    async with aclosing(thinking.policy.respond(PROBLEM, (), sampling, thinking.meter)) as steps:
        assert (await anext(steps)).is_thinking
    assert 0 < thinking.meter.reasoning_tokens <= thinking.meter.completion_tokens


async def test_a_step_can_be_proposed_inside_the_thoughts(directory: Path) -> None:
    thinking = Thinking(directory, "<think>one\n\ntwo\n\nthree")
    steps: list[Step] = []
    while not steps or steps[-1].finish is Finish.STEP:
        sampling = Sampling(1.0, 1.0, 1000)
        steps.append(await thinking.policy.propose(PROBLEM, steps, sampling, thinking.meter))
    assert [(step.text, step.is_thinking) for step in steps] == [
        ("", True),
        ("one\n\n", True),
        ("two\n\n", True),
        ("three", True),
        (ANSWER, False),
    ]


async def test_any_budget_is_kept_whatever_the_thoughts(directory: Path) -> None:
    dice = random.Random(0)
    for _ in range(50):
        thoughts = "<think>" + "".join(dice.choices(["a", "1 + 1", "\n\n", "\n", " "], k=dice.randint(0, 60)))
        thinking, budget = Thinking(directory, thoughts, interval=dice.randint(1, 16)), dice.randint(1, 60)
        steps = await thinking.respond(budget)
        assert thoughts_in(steps) == min(budget, len(thinking.thoughts)) + 1
        assert answer_in(steps) == ANSWER
        assert thinking.meter.completion_tokens == sum(len(step.token_ids) for step in steps)
        assert thinking.meter.reasoning_tokens == thoughts_in(steps)


class Anything(dict[str, int]):
    """A vocabulary that holds every token."""

    def get(self, token: str, default: Any = None) -> int:
        return 7

    def __contains__(self, token: object) -> bool:
        return True

    def __getitem__(self, token: str) -> int:
        return 7


class AnyTokenizer:
    """As much of a tokenizer as vLLM's parsers ask for when they are made."""

    eos_token_id, bos_token_id, unk_token_id = 1, 0, 99
    chat_template, name_or_path = "", "any"

    def __init__(self) -> None:
        self.vocab = self.added_tokens_encoder = Anything()
        self.all_special_tokens: list[str] = []
        self.special_tokens_map: dict[str, str] = {}

    def get_vocab(self) -> Anything:
        return self.vocab

    def encode(self, *texts: object, **options: object) -> list[int]:
        return [7]

    def decode(self, *token_ids: object, **options: object) -> str:
        return ""

    def convert_tokens_to_ids(self, token: str) -> int:
        return 7


def test_the_marks_of_parsers_are_those_of_vllms_registry() -> None:
    from vllm.reasoning import ReasoningParserManager

    registered = {}
    for name in ReasoningParserManager.list_registered():
        if name == "hf":
            continue  # reads its marks from the tokenizer's configuration
        parser = ReasoningParserManager.get_reasoning_parser(name)(cast(Any, AnyTokenizer()))
        if parser.reasoning_start_str:
            registered[name] = (parser.reasoning_start_str, parser.reasoning_end_str)
    ours = {name: (marks.start, marks.ends[0]) for name, marks in PARSERS.items() if marks is not HARMONY}
    assert ours == registered
