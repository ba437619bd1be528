"""What people name that is no checkpoint of a chat model, and what to do with it.

Knows files by their names and config.json; says nothing of checkpoints that can be served.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

HELP = "models/bringing-models.md"
GGUF = "*.gguf"
JUDGES = ("ForSequenceClassification", "ForTokenClassification", "RewardModel")
ENCODERS = ("ForMaskedLM", "ForPreTraining", "ForQuestionAnswering", "ForMultipleChoice")


def other_than_folder(path: Path) -> str | None:
    """Say what a path is that is no folder, and what to do; None where there is nothing to say."""
    if not path.is_file():
        return None
    if path.suffix == ".gguf":
        return _of_gguf("a GGUF file")
    return f"not a directory; name the folder of the checkpoint, {path.absolute().parent}"


def without_config(directory: Path) -> str | None:
    """Say what a folder without config.json is, and what to do; None where there is nothing to say."""
    if any(directory.glob(GGUF)):
        return _of_gguf("a folder of GGUF files")
    if (directory / "adapter_config.json").exists():
        return (
            "a LoRA adapter without its model; merge it into the model (peft: merge_and_unload), and name the folder "
            "of the result"
        )
    if any(directory.glob("consolidated*")):
        return "a checkpoint in its maker's own format; name the folder of its conversion for transformers"
    inside = sorted([*directory.glob("*/config.json"), *directory.glob("snapshots/*/config.json")])
    return f"not a checkpoint, but it holds some; name one, as {inside[-1].parent}" if inside else None


def unable_to_write(config: Mapping[str, Any]) -> str:
    """Say what a model is that is no causal language model, and what to do."""
    name = config["architectures"][0]
    if name.endswith(JUDGES):
        return (
            f"{name} judges text and writes none; name it as verifier_model, and a causal language model as the policy"
        )
    if config.get("is_encoder_decoder"):
        return f"{name} is an encoder with a decoder, and has no one context to continue; name a causal language model"
    if name.endswith(ENCODERS) or (name.endswith("Model") and not config.get("is_decoder")):
        return f"{name} is an encoder, which reads text and writes none; name a causal language model (...ForCausalLM)"
    return f"{name} is not a causal language model (...ForCausalLM), which writes text; name one that is"


def without_template() -> str:
    """Say what a checkpoint without a chat template is, and what to do."""
    return (
        "chat_template is missing, so this is a base model, which continues text and answers no chats, or a file of it "
        f"was lost; name the model's instruct version, or put its chat_template.jinja into the folder ({HELP} has one "
        "for base models)"
    )


def _of_gguf(what: str) -> str:
    return (
        f"{what}, which llama.cpp reads and winnow does not; name the folder of the model's safetensors, or make one "
        f"({HELP}, GGUF files)"
    )
