"""What a chat model is told where nobody says: by the family that its template and configuration show."""

import json
from pathlib import Path

import pytest

from models.checkpoints.system_prompt import LLAMA, OTHERS, QWEN, suggest_system_prompt
from models.checkpoints.tokenizer import ChatTokenizer
from tests.models.tiny import CHAT_TEMPLATE, tiny_tokenizer

CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
REFUSING = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + CHATML
FORGETFUL = "{% for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}"


def checkpoint(directory: Path, template: str, model_type: str) -> Path:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    tokenizer.save_pretrained(directory)
    (directory / "config.json").write_text(json.dumps({"model_type": model_type, "architectures": ["XForCausalLM"]}))
    return directory


@pytest.mark.parametrize(
    ("template", "model_type", "expected"),
    [
        (CHAT_TEMPLATE, "llama", LLAMA),
        (CHATML, "llama", OTHERS),
        (CHATML, "qwen2", QWEN),
        (CHATML, "qwen3_moe", QWEN),
        (CHATML, "phi3", OTHERS),
        (REFUSING, "gemma2", None),
        (FORGETFUL, "mistral", None),
    ],
)
def test_the_family_shows_in_template_and_configuration(
    tmp_path: Path, template: str, model_type: str, expected: str | None
) -> None:
    directory = checkpoint(tmp_path, template, model_type)
    assert suggest_system_prompt(directory).text == expected
    if expected is not None:
        assert ChatTokenizer(directory).encode_chat([("system", expected), ("user", "1 + 1?")])


@pytest.mark.parametrize("prompt", [LLAMA, OTHERS, QWEN])
def test_every_prompt_asks_for_steps_and_a_box(prompt: str) -> None:
    assert "step by step" in prompt or "step-by-step" in prompt
    assert "\\boxed{" in prompt


def test_the_prompts_of_families_are_those_of_the_recipes() -> None:
    recipes = "\n".join(path.read_text() for path in Path("deploy/recipes").glob("*.yaml"))
    unindented = "\n".join(line.removeprefix("  ") for line in recipes.splitlines())
    assert LLAMA in unindented
    assert f"system_prompt: {QWEN}" in recipes


@pytest.mark.parametrize("told", [None, "Solve it."])
def test_a_policy_that_was_trained_here_is_told_what_it_was_told_there(tmp_path: Path, told: str | None) -> None:
    directory = checkpoint(tmp_path, CHATML, "qwen2")
    (directory / "report.json").write_text(json.dumps({"loss_before": 1.0, "system_prompt": told}))
    assert suggest_system_prompt(directory) == (told, "as it was trained")


def test_a_report_that_does_not_say_changes_nothing(tmp_path: Path) -> None:
    directory = checkpoint(tmp_path, CHATML, "qwen2")
    (directory / "report.json").write_text('{"loss_before": 1.0}')
    assert suggest_system_prompt(directory).text == QWEN
