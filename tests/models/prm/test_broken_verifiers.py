"""A verifier that cannot be served stops the start, whatever its format, with the file and the field."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from models.checkpoints.prompt import PromptBuilder
from models.errors import CheckpointError
from models.prm.formats import open_verifier
from models.vllm.settings import EngineSettings
from tests.conftest import DEMO
from tests.models.damage import Change, config, halved, holding, lacking, lost, resized, spoilt, without
from tests.models.prm.checkpoints import (
    Save,
    qwen_tokenizer,
    save_math_shepherd,
    save_qwen_math,
    save_skywork,
    save_trl,
)
from tests.models.tiny import save_tiny_llama, tiny_tokenizer

SAVES: dict[str, Save] = {
    "winnow": lambda directory: Path(shutil.copytree(DEMO / "prm", directory, copy_function=shutil.copy)),
    "rlhflow": save_tiny_llama,
    "math_shepherd": save_math_shepherd,
    "skywork": save_skywork,
    "qwen_math": save_qwen_math,
    "trl": save_trl,
}
Open = Callable[[str, Change], object]
UP = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("sound")
    return {name: save(directory / name) for name, save in SAVES.items()}


@pytest.fixture
def open_damaged(sound: dict[str, Path], tmp_path: Path, prompts: PromptBuilder) -> Open:
    def open_(name: str, change: Change) -> object:
        directory = Path(shutil.copytree(sound[name], tmp_path / "model"))
        change(directory)
        return open_verifier(name, EngineSettings(directory, "verifier"), prompts)

    return open_


def qwens_tokenizer(directory: Path) -> None:
    """Without what a published format needs of it."""
    for file in ("tokenizer.model", "tokenizer.json", "tokenizer_config.json"):
        (directory / file).unlink(missing_ok=True)
    qwen_tokenizer().save_pretrained(directory)


def larger_tokenizer(directory: Path) -> None:
    shutil.copy(DEMO / "prm" / "tokenizer.json", directory)
    assert (
        len(AutoTokenizer.from_pretrained(directory))
        > json.loads((directory / "config.json").read_text())["vocab_size"]
    )


@pytest.mark.parametrize("name", SAVES)
def test_a_sound_checkpoint_is_served(open_damaged: Open, name: str) -> None:
    open_damaged(name, lambda directory: None)


@pytest.mark.parametrize("name", SAVES)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("config.json"), r"config\.json: No such file"),
        (config(architectures=None), r"config\.json: architectures is None"),
        (
            config(intermediate_size=7),
            r"\.(safetensors|bin): model\.\S+ is \(\d+, \d+\), not \(.*7.*\) as config\.json",
        ),
        (lacking(UP), rf"model: {UP} is missing from the weights"),
        (resized(UP), rf"\.(safetensors|bin): {UP} is \(\d+, \d+\), not \(\d+, \d+\) as config\.json says"),
        (spoilt(UP), rf"\.(safetensors|bin): {UP} holds NaN or infinity"),
    ],
)
def test_a_broken_backbone_is_named(open_damaged: Open, name: str, change: Change, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        open_damaged(name, change)


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("winnow", "scorer.0.weight"),
        ("winnow", "scorer.2.bias"),
        ("rlhflow", "lm_head.weight"),
        ("math_shepherd", "lm_head.weight"),
        ("skywork", "v_head.summary.weight"),
        ("qwen_math", "score.0.weight"),
        ("qwen_math", "score.2.bias"),
        ("trl", "score.weight"),
    ],
)
@pytest.mark.parametrize(
    ("damage", "message"),
    [(lacking, "is missing"), (resized, r"is \(.*\), not \(.*\)"), (spoilt, "holds NaN or infinity")],
)
def test_a_broken_head_is_named(
    open_damaged: Open, name: str, weight: str, damage: Callable[[str], Change], message: str
) -> None:
    with pytest.raises(CheckpointError, match=f"model.*: {weight} {message}"):
        open_damaged(name, damage(weight))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("winnow", "model.safetensors"),
        ("rlhflow", "model.safetensors"),
        ("math_shepherd", "pytorch_model-00002-of-00002.bin"),
        ("skywork", "pytorch_model.bin"),
        ("qwen_math", "model-00001-of-00002.safetensors"),
        ("trl", "model.safetensors"),
    ],
)
@pytest.mark.parametrize("damage", [halved, lambda name: holding(name, "junk")])
def test_a_file_that_is_cut_short_or_something_else_is_named(
    open_damaged: Open, name: str, file: str, damage: Callable[[str], Change]
) -> None:
    with pytest.raises(CheckpointError, match=rf"{file}: cannot be read"):
        open_damaged(name, damage(file))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("qwen_math", without("model-00002-of-00002.safetensors"), r"00002-of-00002\.safetensors: cannot be read"),
        ("math_shepherd", without("pytorch_model-00001-of-00002.bin"), r"00001-of-00002\.bin: cannot be read"),
        (
            "qwen_math",
            lost("score.0.bias"),
            r"\.safetensors: score\.0\.bias is missing, though model\.safetensors\.index",
        ),
        ("math_shepherd", lost(UP), rf"\.bin: {UP} is missing, though pytorch_model\.bin\.index"),
        ("qwen_math", holding("model.safetensors.index.json", "{}"), r"index\.json: weight_map is None"),
        ("skywork", without("pytorch_model.bin"), r"model: no \*\.safetensors file, and no pytorch_model\*\.bin file"),
    ],
)
def test_a_shard_that_is_not_what_the_index_says_is_named(
    open_damaged: Open, name: str, change: Change, message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        open_damaged(name, change)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("winnow", tiny_tokenizer().save_pretrained, r"tokenizer\.json: the vocabulary is not the policy's"),
        ("rlhflow", larger_tokenizer, r"tokenizer\.json: \d+ tokens, but vocab_size in config\.json is \d+"),
        ("rlhflow", without("chat_template.jinja"), r"model: chat_template is missing"),
        ("math_shepherd", qwens_tokenizer, r"tokenizer\.json: 'ки' behind a space is \d tokens, not one"),
        ("skywork", qwens_tokenizer, r"tokenizer_config\.json: bos_token is missing"),
        ("qwen_math", qwens_tokenizer, r"tokenizer\.json: '<extra_0>' is not in the vocabulary"),
        ("trl", larger_tokenizer, r"tokenizer\.json: \d+ tokens, but vocab_size in config\.json is \d+"),
        ("skywork", without("tokenizer.json"), r"tokenizer\.json: is missing or holds no tokens"),
    ],
)
def test_a_tokenizer_of_another_model_is_named(open_damaged: Open, name: str, change: Change, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        open_damaged(name, change)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "winnow",
            config(architectures=["BertModel"]),
            r"config\.json: architectures is \['BertModel'\], not \['Winnow",
        ),
        ("winnow", config(scorer_hidden=None), r"config\.json: scorer_hidden is None, not a positive whole number"),
        ("winnow", config(scorer_hidden=7), r"scorer\.0\.weight is \(\d+, \d+\), not \(7, \d+\)"),
        (
            "rlhflow",
            config(architectures=["BertModel"]),
            r"config\.json: BertModel is an encoder",
        ),
        (
            "skywork",
            config(model_type="bert"),
            r"config\.json: model_type 'bert' is an encoder: what follows a step would",
        ),
        ("qwen_math", config(hidden_size="many"), r"config\.json: hidden_size is 'many'"),
        ("trl", config(step_separator=""), r"config\.json: step_separator is '', not a text that ends a step"),
        ("trl", config(step_separator=1), r"config\.json: step_separator is 1, not a text that ends a step"),
    ],
)
def test_a_wrong_field_is_named(open_damaged: Open, name: str, change: Change, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        open_damaged(name, change)


@pytest.mark.parametrize("name", ["skywork", "qwen_math", "trl"])
def test_a_checkpoint_of_another_format_lacks_the_head(
    sound: dict[str, Path], prompts: PromptBuilder, name: str
) -> None:
    others = set(SAVES) - {name}
    for other in others:
        with pytest.raises(CheckpointError, match="is missing from the weights"):
            open_verifier(name, EngineSettings(sound[other], "verifier"), prompts)
