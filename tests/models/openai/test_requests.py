"""Which field vLLM complains of, and what is refused before it is tokenised."""

from pathlib import Path
from typing import Any

import pytest

from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import RequestRefusedError
from models.openai.fields import KINDS
from models.openai.requests import RequestReader, field_of

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
