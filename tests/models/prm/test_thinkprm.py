"""ThinkPRM against plain transformers, which thinks and is asked as the reference code does it; and its bounds."""

import asyncio
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from prometheus_client import CollectorRegistry
from transformers import AutoModelForCausalLM, AutoTokenizer

from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import CheckpointError, ContextOverflowError
from models.generation import Generated, Generation
from models.interfaces import Meter, Problem, Step
from models.prm.thinkprm import BEGINNING, QUESTION, TEMPLATE, ThinkPRM, verdict_ids
from tests.models.prm.checkpoints import qwen_tokenizer, save_thinkprm
from tests.models.prm.format_contract import LONG, lines, random_response, step
from tests.models.prm.over_http import ScoresOverHTTP
from tests.models.problems import visible

MAX_THOUGHTS = 12
Judge = Callable[[Problem, Sequence[Step]], float]


@pytest.fixture(scope="module")
def format_name() -> str:
    return "thinkprm"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_thinkprm(tmp_path_factory.mktemp("thinkprm") / "model")


@pytest.fixture
def subject(published: ThinkPRM, checkpoint: Path) -> ThinkPRM:
    return ThinkPRM(published.engine, ChatTokenizer(checkpoint), MAX_THOUGHTS)


@pytest.fixture(scope="module")
def plain(checkpoint: Path) -> Judge:
    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
    model: Any = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    words = [tokenizer.convert_tokens_to_ids(word) for word in ("ĠYes", "Ġyes", "ĠNo", "Ġno")]

    @torch.inference_mode()
    def judge(problem: Problem, steps: Sequence[Step]) -> float:
        texts = [text.text.strip().removeprefix("## Step").strip() for text in steps]
        solution = "\n".join(f"Step {number}: {text}" for number, text in enumerate(texts, 1))
        chat = [{"role": "user", "content": TEMPLATE.format(problem=problem.text, solution=solution)}]
        prompt = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) + BEGINNING
        ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")["input_ids"]
        ends = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("</think>")]
        thought = model.generate(ids, max_new_tokens=MAX_THOUGHTS, do_sample=False, pad_token_id=0, eos_token_id=ends)
        if thought[0, -1] in ends:
            thought = thought[:, :-1]
        asked = tokenizer("\n" + QUESTION, add_special_tokens=False, return_tensors="pt")["input_ids"]
        probabilities = model(torch.cat([thought, asked], dim=1)).logits[0, -1].softmax(-1)[words]
        return float(probabilities[:2].sum() / probabilities.sum())

    return judge


async def test_100_responses_get_the_verdicts_of_plain_transformers(subject: ThinkPRM, plain: Judge) -> None:
    async def judge(seed: int) -> tuple[float, float]:
        steps = [each for each in visible(random_response(random.Random(seed))) if "## Step" not in each.text]
        steps = steps or [step("So 4")]
        problem = Problem(f"What is {seed} + 1? 数")
        scores = await subject.score(problem, steps[:-1], steps[-1:], Meter())
        return scores[-1], plain(problem, steps)

    found = await asyncio.gather(*map(judge, range(100)))
    assert [score for score, _ in found] == pytest.approx([wanted for _, wanted in found], abs=1e-4)
    assert max(wanted for _, wanted in found) - min(wanted for _, wanted in found) > 0.2


class TestThinkPRM(ScoresOverHTTP):
    pass


async def test_a_call_gets_one_verdict_and_thoughts_are_in_the_bill(subject: ThinkPRM) -> None:
    at_once, last = Meter(), Meter()
    scores = await subject.score(LONG, (), lines(3), at_once)
    assert scores[:2] == (1.0, 1.0)
    assert await subject.score(LONG, lines(2), lines(3)[2:], last) == scores[2:]
    request = len(subject.ask(LONG, [each.text for each in lines(3)]))
    assert at_once.verifier_tokens + at_once.verifier_cached_tokens > 2 * request
    assert last.verifier_cached_tokens > request - 32 > last.verifier_tokens - request


async def test_a_response_that_leaves_no_room_for_a_verdict_is_refused(subject: ThinkPRM) -> None:
    with pytest.raises(ContextOverflowError, match=r"at most \d+ do"):
        await subject.score(LONG, (), [step("1 2 " * 1024)], Meter())


class ScriptedEngine:
    """Says what it was told to say, and keeps what it was asked."""

    name, metrics, max_model_len, num_restarts = "scripted", CollectorRegistry(), 4096, 0

    def __init__(self, thoughts: Generated, logprobs: dict[int, float]) -> None:
        self.asked: list[tuple[tuple[int, ...], Generation]] = []
        self._answers = [thoughts, Generated([0], "length", logprobs=logprobs)]

    async def complete(self, token_ids: Sequence[int], asked: Generation, *, affinity: str = "") -> Generated:
        self.asked.append((tuple(token_ids), asked))
        return self._answers[len(self.asked) - 1]


@pytest.mark.parametrize(
    ("said", "finish", "kept"),
    [
        (" Fine.\nIs the solution correct?", ("stop", QUESTION), " Fine.\n"),
        (" Fine.</think>", ("stop", "</think>"), " Fine."),
        (" Fine.\nStep 3: So", ("stop", "Step 3:"), " Fine.\n"),
        (" Fine.<|im_end|>", ("stop", None), " Fine."),
        (" Fine.", ("length", None), " Fine."),
    ],
)
async def test_thoughts_end_before_what_ends_them(
    checkpoint: Path, said: str, finish: tuple[str, str | None], kept: str
) -> None:
    tokenizer, whole = ChatTokenizer(checkpoint), AutoTokenizer.from_pretrained(checkpoint)
    right, wrong = verdict_ids(tokenizer)
    thoughts = Generated(whole.encode(said), *finish)
    engine: Any = ScriptedEngine(thoughts, dict.fromkeys(right, -2.0) | dict.fromkeys(wrong, -1.0))
    verifier, meter = ThinkPRM(engine, tokenizer, 100), Meter()
    (score,) = await verifier.score(Problem("1?"), [step("2")], [step("## Step 7: 3")], meter)
    (thinking, first), (verdict, _) = engine.asked
    assert tokenizer.decode(verdict[len(thinking) :]) == f"{kept}\n{QUESTION}"
    assert "Step 1: 2\nStep 2: 3\n" in tokenizer.decode(thinking)
    assert (first.max_tokens, first.temperature) == (100, 0)
    assert meter.verifier_tokens == len(thinking) + len(thoughts.token_ids) + len(verdict)
    assert score == pytest.approx(1 / (1 + torch.e))


def test_a_tokenizer_without_verdicts_is_refused(tmp_path: Path) -> None:
    qwen_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: neither of ' Yes' and ' yes' is one token"):
        verdict_ids(ChatTokenizer(tmp_path))
