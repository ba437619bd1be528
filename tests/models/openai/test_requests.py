"""Which field vLLM complains of, and what is refused before it is tokenised."""

from pathlib import Path
from typing import Any

import pytest

from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import PromptTooLongError, RequestRefusedError
from models.openai.fields import KINDS
from models.openai.requests import RequestReader, field_of
from tests.models.thinkers import save_thinker

DEMO = Path(__file__).parents[3] / "models" / "demo" / "policy"
BODY = {
    "top_logprobs": 99,
    "model": "a",
    "messages": [],
    "n": 2,
    "tool_choice": "auto",
    "tools": [],
    "top_k": 1,
    "top_p": 1.0,
}


@pytest.mark.parametrize(
    ("param", "message", "field"),
    [
        ("top_k", "top_k must be at least 0", "top_k"),
        ("logprobs", "99 logprobs are more than 20", "top_logprobs"),
        (None, '"auto" tool choice requires a parser', "tool_choice"),
        (None, "top_p must be in (0, 1]", "top_p"),
        ("input_tokens", "the model's context is 1024 tokens", "messages"),
        (None, "the model cannot do that", "messages"),
    ],
)
def test_a_refusal_names_a_field_of_the_request(param: str | None, message: str, field: str) -> None:
    assert field_of(param, message, BODY) == field


async def test_a_long_chat_that_spells_special_tokens_is_refused_untokenised() -> None:
    reader = RequestReader(ChatTokenizer(DEMO), KINDS, context=64)
    body: dict[str, Any] = {"model": "a", "messages": [{"role": "user", "content": "<|user|>" * 60_000}]}
    with pytest.raises(RequestRefusedError, match="tokens and more; allowed: 64"):
        await reader.read_chat(body, "a")


WORDS = "one two three four five six"  # in 20 tokens and more of the demo's
FITS, TOO_LONG = WORDS, f"{WORDS} {WORDS}"
NUM_FITTING = len(ChatTokenizer(DEMO).encode(FITS))
NUM_TOO_LONG = len(ChatTokenizer(DEMO).encode(TOO_LONG))
NUM_IDS = [1] * (NUM_FITTING + 1)


def chat_of(content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}]}


def bounded() -> RequestReader:
    return RequestReader(ChatTokenizer(DEMO), KINDS, 1024, lambda: NUM_FITTING)


@pytest.mark.parametrize(
    ("kind", "body", "field", "number"),
    [
        ("chat", chat_of(TOO_LONG), "messages", NUM_TOO_LONG),
        ("chat", chat_of([{"type": "text", "text": TOO_LONG}]), "messages", NUM_TOO_LONG),
        ("chat", chat_of("a" * 1_000_000), "messages", None),
        ("completion", {"prompt": TOO_LONG}, "prompt", NUM_TOO_LONG),
        ("completion", {"prompt": [FITS, TOO_LONG]}, "prompt", NUM_TOO_LONG),
        ("completion", {"prompt": NUM_IDS}, "prompt", NUM_FITTING + 1),
        ("completion", {"prompt": [[1], NUM_IDS]}, "prompt", NUM_FITTING + 1),
        ("response", {"input": [{"role": "user", "content": TOO_LONG}]}, "input", NUM_TOO_LONG),
        (
            "response",
            {"input": [{"role": "user", "content": "?"}], "instructions": TOO_LONG},
            "input",
            NUM_TOO_LONG + 1,
        ),
    ],
)
async def test_a_prompt_that_is_longer_than_is_read_is_refused_by_its_number(
    kind: str, body: dict[str, Any], field: str, number: int | None
) -> None:
    with pytest.raises(PromptTooLongError) as refused:
        await getattr(bounded(), f"read_{kind}")({"model": "a"} | body, "a")
    assert refused.value.field == field
    assert f"at most {NUM_FITTING}" in str(refused.value)
    assert number is None or f"a prompt of {number} tokens" in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("chat", chat_of(FITS)),
        ("completion", {"prompt": FITS}),
        ("completion", {"prompt": [FITS, FITS]}),
        ("completion", {"prompt": NUM_IDS[:-1]}),
        ("completion", {"prompt": TOO_LONG, "truncate_prompt_tokens": 5}),
        ("response", {"input": [{"role": "user", "content": FITS}]}),
    ],
)
async def test_a_prompt_that_is_as_long_as_is_read_passes(kind: str, body: dict[str, Any]) -> None:
    assert await getattr(bounded(), f"read_{kind}")({"model": "a"} | body, "a")


async def test_tools_count_where_the_template_shows_them(tmp_path: Path) -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": TOO_LONG, "parameters": {}}}]
    body = {"model": "a", "tools": tools, "tool_choice": "none"} | chat_of("?")
    assert await bounded().read_chat(body, "a")
    saved = save_thinker(tmp_path / "policy", before="{%- if tools %}{{ tools | tojson }}{% endif %}")
    reader = RequestReader(ChatTokenizer(saved), KINDS, 1024, lambda: NUM_FITTING)
    with pytest.raises(PromptTooLongError, match="a prompt of"):
        await reader.read_chat(body, "a")
