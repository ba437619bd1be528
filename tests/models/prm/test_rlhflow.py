"""RLHFlow's format against plain transformers: another tokenisation of the chat, another forward, another softmax."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from models.errors import ContextOverflowError
from models.interfaces import Meter
from models.prm.rlhflow import RLHFlowPRM
from tests.models.prm.format_contract import LONG, FormatContract, Reference, step


@pytest.fixture(scope="module")
def format_name() -> str:
    return "rlhflow"


@pytest.fixture(scope="module")
def checkpoint(tiny_llama: Path) -> Path:
    return tiny_llama


@pytest.fixture(scope="module")
def plain(checkpoint: Path) -> Reference:
    """As search-and-learn does it: a "+" behind each step, judged by the logits of the token before it."""
    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
    model: Any = AutoModelForCausalLM.from_pretrained(checkpoint)
    verdicts = [tokenizer.convert_tokens_to_ids(verdict) for verdict in "+-"]

    def scores(problem: str, response: str) -> list[float]:
        chat: list[dict[str, str]] = []
        ids, before = [], []
        for part in (part.strip() for part in response.split("\n\n") if part.strip()):
            said = part if chat else f"{problem} {part}"
            chat += [{"role": "user", "content": said}, {"role": "assistant", "content": "+"}]
            ids = tokenizer.apply_chat_template(chat)["input_ids"]
            before.append(len(ids) - 3)
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0]
        found: list[float] = logits[before][:, verdicts].softmax(-1)[:, 0].tolist()
        return found

    return scores


class TestRLHFlowPRM(FormatContract):
    pass


async def test_the_verdict_needs_room_for_one_token_more(published: RLHFlowPRM) -> None:
    context = published.engine.max_model_len
    num_more = context - len(published.ask(LONG, ["é"]))
    fitting, full = (step("é" + "~" * number) for number in (num_more - 1, num_more))
    assert len(published.ask(LONG, [full.text])) == context
    assert len(await published.score(LONG, (), [fitting], Meter())) == 1
    with pytest.raises(ContextOverflowError, match=f"{context + 1} tokens do not fit: at most {context} do"):
        await published.score(LONG, (), [full], Meter())
