"""Skywork's format against plain transformers, tokenised as Skywork's own `prepare_input` does it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, Qwen2Model

from models.interfaces import Problem
from models.prm.skywork import SkyworkPRM
from tests.models.prm.checkpoints import save_skywork
from tests.models.prm.format_contract import FormatContract, Reference, step


@pytest.fixture(scope="module")
def format_name() -> str:
    return "skywork"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_skywork(tmp_path_factory.mktemp("skywork") / "model")


@pytest.fixture(scope="module")
def plain(checkpoint: Path) -> Reference:
    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
    model: Any = Qwen2Model.from_pretrained(checkpoint)
    weights = torch.load(checkpoint / "pytorch_model.bin")

    def scores(problem: str, response: str) -> list[float]:
        ids: list[int] = tokenizer.encode(tokenizer.bos_token + problem + "\n")
        flags = [False] * len(ids)
        for part in response.split("\n\n"):
            if part.strip():
                step_ids = [*tokenizer.encode(part.strip().replace("\n", " ")), tokenizer.encode("\n")[-1]]
                ids += step_ids
                flags += [False] * (len(step_ids) - 1) + [True]
        with torch.no_grad():
            hidden = model(torch.tensor([ids])).last_hidden_state[0]
        values = hidden @ weights["v_head.summary.weight"].T + weights["v_head.summary.bias"]
        found: list[float] = values.sigmoid()[torch.tensor(flags), 0].tolist()
        return found

    return scores


class TestSkyworkPRM(FormatContract):
    pass


def test_a_step_of_many_lines_is_one_line(published: SkyworkPRM, checkpoint: Path) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
    layout = published.lay_out(Problem("1 +\n1?"), [step("\n\na\nb\n\n"), step("<|endoftext|>")])
    assert tokenizer.decode(layout.token_ids) == "<|endoftext|>1 +\n1?\na b\n<|endoftext|>\n"
    assert layout.token_ids.count(tokenizer.bos_token_id) == 1
    assert {layout.token_ids[end] for end in layout.ends} == set(tokenizer.encode("\n"))
