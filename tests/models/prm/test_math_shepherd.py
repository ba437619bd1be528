"""Math-Shepherd's format against SentencePiece and plain transformers, as the model card has it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from sentencepiece import SentencePieceProcessor
from transformers import AutoModelForCausalLM

from models.prm.math_shepherd import TagTokenizer
from tests.models.prm.checkpoints import save_math_shepherd
from tests.models.prm.format_contract import FormatContract, Reference


@pytest.fixture(scope="module")
def format_name() -> str:
    return "math_shepherd"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_math_shepherd(tmp_path_factory.mktemp("math_shepherd") / "model")


@pytest.fixture(scope="module")
def pieces(checkpoint: Path) -> Any:
    return SentencePieceProcessor(model_file=str(checkpoint / "tokenizer.model"))


@pytest.fixture(scope="module")
def plain(checkpoint: Path, pieces: Any) -> Reference:
    model: Any = AutoModelForCausalLM.from_pretrained(checkpoint)
    tag, *verdicts = (pieces.piece_to_id(piece) for piece in ("▁ки", "▁+", "▁-"))

    def scores(problem: str, response: str) -> list[float]:
        parts = [part.strip() for part in response.split("\n\n") if part.strip()]
        ids = torch.tensor([[pieces.bos_id(), *pieces.encode(f"{problem} " + "\n".join(f"{p} ки" for p in parts))]])
        with torch.no_grad():
            logits = model(ids).logits[0][:, verdicts]
        found: list[float] = logits.softmax(-1)[ids[0] == tag, 0].tolist()
        return found

    return scores


class TestMathShepherdPRM(FormatContract):
    pass


@pytest.mark.parametrize("model_type", ["llama", "mistral"])
def test_lines_have_the_ids_that_sentencepiece_gives_them(
    checkpoint: Path, tmp_path: Path, pieces: Any, model_type: str
) -> None:
    """transformers reads the same tokenizer.model in two ways, by the `model_type`."""
    directory = shutil.copytree(checkpoint, tmp_path / "model")
    (directory / "config.json").write_text(json.dumps({"model_type": model_type, "architectures": ["X"]}))
    lines = ["What is 17 + 28? ## Step 1: Add", "So\nthe  answer", "is 数学 90."]
    expected = pieces.encode("\n".join(f"{line} ки" for line in lines))
    assert TagTokenizer(directory).encode_lines(lines) == (pieces.bos_id(), *expected)
    assert TagTokenizer(directory).id_of_word("+") == pieces.piece_to_id("▁+")


def test_a_word_that_begins_with_the_tag_makes_no_step(checkpoint: Path, pieces: Any) -> None:
    token_ids = TagTokenizer(checkpoint).encode_lines(["кино ки", "a ки b"])
    tag = pieces.piece_to_id("▁ки")
    assert token_ids.count(tag) == 2
    assert token_ids[-1] == tag
    assert pieces.decode(list(token_ids[1:])) == "кино ки ки\na ки b ки"
