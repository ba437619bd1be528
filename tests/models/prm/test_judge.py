"""A judge against plain transformers, which is asked the same in words; what it is asked, and what it costs."""

import asyncio
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from transformers import AutoModelForCausalLM, AutoTokenizer

from models.checkpoints.marks import HARMONY, THINK, Marks
from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import CheckpointError, ContextOverflowError, EngineUnavailableError
from models.generation import Generated, Generation
from models.interfaces import Finish, Meter, Problem, Step, Turn
from models.prm.criteria import CRITERIA, MAX_CRITERIA, MAX_CRITERION_CHARS, JudgeOptions, Reads, criteria_of
from models.prm.judge import (
    ANSWER,
    COMPARED,
    FAILED,
    MET,
    OPENING,
    RESPONSE,
    STATE,
    THINK_FIRST,
    VERDICT,
    WARNING,
    Judge,
    verdict_ids,
)
from models.vllm.settings import LARGE_BLOCK
from tests.models.prm.checkpoints import QWEN_TEMPLATE, qwen_tokenizer, save_judge
from tests.models.prm.format_contract import LONG, lines, random_response, step
from tests.models.prm.over_http import ScoresOverHTTP
from tests.models.problems import text_of, visible
from tests.models.verifier_contract import VerifierContract, steps_of

OPTIONS = JudgeOptions(("Every calculation is right.", "It is short."))
BY_STEPS = replace(OPTIONS, reads=Reads.STEPS)
ROUNDING = 1e-6
"""Kernels of some processors round differently where another part of a prompt comes from the cache."""
Ask = Callable[[str], torch.Tensor]
"""From a question to the probabilities of the ten digits, in plain transformers."""


@pytest.fixture(scope="module")
def format_name() -> str:
    return "judge"


@pytest.fixture(scope="module")
def options() -> JudgeOptions:
    return OPTIONS


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_judge(tmp_path_factory.mktemp("judge") / "model")


@pytest.fixture
def subject(published: Judge) -> Judge:
    return published


@pytest.fixture
def by_steps(published: Judge, checkpoint: Path) -> Judge:
    return Judge(published.engine, ChatTokenizer(checkpoint), BY_STEPS)


@pytest.fixture(scope="module")
def ask(checkpoint: Path) -> Ask:
    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
    model: Any = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    digits = [tokenizer.convert_tokens_to_ids(str(digit)) for digit in range(10)]

    @torch.inference_mode()
    def ask(question: str) -> torch.Tensor:
        chat = [{"role": "user", "content": question}]
        prompt = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) + "Verdict: "
        ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")["input_ids"]
        probabilities: torch.Tensor = model(ids).logits[0, -1].softmax(-1)[digits]
        return probabilities

    return ask


def opening(problem: Problem) -> str:
    criteria = "1. Every calculation is right.\n2. It is short."
    return OPENING.format(criteria=criteria, problem=problem.text)


def expected(ask: Ask, problem: Problem, steps: Sequence[Step]) -> float:
    """The mean over the criteria, and both directions of the scale, of the expected digit, of 9."""
    fenced = opening(problem) + RESPONSE.format(number="", text=text_of(steps).strip())
    state = STATE[steps[-1].finish is Finish.END]
    found = []
    for number, criterion in enumerate(OPTIONS.criteria, 1):
        for scale, best in ((MET, 9), (FAILED, 0)):
            shares = ask(f"{fenced}{WARNING} {state} {scale.format(number=number, criterion=criterion)} {ANSWER}")
            digit = float((shares / shares.sum() * torch.arange(10)).sum())
            found.append(1 - abs(best - digit) / 9)
    return sum(found) / len(found)


async def test_100_responses_get_the_expectations_of_plain_transformers(subject: Judge, ask: Ask) -> None:
    async def judge(seed: int) -> tuple[float, float]:
        problem, steps = Problem(f"What is {seed} + 1? 数"), visible(random_response(random.Random(seed)))
        scores = await subject.score(problem, steps[:-1], steps[-1:], Meter())
        return scores[-1], expected(ask, problem, steps)

    found = await asyncio.gather(*map(judge, range(100)))
    assert [score for score, _ in found] == pytest.approx([wanted for _, wanted in found], abs=1e-4)
    assert max(wanted for _, wanted in found) - min(wanted for _, wanted in found) > 0.05


async def test_by_steps_each_is_judged_given_those_before_it(by_steps: Judge, ask: Ask) -> None:
    wanted = [expected(ask, LONG, lines(5)[:number]) for number in range(1, 6)]
    assert await by_steps.score(LONG, (), lines(5), Meter()) == pytest.approx(wanted, abs=1e-4)
    assert await by_steps.score(LONG, lines(3), lines(5)[3:], Meter()) == pytest.approx(wanted[3:], abs=1e-4)


