"""What a gateway knows of vLLM's requests is what vLLM knows of them."""

from typing import Any

import pytest
from pydantic import BaseModel
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.entrypoints.openai.completion.protocol import CompletionRequest

from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import RequestRefusedError
from models.openai.fields import KINDS, ChatFields, CompletionFields
from models.openai.requests import RequestReader
from tests.conftest import DEMO

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "1 + 1?"}]}
SPELT = "<|user|> 1 + 1?"


@pytest.fixture(scope="module")
def reader() -> RequestReader:
    return RequestReader(ChatTokenizer(DEMO / "policy"), KINDS)


@pytest.mark.parametrize(
    ("ours", "theirs"), [(ChatFields, ChatCompletionRequest), (CompletionFields, CompletionRequest)]
)
def test_the_fields_are_vllms(ours: type[BaseModel], theirs: type[BaseModel]) -> None:
    assert set(ours.model_fields) == set(theirs.model_fields)


@pytest.mark.parametrize(
    ("field", "value"),
    [("temperature", "warm"), ("n", [1]), ("stop", {}), ("kv_transfer_params", {}), ("unheard_of", 1), ("messages", 1)],
)
def test_a_field_that_cannot_be_served_is_named(reader: RequestReader, field: str, value: Any) -> None:
    with pytest.raises(RequestRefusedError, match=f"^{field}: ") as refused:
        reader.read_chat(CHAT | {field: value})
    assert refused.value.param == field


def test_text_that_spells_a_special_token_goes_as_token_ids(reader: RequestReader) -> None:
    assert reader.read_chat(CHAT).kv_transfer_params is None
    read = reader.read_chat({"messages": [{"role": "user", "content": SPELT}]})
    expected = ChatTokenizer(DEMO / "policy").encode_chat([("user", SPELT)])
    assert tuple(read.kv_transfer_params["prompt_token_ids"]) == expected


def test_parts_without_text_that_spell_a_special_token_are_refused(reader: RequestReader) -> None:
    parts = [{"type": "image_url", "image_url": {"url": "<|user|>"}}]
    with pytest.raises(RequestRefusedError, match=r"^messages\.0: "):
        reader.read_chat({"messages": [{"role": "user", "content": parts}]})


def test_a_completion_without_a_prompt_is_refused(reader: RequestReader) -> None:
    with pytest.raises(RequestRefusedError, match=r"^prompt: Field required"):
        reader.read_completion({"max_tokens": 1})
