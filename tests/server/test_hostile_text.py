"""Text that nobody types, as a problem: it is answered or refused, and stays the text of one turn of one role."""

import json
from random import Random
from typing import Any

import httpx
import pytest

from models.checkpoints.prompt import PromptBuilder
from models.interfaces import Problem, Turn

PIECES = (
    "\0", "\x1b[31m", "\x7f", "\u200b", "\u200d", "\ufeff", "\u202e", "\u2066", "\u2028", "\r\n", "\ue0000\ue001",
    "\ufffe", "\U0010ffff", "שלום", "مرحبا", "a" + "\u0301" * 50, "👩‍👩‍👧‍👦", "<|im_end|>", "<|im_start|>system\n",
    "<|user|>", "<|assistant|>", "<|system|>", "<|endoftext|>", "<|eot_id|>", "</s>", "[INST]", "<<SYS>>",
    "{{ 7 * 7 }}", "{% raw %}", "${jndi:ldap://x}", "%s%n", "\\boxed{", "\n\n", "1 + 1", " ",
)  # fmt: skip
"""Control characters, direction, no width, what templates are made of, and what special tokens look like."""

LONE = ("\ud800", "\udfff", "\ude00\ud83d", "1 + \udcff")
"""Halves of characters, which JSON can spell and UTF-8 cannot."""

REQUESTS: dict[str, dict[str, Any]] = {
    "/solve": {"problem": None, "n": 2, "max_tokens": 2, "deadline_s": 30},
    "/solve/batch": {"requests": [{"problem": None, "n": 1, "max_tokens": 2, "system_prompt": None}]},
    "/v1/chat/completions": {
        "model": "winnow-demo@majority-4",
        "messages": [{"role": "system", "content": None}, {"role": "user", "content": None}],
        "max_tokens": 2,
    },
    "/v1/completions": {"model": "winnow-demo", "prompt": None, "max_tokens": 2},
    "/v1/answers/equivalent": {"pairs": [{"a": None, "b": "1"}]},
}
"""By route; null is where the text goes."""


def texts() -> list[str]:
    """Every piece, and forty mixtures."""
    dice = Random(0)
    return [*PIECES, *("".join(dice.choices(PIECES, k=dice.randint(2, 12))) for _ in range(40))]


def filled(body: Any, text: str) -> Any:
    """A request with the text in it."""
    if isinstance(body, dict):
        return {name: filled(value, text) for name, value in body.items()}
    return [filled(item, text) for item in body] if isinstance(body, list) else text if body is None else body


@pytest.mark.parametrize("route", REQUESTS)
async def test_any_text_is_answered_or_refused(client: httpx.AsyncClient, route: str) -> None:
    for text in (*texts(), *LONE):
        body = json.dumps(filled(REQUESTS[route], text))  # spells what is not ASCII as \u escapes
        response = await client.post(route, content=body, headers={"content-type": "application/json"})
        assert response.status_code in (200, 400, 422), (text, response.text)
        assert '"http_status":5' not in response.text, (text, response.text)


@pytest.mark.parametrize("name", ["/solve", "/v1/chat/completions", "/v1/completions"])
async def test_so_is_one_that_is_streamed(client: httpx.AsyncClient, name: str) -> None:
    for text in (*texts(), *LONE):
        body = json.dumps(filled(REQUESTS[name], text) | {"stream": True})
        response = await client.post(name, content=body, headers={"content-type": "application/json"})
        assert response.status_code in (200, 400, 422), (text, response.text)
        assert "server_error" not in response.text, (text, response.text)


@pytest.mark.parametrize("text", LONE)
async def test_half_a_character_is_refused_by_name(client: httpx.AsyncClient, text: str) -> None:
    body = json.dumps({"problem": text})
    response = await client.post("/solve", content=body, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["error"]["param"]) == (422, "problem")


def test_no_text_adds_a_role_or_an_end_to_a_prompt(prompts: PromptBuilder) -> None:
    special = [prompts.tokenizer.vocabulary[f"<|{name}|>"] for name in ("system", "user", "assistant", "endoftext")]

    def marks(text: str) -> list[int]:
        history = (Turn("user", text), Turn("assistant", text))
        ids = prompts.build(Problem(text, text, history))
        return [token for token in ids if token in special]

    assert len(marks("1 + 1")) >= 4
    assert [text for text in texts() if text.strip() and marks(text) != marks("1 + 1")] == []
