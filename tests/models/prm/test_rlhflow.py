"""RLHFlow's format against plain transformers: another tokenisation of the chat, another forward, another softmax."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from models.engine import Engine
from models.errors import ContextOverflowError
from models.interfaces import Finish, Meter, Step
from models.prm.rlhflow import RLHFlowPRM
from models.tokenizer import ChatTokenizer
from tests.models.problems import PROBLEM
from tests.models.verifier_contract import steps_of


@pytest.fixture
def verifier(tiny_engine: Engine, tiny_tokenizer: ChatTokenizer) -> RLHFlowPRM:
    return RLHFlowPRM(tiny_engine, tiny_tokenizer)


@pytest.fixture
def steps(tiny_tokenizer: ChatTokenizer) -> list[Step]:
    return steps_of(tiny_tokenizer.encode)


def reference_scores(directory: Path, steps: list[Step]) -> list[float]:
    """As search-and-learn does it: the whole chat, whose last "+" is judged by the logits two places before its end."""
    tokenizer: Any = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForCausalLM.from_pretrained(directory)
    verdicts = [tokenizer.convert_tokens_to_ids(verdict) for verdict in "+-"]
    chat, scores = [], []
    for index, step in enumerate(steps):
        text = step.text.strip() if index else f"{PROBLEM.text} {step.text.strip()}"
        chat += [{"role": "user", "content": text}, {"role": "assistant", "content": "+"}]
        with torch.no_grad():
            logits = model(tokenizer.apply_chat_template(chat, return_tensors="pt")["input_ids"]).logits
        scores.append(logits[0, -3, verdicts].softmax(-1)[0].item())
    return scores


async def test_scores_are_those_of_plain_transformers(
    verifier: RLHFlowPRM, tiny_llama: Path, steps: list[Step]
) -> None:
    expected = reference_scores(tiny_llama, steps)
    assert await verifier.score(PROBLEM, (), steps, Meter()) == pytest.approx(expected, abs=1e-2)
    assert max(expected) - min(expected) > 0.1


async def test_a_new_step_reads_the_chat_before_it_from_the_cache(verifier: RLHFlowPRM, steps: list[Step]) -> None:
    meter = Meter()
    await verifier.score(PROBLEM, (), steps[:2], Meter())
    await verifier.score(PROBLEM, steps[:2], steps[2:], meter)
    assert meter.verifier_cached_tokens > meter.verifier_tokens


async def test_a_chat_longer_than_the_context_is_refused(verifier: RLHFlowPRM) -> None:
    with pytest.raises(ContextOverflowError, match="at most 512"):
        await verifier.score(PROBLEM, (), [Step("1 2 " * 512, (), Finish.STEP)], Meter())