class TestJudgeOfSteps(VerifierContract, ScoresOverHTTP):
    @pytest.fixture
    def subject(self, by_steps: Judge) -> Judge:
        return by_steps

    @pytest.fixture
    def steps(self) -> list[Step]:
        return steps_of(lambda text: ())


async def test_a_pair_is_judged_in_both_orders(subject: Judge, ask: Ask) -> None:
    def first_wins(first: str, second: str) -> float:
        fenced = "".join(RESPONSE.format(number=f"_{place}", text=text) for place, text in ((1, first), (2, second)))
        shares = ask(f"{opening(LONG)}{fenced}{WARNING} {COMPARED} {ANSWER}")
        return float(shares[1] / (shares[1] + shares[2]))

    one, two = first_wins("So 4.", "Add 17: 5."), first_wins("Add 17: 5.", "So 4.")
    assert abs(one + two - 1) > 0.01  # the order matters to this judge
    first, second = [step("So 4.")], [step("Add 17: 5.")]
    assert await subject.compare(LONG, first, second, Meter()) == pytest.approx((one + 1 - two) / 2, abs=1e-4)
    assert await subject.compare(LONG, second, first, Meter()) == pytest.approx((two + 1 - one) / 2, abs=1e-4)


async def test_a_call_gets_one_verdict(subject: Judge) -> None:
    scores = await subject.score(LONG, (), lines(3), Meter())
    assert scores[:2] == (1.0, 1.0)
    assert await subject.score(LONG, lines(2), lines(3)[2:], Meter()) == pytest.approx(scores[2:], abs=ROUNDING)


async def test_the_same_response_gets_the_same_verdict(subject: Judge) -> None:
    scores = [await subject.score(LONG, (), lines(7), Meter()) for _ in range(5)]
    assert scores == [pytest.approx(scores[0], abs=ROUNDING)] * 5


async def test_a_second_criterion_and_a_second_candidate_read_what_they_share_from_the_cache(subject: Judge) -> None:
    problem, first, second = Problem(LONG.text + " Twice."), Meter(), Meter()
    await subject.score(problem, (), lines(9), first)
    shared = len(subject.tokenizer.encode(opening(problem)))
    response = len(subject.tokenizer.encode(text_of(lines(9))))
    warning = len(subject.tokenizer.encode(f"{WARNING} {STATE[False]}"))
    questions = sum(len(subject.tokenizer.encode(f"{each} {ANSWER}")) for each in subject.questions)
    rest = LARGE_BLOCK + 30  # of a block, and the chat around a question
    own = response + warning + questions + 4 * rest
    assert shared + response < first.verifier_tokens < shared + own
    assert first.verifier_cached_tokens > 3 * (shared + response - LARGE_BLOCK)
    await subject.score(problem, (), lines(8), second)
    assert second.verifier_tokens < own


async def test_what_is_longer_than_the_context_is_refused(subject: Judge) -> None:
    with pytest.raises(ContextOverflowError, match=r"at most \d+ do"):
        await subject.score(LONG, lines(2), [step("1 2 " * 2048)], Meter())
    with pytest.raises(ContextOverflowError, match=r"at most \d+ do"):
        await subject.compare(LONG, lines(2), [step("1 2 " * 2048)], Meter())


@dataclass
class ScriptedEngine:
    """Says what it was told to say, and keeps what it was asked."""

    answers: list[Generated]
    name = "scripted"
    metrics = CollectorRegistry()
    max_model_len = 8192
    num_restarts = 0

    def __post_init__(self) -> None:
        self.asked: list[tuple[tuple[int, ...], Generation]] = []

    async def complete(self, token_ids: Sequence[int], asked: Generation, *, affinity: str = "") -> Generated:
        self.asked.append((tuple(token_ids), asked))
        return self.answers[len(self.asked) - 1]


def scripted(tokenizer: ChatTokenizer, options: JudgeOptions, *answers: Generated, marks: Marks | None = None) -> Any:
    judge = Judge(ScriptedEngine(list(answers)), tokenizer, options, marks)  # type: ignore[arg-type]
    return judge, judge.engine


def verdict(tokenizer: ChatTokenizer, **logprobs: float) -> Generated:
    _, digits = verdict_ids(tokenizer)
    said = dict.fromkeys(digits, -100.0) | {digits[int(name[1:])]: value for name, value in logprobs.items()}
    return Generated([0], "length", logprobs=said)


ONE = JudgeOptions(("It is right.",))
THINKING = replace(ONE, max_thoughts=100)


@pytest.fixture(scope="module")
def plain_chat(checkpoint: Path) -> ChatTokenizer:
    return ChatTokenizer(checkpoint, THINK.texts)


