"""Tokenizers and chat templates of models that think, made of the demo's."""

import json
import shutil
from pathlib import Path

from tokenizers import AddedToken, Tokenizer

from models.checkpoints.marks import THINK, Marks
from models.checkpoints.tokenizer import ChatTokenizer
from tests.conftest import DEMO

HARMONY_TOKENS = ("<|start|>", "<|end|>", "<|channel|>", "<|message|>", "<|return|>")
TEMPLATE_END = "{%- if add_generation_prompt %}"
HYBRID = (
    "{%- if add_generation_prompt and enable_thinking is defined and enable_thinking is false %}"
    "{{ '<think>\\n\\n</think>\\n\\n' }}{%- endif %}"
)
"""As Qwen3's: thoughts that are not wanted are written by the template, empty."""
OPENED = "{%- if add_generation_prompt %}{{ '<think>\\n' }}{%- endif %}"
"""As DeepSeek-R1's: the response begins inside the thoughts."""
EFFORT = "{%- if reasoning_effort is defined %}{{ 'Effort: ' + reasoning_effort + '\\n' }}{%- endif %}"
"""In front, as gpt-oss's says in its system message."""


def save_thinker(
    directory: Path,
    *,
    tokens: tuple[str, ...] = THINK.texts,
    special: bool = False,
    before: str = "",
    behind: str = HYBRID,
) -> Path:
    """Write a checkpoint of the demo's weights whose tokenizer has tokens for the marks.

    Args:
        directory: To write to.
        tokens: Added to the vocabulary.
        special: Whether they are special tokens; Qwen3's are not, gpt-oss's are.
        before: Of the chat template.
        behind: Of the chat template.
    """
    shutil.copytree(DEMO / "policy", directory)
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    tokenizer.add_tokens([AddedToken(token, special=special, normalized=False) for token in tokens])
    tokenizer.save(str(directory / "tokenizer.json"))
    file = directory / "tokenizer_config.json"
    config = json.loads(file.read_text())
    template = directory / "chat_template.jinja"
    text = template.read_text() if template.exists() else config["chat_template"]
    config.pop("chat_template", None)
    file.write_text(json.dumps(config))
    template.write_text(before + text + behind)
    return directory


def thinker(directory: Path, marks: Marks = THINK) -> ChatTokenizer:
    return ChatTokenizer(directory, marks.texts)
