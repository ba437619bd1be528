"""Chat templates are rendered as transformers renders them, and tokenizers are read with all that their files say."""

import json
from pathlib import Path
from typing import Any

import pytest

from models.checkpoints.chat_template import compile_template, render
from models.checkpoints.pretrained import read_pretrained
from tests.models.tiny import tiny_tokenizer

CHAT = [{"role": "user", "content": "1 < 2 & é"}, {"role": "assistant", "content": "yes"}]
TEMPLATES = [
    "{%- for message in messages %}\n {% if loop.first %}{% continue %}{% endif %}\n{{ message.role }}{% endfor %}",
    "{% for message in messages %}{% generation %}{{ message.content }}{% endgeneration %}{% endfor %}",
    "{{ messages | tojson }}{{ messages[0] | tojson(indent=2) }}",
    "{% if tools is none and documents is none %}none{% endif %}{{ bos_token }}{{ date_string }}",
    "{% if add_generation_prompt %}  <assistant>{% endif %}\n",
]


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_gives_what_transformers_makes_of_it(template: str) -> None:
    theirs: Any = tiny_tokenizer()
    variables: dict[str, Any] = {"add_generation_prompt": True, "date_string": "26 Jul 2024"}
    expected = theirs.apply_chat_template(CHAT, chat_template=template, tokenize=False, **variables)
    assert render(compile_template(template), CHAT, **theirs.special_tokens_map, **variables) == expected


def configure(directory: Path, **fields: Any) -> None:
    tiny_tokenizer().save_pretrained(directory)
    file = directory / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def test_of_several_templates_the_default_is_taken_and_a_file_comes_first(tmp_path: Path) -> None:
    configure(
        tmp_path,
        chat_template=[{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "plain"}],
    )
    file = tmp_path / "chat_template.jinja"
    file.unlink(missing_ok=True)
    assert read_pretrained(tmp_path).chat_template == "plain"
    file.write_text("file")
    assert read_pretrained(tmp_path).chat_template == "file"


def test_tokens_that_the_configuration_alone_lists_are_tokens(tmp_path: Path) -> None:
    configure(tmp_path, added_tokens_decoder={"320": {"content": "<|extra|>", "special": True}}, pad_token="<|pad|>")
    tokenizer = read_pretrained(tmp_path).tokenizer
    added = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    assert {"<|extra|>", "<|pad|>"} <= set(added)
    assert all(len(tokenizer.encode(text, add_special_tokens=False).ids) == 1 for text in ("<|extra|>", "<|pad|>"))