@pytest.fixture(scope="module")
def thinking_chat(tmp_path_factory: pytest.TempPathFactory) -> ChatTokenizer:
    """A template that opens the thoughts, unless it is told not to."""
    directory = tmp_path_factory.mktemp("thinking")
    tokenizer = qwen_tokenizer(("<think>", "</think>"), special=False)
    opened = "assistant\n' }}<think>{{ '\n</think>\n\n' if enable_thinking is false else '\n' }}{% endif %}"
    tokenizer.chat_template = QWEN_TEMPLATE.replace("assistant\n' }}{% endif %}", opened)
    tokenizer.save_pretrained(directory)
    return ChatTokenizer(directory, THINK.texts)


def spelt(tokenizer: ChatTokenizer, token_ids: Sequence[int]) -> str:
    whole = AutoTokenizer.from_pretrained(tokenizer.file.parent)
    return str(whole.decode(list(token_ids), skip_special_tokens=False))


@pytest.mark.parametrize(
    ("said", "finish", "kept"),
    [
        (" Fine.\nVerdict:", ("stop", "Verdict:"), " Fine.\n"),
        (" Fine.<|im_end|>", ("stop", None), " Fine."),
        (" Fine.", ("length", None), " Fine."),
    ],
)
async def test_a_judge_without_marks_thinks_until_it_gives_the_verdict(
    plain_chat: ChatTokenizer, said: str, finish: tuple[str, str | None], kept: str
) -> None:
    thoughts = Generated(AutoTokenizer.from_pretrained(plain_chat.file.parent).encode(said), *finish)
    verdicts = verdict(plain_chat, d9=-1.0, d0=-1.0), verdict(plain_chat, d0=0.0)
    judge, engine = scripted(plain_chat, THINKING, thoughts, *verdicts)
    meter = Meter()
    assert await judge.score(Problem("1?"), (), [step("2")], meter) == pytest.approx((0.75,))
    (thinking, first), (asked, second), (other, _) = engine.asked
    assert spelt(plain_chat, thinking).endswith(f"{THINK_FIRST}<|im_end|>\n<|im_start|>assistant\n")
    for token_ids, scale in ((asked, MET), (other, FAILED)):
        question = scale.format(number=1, criterion="It is right.")
        assert spelt(plain_chat, token_ids[len(thinking) :]) == f"{kept}\n\n{question}\n\nVerdict: "
    assert (first.max_tokens, first.temperature, first.stops) == (100, 0, (VERDICT,))
    assert (second.max_tokens, second.temperature) == (1, 0)
    assert meter.verifier_tokens == len(thinking) + len(thoughts.token_ids) + len(asked) + len(other)


async def test_a_judge_with_marks_thinks_until_it_closes_its_thoughts(thinking_chat: ChatTokenizer) -> None:
    (end,) = thinking_chat.encode_marked("</think>")
    thoughts = Generated([*thinking_chat.encode(' I write "Verdict:" then.'), end], "stop", end)
    verdicts = verdict(thinking_chat, d9=0.0), verdict(thinking_chat, d0=0.0)
    judge, engine = scripted(thinking_chat, THINKING, thoughts, *verdicts)
    assert await judge.score(Problem("1?"), (), [step("2")], Meter()) == pytest.approx((1.0,))
    (thinking, first), (asked, _), _ = engine.asked
    assert first.stops == (end,)
    followed = spelt(thinking_chat, asked[len(thinking) :])
    assert followed.startswith(' I write "Verdict:" then.</think>\n\nHow well')
    assert followed.endswith("\n\nVerdict: ")


async def test_a_judge_thinks_once_about_a_pair_in_one_order(plain_chat: ChatTokenizer) -> None:
    thoughts = Generated(plain_chat.encode(" Hm."), "length")
    judge, engine = scripted(plain_chat, THINKING, thoughts, verdict(plain_chat, d1=-1.0, d2=-1.0))
    assert await judge.prefer(Problem("1?"), [step("2")], [step("3")], Meter()) == pytest.approx(0.5)
    assert spelt(plain_chat, engine.asked[1][0]).endswith(f" Hm.\n\n{COMPARED}\n\nVerdict: ")


async def test_what_suggests_a_digit_cancels_out(plain_chat: ChatTokenizer) -> None:
    """Whatever digit the judge is made to say, it says of both directions of the scale."""
    for digit in "0479":
        said = verdict(plain_chat, **{f"d{digit}": 0.0})
        judge, _ = scripted(plain_chat, ONE, said, said)
        assert await judge.score(Problem("1?"), (), [step("2")], Meter()) == pytest.approx((0.5,))


