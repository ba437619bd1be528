"""What people name that is no checkpoint of a chat model is told what it is, and what to do."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.checkpoints.checkpoint import check_causal_model, find_model
from models.checkpoints.pretrained import require_chat_template
from models.errors import CheckpointError
from tests.conftest import DEMO


def folder(*names: str) -> Callable[[Path], Path]:
    def make(root: Path) -> Path:
        for name in names:
            (root / "model" / name).parent.mkdir(parents=True, exist_ok=True)
            (root / "model" / name).write_text("{}")
        return root / "model"

    return make


def of(architecture: str, **config: Any) -> Callable[[Path], Path]:
    def make(root: Path) -> Path:
        (root / "config.json").write_text(json.dumps({"architectures": [architecture], **config}))
        return root

    return make


def gguf(root: Path) -> Path:
    (root / "model.gguf").write_bytes(b"GGUF")
    return root / "model.gguf"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (gguf, r"model\.gguf: a GGUF file, .* name the folder of the model's safetensors"),
        (folder("m.Q4_K_M.gguf", "README.md"), r"model: a folder of GGUF files, .* safetensors"),
        (folder("adapter_config.json", "adapter_model.safetensors"), "a LoRA adapter without its model; merge it"),
        (folder("consolidated.00.pth", "params.json"), "in its maker's own format"),
        (folder("small/config.json", "large/config.json"), "it holds some; name one, as .*small"),
        (folder("snapshots/4f1e/config.json", "refs/main"), "it holds some; name one, as .*snapshots/4f1e"),
        (folder("notes.txt"), r"config\.json: No such file"),
        (of("BertForMaskedLM"), "BertForMaskedLM is an encoder, which reads text and writes none"),
        (of("ModernBertModel"), "ModernBertModel is an encoder, .*name a causal language model"),
        (of("T5ForConditionalGeneration", is_encoder_decoder=True), "an encoder with a decoder"),
        (of("LlamaForSequenceClassification"), "judges text and writes none; name it as verifier_model"),
        (of("Qwen2VLForConditionalGeneration"), "not a causal language model .*name one that is"),
    ],
)
def test_what_is_no_causal_model_is_told_what_it_is_and_what_to_do(
    tmp_path: Path, make: Callable[[Path], Path], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        check_causal_model(find_model(make(tmp_path)), with_weights=False)


def test_a_base_model_is_told_where_templates_come_from(tmp_path: Path) -> None:
    base = shutil.copytree(DEMO / "policy", tmp_path / "base", ignore=shutil.ignore_patterns("chat_template.jinja"))
    with pytest.raises(CheckpointError, match=r"base model.* instruct version, or put its chat_template.jinja into"):
        require_chat_template(base)


def test_a_chat_model_has_a_template() -> None:
    require_chat_template(DEMO / "policy")
