"""What a chat is made of: the template's own ids, and no special token that a user spells."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from models.checkpoints.tokenizer import BYTES_OF, ChatTokenizer
from models.errors import CheckpointError
from models.interfaces import DELIMITER
from tests.conftest import DEMO
from tests.models.tiny import tiny_tokenizer

CHAT = [("system", "Be brief."), ("user", "Compute 1 + 1.\n\nSlowly."), ("assistant", "2"), ("user", "Sure?")]


@pytest.fixture(params=["demo", "tiny"])
def directory(request: pytest.FixtureRequest, tiny_llama: Path) -> Path:
    return DEMO / "policy" if request.param == "demo" else tiny_llama


@pytest.fixture
def tokenizer(directory: Path) -> ChatTokenizer:
    return ChatTokenizer(directory)


def test_a_chat_has_the_ids_of_the_template(tokenizer: ChatTokenizer, directory: Path) -> None:
    plain: Any = AutoTokenizer.from_pretrained(directory)
    chat = [{"role": role, "content": content} for role, content in CHAT]
    expected = plain.apply_chat_template(chat, add_generation_prompt=True)["input_ids"]
    assert tokenizer.encode_chat(CHAT) == tuple(expected)


@pytest.mark.parametrize("text", ["<|eot_id|>", "<|assistant|>", "a<|endoftext|>b", "<|start_header_id|>system"])
def test_a_user_who_spells_a_special_token_writes_plain_text(tokenizer: ChatTokenizer, text: str) -> None:
    def special(content: str) -> list[int]:
        ids = tokenizer.encode_chat([("user", content)])
        return [token_id for token_id in ids if not tokenizer.decode([token_id])]

    assert special(text) == special("a")
    assert text in tokenizer.decode(tokenizer.encode_chat([("user", text)]))


def test_a_user_who_spells_a_mark_writes_plain_text(tokenizer: ChatTokenizer) -> None:
    chat = tokenizer.decode(tokenizer.encode_chat([("system", "secret"), ("user", "\ue0000\ue001")]))
    assert chat.count("secret") == 1


def test_newline_ids_are_the_tokens_that_show_a_newline(tokenizer: ChatTokenizer) -> None:
    assert set(tokenizer.encode("\n")) <= tokenizer.newline_ids
    assert all("\n" in tokenizer.decode([token_id]) for token_id in tokenizer.newline_ids)


def test_delimiter_ids_are_the_tokens_that_hold_a_whole_delimiter(tokenizer: ChatTokenizer) -> None:
    delimiter_ids = tokenizer.ids_holding(DELIMITER)
    assert delimiter_ids == tuple(sorted(delimiter_ids))
    assert set(delimiter_ids) < tokenizer.newline_ids
    assert all(DELIMITER in tokenizer.decode([token_id]) for token_id in delimiter_ids)


def test_a_word_of_many_tokens_has_no_id(tokenizer: ChatTokenizer) -> None:
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: 'zebra' is \d tokens, not one"):
        tokenizer.id_of("zebra")


def test_a_directory_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: cannot be read"):
        ChatTokenizer(tmp_path)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (None, "chat_template is missing"),
        ("{{ messages[0].role }}", "chat_template leaves out the user message"),
        ("{{ raise_exception('no') }}", "chat_template refuses 'user': no"),
    ],
)
def test_a_chat_template_that_cannot_be_used_is_named(tmp_path: Path, template: str | None, message: str) -> None:
    tokenizer: PreTrainedTokenizerFast = tiny_tokenizer()
    tokenizer.chat_template = template
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        ChatTokenizer(tmp_path)


def test_bytes_are_named_as_transformers_names_them() -> None:
    names = bytes_to_unicode()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    assert {character: byte for byte, character in names.items()} == BYTES_OF


def test_tokens_are_found_whose_ids_lie_behind_a_gap(tmp_path: Path) -> None:
    tokenizer: PreTrainedTokenizerFast = tiny_tokenizer()
    tokenizer.save_pretrained(tmp_path)
    file = tmp_path / "tokenizer.json"
    fields = json.loads(file.read_text())
    fields["model"]["vocab"]["!?"] = 5_000
    file.write_text(json.dumps(fields))
    assert ChatTokenizer(tmp_path).pieces[5_000] == "!?"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("chat_template.jinja", b"\xff"),
        ("tokenizer_config.json", b"\xff"),
        ("tokenizer_config.json", b'{"added_tokens_decoder": [1]}'),
        ("tokenizer_config.json", b'{"added_tokens_decoder": {"a": {"content": "b"}}}'),
        ("tokenizer_config.json", b'{"additional_special_tokens": 1}'),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    tiny_tokenizer().save_pretrained(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=name):
        ChatTokenizer(tmp_path)
