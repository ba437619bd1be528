"""The format of TRL's PRMTrainer against plain transformers, tokenised as the trainer does it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer

from models.checkpoints.tokenizer import TextTokenizer
from models.interfaces import Problem
from models.prm.trl import TRLPRM
from tests.models.prm.checkpoints import qwen_tokenizer, save_trl
from tests.models.prm.format_contract import FormatContract, Reference, step


@pytest.fixture(scope="module")
def format_name() -> str:
    return "trl"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_trl(tmp_path_factory.mktemp("trl") / "model")


def tokenize_row(tokenizer: Any, problem: str, texts: list[str]) -> tuple[list[int], list[int]]:
    """Ids of the input, and where the trainer puts labels."""
    ids = tokenizer(problem, add_special_tokens=False)["input_ids"]
    if tokenizer.bos_token_id is not None:
        ids = [tokenizer.bos_token_id, *ids]
    labelled = []
    for text in texts:
        ids = ids + tokenizer(text, add_special_tokens=False)["input_ids"]
        ids += tokenizer.encode("\n", add_special_tokens=False)
        labelled.append(len(ids) - 1)
    return ids, labelled


@pytest.fixture(scope="module")
def plain(checkpoint: Path) -> Reference:
    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
    model: Any = AutoModelForTokenClassification.from_pretrained(checkpoint)

    def scores(problem: str, response: str) -> list[float]:
        texts = [part.strip().replace("\n", " ") for part in response.split("\n\n") if part.strip()]
        ids, labelled = tokenize_row(tokenizer, problem, texts)
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0]
        found: list[float] = logits.softmax(-1)[labelled, 1].tolist()
        return found

    return scores


class TestTRLPRM(FormatContract):
    pass


def test_a_tokenizer_without_a_first_token_has_none_put_in_front(published: TRLPRM, tmp_path: Path) -> None:
    qwen_tokenizer().save_pretrained(tmp_path)
    verifier = TRLPRM(published.engine, TextTokenizer(tmp_path))
    layout = verifier.lay_out(Problem("9.8 or 9.11?"), [step("11 > 8.\n\n"), step("So\n9.11.")])
    ids, labelled = tokenize_row(AutoTokenizer.from_pretrained(tmp_path), "9.8 or 9.11?", ["11 > 8.", "So 9.11."])
    assert (list(layout.token_ids), list(layout.ends)) == (ids, labelled)


def test_another_separator_closes_the_steps_and_stands_nowhere_else(published: TRLPRM, checkpoint: Path) -> None:
    verifier = TRLPRM(published.engine, TextTokenizer(checkpoint), " ##")
    layout = verifier.lay_out(Problem("1?"), [step("a ## b\n\n"), step("c\nd")])
    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
    assert tokenizer.decode(layout.token_ids, skip_special_tokens=True) == "1?a  b ##c\nd ##"
