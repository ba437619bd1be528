"""Seeded tiny checkpoints of the published formats: their architectures, configuration keys, tokenizers and files.

Weights are drawn wide, so that scores spread as a trained model's do and a wrong one shows. transformers leaves the
classes of its models unannotated, hence what mypy is told to ignore.
"""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import (
    MistralConfig,
    MistralForCausalLM,
    MistralForTokenClassification,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

NUM_TOKENS = 360
CONTEXT = 2048
SIZES: dict[str, Any] = {
    "vocab_size": NUM_TOKENS,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": CONTEXT,
    "initializer_range": 0.2,
    "tie_word_embeddings": False,
}
QWEN_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
QWEN_TEMPLATE = """\
{%- if messages[0]['role'] != 'system' %}{{- '<|im_start|>system\n' + 'Please reason.' + '<|im_end|>\n' }}{% endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{% endif %}"""
TEXT = ("## Step 1: Add\n17 + 28 = 45.\n\n", "## Step 2: Multiply\n45 * 3 = 135.\n\n", "So the answer is $90$.\n\n - +")

Save = Callable[[Path], Path]


def save_qwen_math(directory: Path) -> Path:
    """Two shards of safetensors, and a configuration that names remote code."""
    qwen_tokenizer(("<extra_0>",), special=False).save_pretrained(directory)
    weights = qwen_backbone() | linear("score.0", 64, 64, 0.3) | linear("score.2", 64, 2, 0.3)
    write_config(directory, "Qwen2ForProcessRewardModel", "modeling_qwen2_rm")
    names = sorted(weights)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, held in shards.items():
        save_file({name: weights[name] for name in held}, directory / file)
    return write_index(directory / "model.safetensors.index.json", shards)


def save_skywork(directory: Path) -> Path:
    """One .bin file, which also holds the language model's own head."""
    qwen_tokenizer(begin="<|endoftext|>").save_pretrained(directory)
    weights = qwen_backbone() | linear("v_head.summary", 64, 1, 0.3)
    write_config(directory, "Qwen2ForPrmModel", "modeling_qwen2_rm")
    torch.save(weights | {"lm_head.weight": torch.zeros(NUM_TOKENS, 64)}, directory / "pytorch_model.bin")
    return directory


def save_math_shepherd(directory: Path) -> Path:
    """Two .bin shards, and a SentencePiece model without a tokenizer.json."""
    directory.mkdir(parents=True)
    (directory / "tokenizer.model").write_bytes(sentencepiece_model())
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "tokenizer_class": "LlamaTokenizer"}
    (directory / "tokenizer_config.json").write_text(json.dumps(special | {"add_bos_token": True, "legacy": True}))
    torch.manual_seed(0)
    model = MistralForCausalLM(MistralConfig(**SIZES, bos_token_id=1, eos_token_id=2))  # type: ignore[no-untyped-call]
    model.config.architectures = ["MistralForCausalLM"]
    model.config.save_pretrained(directory)
    weights = model.state_dict()
    names = sorted(weights)
    shards = {"pytorch_model-00001-of-00002.bin": names[::2], "pytorch_model-00002-of-00002.bin": names[1::2]}
    for file, held in shards.items():
        torch.save({name: weights[name] for name in held}, directory / file)
    return write_index(directory / "pytorch_model.bin.index.json", shards)


def save_trl(directory: Path) -> Path:
    """What the trainer saves of a Mistral: transformers does it all."""
    qwen_tokenizer(begin="<|endoftext|>").save_pretrained(directory)
    torch.manual_seed(0)
    MistralForTokenClassification(MistralConfig(**SIZES)).save_pretrained(directory)  # type: ignore[no-untyped-call]
    return directory


def save_thinkprm(directory: Path) -> Path:
    """A causal Qwen2, whose tokenizer knows the verdicts, and whose template opens the thoughts."""
    tokenizer = qwen_tokenizer(("<think>", "</think>"), special=False, texts=(*TEXT, " Yes No yes no" * 9))
    tokenizer.chat_template = QWEN_TEMPLATE.replace("assistant\n' }}{% endif", "assistant\n<think>\n' }}{% endif")
    tokenizer.save_pretrained(directory)
    torch.manual_seed(0)
    Qwen2ForCausalLM(Qwen2Config(**SIZES)).save_pretrained(directory)  # type: ignore[no-untyped-call]
    return directory


def save_judge(directory: Path) -> Path:
    """A causal Qwen2 like any chat model, whose context holds a judge's questions in a small vocabulary."""
    qwen_tokenizer().save_pretrained(directory)
    torch.manual_seed(0)
    config = Qwen2Config(**SIZES | {"max_position_embeddings": 2 * CONTEXT})
    Qwen2ForCausalLM(config).save_pretrained(directory)  # type: ignore[no-untyped-call]
    return directory


def qwen_tokenizer(
    tokens: tuple[str, ...] = (), *, special: bool = True, begin: str | None = None, texts: tuple[str, ...] = TEXT
) -> PreTrainedTokenizerFast:
    """Byte-level BPE with Qwen's own pattern."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN_PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=NUM_TOKENS - len(QWEN_TOKENS) - len(tokens),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts * 3, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in QWEN_TOKENS])
    tokenizer.add_tokens([AddedToken(token, special=special, normalized=False) for token in tokens])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, bos_token=begin, eos_token="<|im_end|>", chat_template=QWEN_TEMPLATE
    )


def sentencepiece_model() -> bytes:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["17 + 28 = 45 - 3. ки", "+ - + -", "So the answer is 90. ки", "## Step 1: Add ки"] * 9),
        model_writer=model,
        model_type="bpe",
        vocab_size=NUM_TOKENS,
        byte_fallback=True,
        hard_vocab_limit=False,
        character_coverage=1.0,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        num_threads=1,
        minloglevel=2,
        unk_id=0,
        bos_id=1,
        eos_id=2,
    )
    return model.getvalue()


def qwen_backbone() -> dict[str, Tensor]:
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(Qwen2Config(**SIZES))  # type: ignore[no-untyped-call]
    return {name: weight for name, weight in model.state_dict().items() if name.startswith("model.")}


def linear(name: str, num_inputs: int, num_outputs: int, std: float) -> dict[str, Tensor]:
    return {
        f"{name}.weight": torch.randn(num_outputs, num_inputs) * std,
        f"{name}.bias": torch.randn(num_outputs) * std,
    }


def write_config(directory: Path, architecture: str, module: str) -> None:
    remote = {"AutoConfig": "configuration_qwen2_rm.Qwen2RMConfig", "AutoModel": f"{module}.{architecture}"}
    keys: dict[str, Any] = {
        "architectures": [architecture],
        "auto_map": remote,
        "model_type": "qwen2",
        "torch_dtype": "float32",
    }
    keys |= {"rope_theta": 10000.0, "rms_norm_eps": 1e-5, "sliding_window": 131072, "max_window_layers": 2}
    (directory / "config.json").write_text(json.dumps(SIZES | keys | {"use_sliding_window": False, "use_mrope": False}))


def write_index(file: Path, shards: dict[str, list[str]]) -> Path:
    weight_map = {name: shard for shard, names in shards.items() for name in names}
    file.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    return file.parent