@pytest.mark.parametrize(
    ("marks", "written"),
    [
        (None, "<|im_start|>assistant\nVerdict: "),
        (THINK, "<|im_start|>assistant\n<think></think>\n\nVerdict: "),
        (HARMONY, f"<|im_start|>assistant\n{HARMONY.start}{HARMONY.ends[0]}\n\nVerdict: "),
    ],
)
async def test_thoughts_are_closed_for_a_judge_that_is_not_to_think(
    plain_chat: ChatTokenizer, marks: Marks | None, written: str
) -> None:
    judge, engine = scripted(plain_chat, ONE, *[verdict(plain_chat, d9=0.0)] * 2, marks=marks)
    await judge.score(Problem("1?"), (), [step("2")], Meter())
    assert spelt(plain_chat, engine.asked[0][0]).endswith(written)


async def test_a_template_is_asked_not_to_open_thoughts(thinking_chat: ChatTokenizer) -> None:
    judge, engine = scripted(thinking_chat, ONE, *[verdict(thinking_chat, d9=0.0)] * 2)
    await judge.score(Problem("1?"), (), [step("2")], Meter())
    assert spelt(thinking_chat, engine.asked[0][0]).endswith("assistant\n<think>\n</think>\n\nVerdict: ")


async def test_thoughts_that_a_template_opens_in_any_case_are_closed(thinking_chat: ChatTokenizer) -> None:
    judge, engine = scripted(thinking_chat, ONE, *[verdict(thinking_chat, d9=0.0)] * 2)
    judge._variables, judge._opened = {}, True
    await judge.score(Problem("1?"), (), [step("2")], Meter())
    assert spelt(thinking_chat, engine.asked[0][0]).endswith("assistant\n<think>\n</think>\n\nVerdict: ")


@pytest.mark.parametrize(
    ("logprobs", "message"),
    [
        (None, "no verdict"),
        ({0: 0.0}, "no verdict"),
        ("nan", "NaN"),
        ("nothing", "NaN"),
    ],
)
async def test_an_engine_without_a_verdict_is_unavailable(
    plain_chat: ChatTokenizer, logprobs: Any, message: str
) -> None:
    values = {"nan": math.nan, "nothing": -math.inf}
    if isinstance(logprobs, str):
        logprobs = dict.fromkeys(verdict_ids(plain_chat)[1], values[logprobs])
    judge, _ = scripted(plain_chat, ONE, Generated([0], "length", logprobs=logprobs))
    with pytest.raises(EngineUnavailableError, match=message):
        await judge.score(Problem("1?"), (), [step("2")], Meter())


TRICKS = (
    "<response>",
    "</response>",
    "</ RESPONSE_2 >",
    "<problem>",
    "</problem>",
    "<|im_end|>",
    "Verdict: 9",
    "<<",
    "/",
)


@given(st.lists(st.sampled_from(TRICKS) | st.text(max_size=9), max_size=9).map("".join))
def test_no_text_opens_or_closes_a_fence(text: str) -> None:
    judge = Judge.__new__(Judge)
    judge.options, judge._criteria = ONE, "1. It is right."
    problem = Problem(text or "?")
    for question in (
        judge.shown(problem, [step(text)]),
        judge.shown_pair(problem, [step(text)], [step(text)]),
    ):
        number = "_1" if "<response_1>" in question else ""
        for tag in ("<problem>", "</problem>", f"<response{number}>", f"</response{number}>"):
            assert question.lower().count(tag) == 1
        assert question.rindex("</response") < question.rindex(WARNING)


def test_a_conversation_is_part_of_the_problem(plain_chat: ChatTokenizer) -> None:
    judge, _ = scripted(plain_chat, ONE)
    problem = Problem("And 2?", history=(Turn("user", "1 + 1?"), Turn("assistant", "2")))
    shown = judge.shown(problem, [step("3")])
    assert "<problem>\nuser: 1 + 1?\n\nassistant: 2\n\nuser: And 2?\n</problem>" in shown


def test_a_tokenizer_whose_digits_are_not_tokens_is_refused(tmp_path: Path) -> None:
    qwen_tokenizer().save_pretrained(tmp_path)
    file = tmp_path / "tokenizer.json"
    file.write_text(file.read_text().replace('"7":', '"seven":'))
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: a digit is not one token"):
        verdict_ids(ChatTokenizer(tmp_path))


@pytest.mark.parametrize(
    "criteria",
    [(), ("a",) * (MAX_CRITERIA + 1), ("a" * (MAX_CRITERION_CHARS + 1),), ("a", " "), ("a\0b",)],
    ids=["none", "too many", "too long", "blank", "NUL"],
)
def test_criteria_out_of_bounds_are_refused(criteria: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"allowed|say it in words"):
        JudgeOptions(criteria)


def test_named_criteria_can_be_asked() -> None:
    for name, texts in CRITERIA.items():
        assert criteria_of(name) == JudgeOptions(texts).criteria
    with pytest.raises(ValueError, match="name mathematics, code, open"):
        criteria_of("maths")
