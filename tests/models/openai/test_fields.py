"""What a gateway knows of vLLM's requests is what vLLM knows of them."""

from typing import Any

import pytest
from pydantic import BaseModel
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.entrypoints.openai.completion.protocol import CompletionRequest
from vllm.entrypoints.openai.responses.protocol import ResponsesRequest
from vllm.exceptions import VLLMError

from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import RequestRefusedError
from models.openai.fields import KINDS, ChatFields, CompletionFields, ResponseFields
from models.openai.requests import Kinds, RequestReader
from models.vllm import handlers
from tests.conftest import DEMO

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "1 + 1?"}]}
SPELT = "<|user|> 1 + 1?"


@pytest.fixture(scope="module")
def reader() -> RequestReader:
    return RequestReader(ChatTokenizer(DEMO / "policy"), KINDS, context=1024)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(ChatFields, ChatCompletionRequest), (CompletionFields, CompletionRequest), (ResponseFields, ResponsesRequest)],
)
def test_the_fields_are_vllms(ours: type[BaseModel], theirs: type[BaseModel]) -> None:
    assert set(ours.model_fields) == set(theirs.model_fields)


@pytest.mark.parametrize(
    ("field", "value"),
    [("temperature", "warm"), ("n", [1]), ("stop", {}), ("kv_transfer_params", {}), ("unheard_of", 1), ("messages", 1)],
)
async def test_a_field_that_cannot_be_served_is_named(reader: RequestReader, field: str, value: Any) -> None:
    with pytest.raises(RequestRefusedError, match=f"^{field}: ") as refused:
        await reader.read_chat(CHAT | {field: value}, "a")
    assert refused.value.param == field


async def test_text_that_spells_a_special_token_goes_as_token_ids(reader: RequestReader) -> None:
    assert (await reader.read_chat(CHAT, "a")).kv_transfer_params is None
    read = await reader.read_chat({"messages": [{"role": "user", "content": SPELT}]}, "a")
    expected = ChatTokenizer(DEMO / "policy").encode_chat([("user", SPELT)])
    assert tuple(read.kv_transfer_params["prompt_token_ids"]) == expected


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "<|user|>"}}]},
        {"role": "user", "content": ["<|user|>"]},
        {"role": "user", "content": {"text": "<|user|>"}},
        {"role": ["<|user|>"], "content": "a"},
        {"content": "<|user|>"},
    ],
)
async def test_what_spells_a_special_token_elsewhere_than_in_text_is_refused(
    reader: RequestReader, message: dict[str, Any]
) -> None:
    with pytest.raises(RequestRefusedError, match=r"^messages\.0: "):
        await reader.read_chat({"messages": [message]}, "a")


async def test_a_completion_without_a_prompt_is_refused(reader: RequestReader) -> None:
    with pytest.raises(RequestRefusedError, match=r"^prompt: Field required"):
        await reader.read_completion({"max_tokens": 1}, "a")


FIND: dict[str, Any] = {
    "type": "object",
    "properties": {"at": {"$ref": "#/$defs/A"}},
    "$defs": {"A": {"type": "string"}},
}
ADD = {"type": "object", "properties": {"a": {"type": "integer"}}}
NAMED = {"type": "function", "function": {"name": "find"}}
OTHER_DEFS = {"$defs": {"A": {"type": "integer"}}}


def tools(**parameters: Any) -> list[dict[str, Any]]:
    functions = [{"name": name} | ({"parameters": each} if each else {}) for name, each in parameters.items()]
    return [{"type": "function", "function": function} for function in functions]


def calls(kinds: Kinds, body: dict[str, Any]) -> Any:
    return kinds.calls(kinds.chat.model_validate(CHAT | body))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tools": tools(find=FIND)},
        {"tools": tools(find=FIND), "tool_choice": "auto"},
        {"tools": tools(find=FIND), "tool_choice": "none"},
        {"tools": tools(find=FIND), "tool_choice": "required"},
        {"tools": tools(find=FIND, add=ADD), "tool_choice": "required", "parallel_tool_calls": False},
        {"tools": tools(find=FIND, same=FIND), "tool_choice": "required", "parallel_tool_calls": True},
        {"tools": tools(find=None, add={}), "tool_choice": "required"},
        {"tools": tools(find=FIND, add=ADD), "tool_choice": NAMED},
        {"tools": tools(find=None), "tool_choice": NAMED},
    ],
)
def test_calls_that_a_chat_must_make_are_vllms(body: dict[str, Any]) -> None:
    assert calls(KINDS, body) == calls(handlers.KINDS, body)


@pytest.mark.parametrize(
    "body",
    [
        {"tools": tools(find=FIND, other=OTHER_DEFS), "tool_choice": "required"},
        {"tools": tools(find={"$defs": []}), "tool_choice": "required"},
    ],
)
async def test_calls_that_cannot_be_made_are_refused_as_vllm_does(reader: RequestReader, body: dict[str, Any]) -> None:
    with pytest.raises((ValueError, VLLMError), match=r"\$defs|multiple"):
        calls(handlers.KINDS, body)
    with pytest.raises(RequestRefusedError, match=r"^tools: "):
        await reader.read_chat(CHAT | body, "a")


def test_the_tools_of_a_request_are_left_as_they_are() -> None:
    request = handlers.KINDS.chat.model_validate(CHAT | {"tools": tools(find=FIND), "tool_choice": "required"})
    assert handlers.KINDS.calls(request) == handlers.KINDS.calls(request)


@pytest.mark.parametrize("listed", [[], [1], [{"function": 1}], [{"function": {"name": 1}}], tools(add=ADD)])
def test_tools_that_nothing_can_call_are_left_to_the_server(listed: list[Any]) -> None:
    assert calls(KINDS, {"tools": listed, "tool_choice": NAMED}) is None
