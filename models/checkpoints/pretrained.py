"""Reads the files of a tokenizer: tokenizer.json, what tokenizer_config.json adds to it, and the chat template.

By `tokenizers` alone, so that no tensor is imported. Only a checkpoint that has no tokenizer.json needs transformers,
which makes one of tokenizer.model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

from models.checkpoints.checkpoint import TOKENIZER_FILES, read_json
from models.errors import CheckpointError

TOKENIZER_FILE = TOKENIZER_FILES[0]
CONFIG_FILES = ("special_tokens_map.json", "tokenizer_config.json")
NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


@dataclass(frozen=True, slots=True)
class Pretrained:
    """A tokenizer as it lies on disk.

    Attributes:
        tokenizer: Knows every token that the files name.
        named_tokens: Those that have a name, such as `bos_token`.
        chat_template: None where there is none.
    """

    tokenizer: Tokenizer
    named_tokens: Mapping[str, str]
    chat_template: str | None


def read_pretrained(directory: Path) -> Pretrained:
    """Read the files.

    Raises:
        CheckpointError: One is missing or damaged.
    """
    config = _read_config(directory)
    named = {name: text for name in NAMES if (text := _content(config.get(name))) is not None}
    file = directory / TOKENIZER_FILE
    if file.exists():
        try:
            tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # tokenizers raises nothing narrower
            raise CheckpointError(f"{file}: cannot be read ({error})") from error
    else:
        tokenizer, converted = _convert(directory)
        named = converted | named
    tokenizer.no_truncation()
    tokenizer.no_padding()
    try:
        _add_missing(tokenizer, config, named)
    except (AttributeError, TypeError, ValueError) as error:
        raise CheckpointError(f"{directory / CONFIG_FILES[-1]}: lists tokens that are none ({error})") from error
    return Pretrained(tokenizer, named, _chat_template(directory, config))


def read_chat_template(directory: Path) -> str | None:
    """Return the chat template of a checkpoint; None where there is none.

    Raises:
        CheckpointError: A file is damaged.
    """
    return _chat_template(directory, _read_config(directory))


def _read_config(directory: Path) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for file in (directory / name for name in CONFIG_FILES):
        config |= read_json(file) if file.exists() else {}
    return config


def _content(token: Any) -> str | None:
    """The text of a token, which is written as such, or as an object with all that is known of it."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else None


def _convert(directory: Path) -> tuple[Tokenizer, dict[str, str]]:
    file = directory / TOKENIZER_FILE
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise CheckpointError(f"{file}: cannot be read (it is missing; to make one, install transformers)") from error
    try:
        converted = AutoTokenizer.from_pretrained(directory)
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{file}: cannot be read ({error})") from error
    return converted.backend_tokenizer, dict(converted.special_tokens_map)


def _add_missing(tokenizer: Tokenizer, config: Mapping[str, Any], named: Mapping[str, str]) -> None:
    """Add the tokens of tokenizer_config.json that tokenizer.json does not list."""
    listed = sorted((config.get("added_tokens_decoder") or {}).items(), key=lambda pair: int(pair[0]))
    extra = config.get("additional_special_tokens") or config.get("extra_special_tokens") or []
    tokens = [AddedToken(**{name: value for name, value in token.items() if name != "__type"}) for _, token in listed]
    tokens += [AddedToken(text, special=True) for text in named.values()]
    tokens += [AddedToken(text, special=True) for token in extra if (text := _content(token)) is not None]
    known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    tokenizer.add_tokens([token for token in tokens if token.content not in known])


def _chat_template(directory: Path, config: Mapping[str, Any]) -> str | None:
    file = directory / "chat_template.jinja"
    if file.exists():
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CheckpointError(f"{file}: cannot be read ({error})") from error
    template = config.get("chat_template")
    if isinstance(template, list):  # several, by name
        named = [each for each in template if isinstance(each, dict) and each.get("name") == "default"]
        template = named[-1].get("template") if named else None
    return template if isinstance(template, str) else None
