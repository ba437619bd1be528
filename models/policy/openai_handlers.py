"""The policy itself behind OpenAI's interface: vLLM's own handlers, with all that they offer.

The one file that imports them: their places change between releases of vLLM. Knows requests and replies as JSON; knows
nothing of HTTP, of searches, or of model names other than the policy's.

vLLM tokenises a rendered chat as a whole, and so takes `<|im_end|>` in a user's text for the end of the user's turn.
Chats that spell a special token are tokenised here instead, by the project's own tokenizer, which takes text for text.
"""

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any

from jinja2 import TemplateError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import State
from vllm.entrypoints.launchers.api_server.app_state import init_app_state
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.entrypoints.openai.completion.protocol import CompletionRequest
from vllm.entrypoints.serve import create_error_response
from vllm.entrypoints.serve.engine.protocol import ErrorInfo, ErrorResponse
from vllm.entrypoints.serve.exception_handling.handlers.validation import clean_loc_for_param
from vllm.exceptions import VLLMError
from vllm.utils.argparse_utils import FlexibleArgumentParser
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

from models.errors import EngineUnavailableError, ModelError, RequestRefusedError
from models.policy.vllm_policy import VLLMPolicy
from models.tokenizer import Message

Reply = dict[str, Any] | AsyncGenerator[str, None]
"""A reply, or the events of a streamed one as they go over the wire."""

RESERVED = frozenset(
    {
        "kv_transfer_params",
        "ec_transfer_params",
        "request_id",
        "prompt_embeds",
        "mm_processor_kwargs",
        "media_io_kwargs",
    }
)
"""Fields that speak to vLLM as its operator does, or that a client could harm others with."""

PROMPT_FIELDS = ("messages", "tools", "documents", "chat_template_kwargs")
"""Whose text vLLM puts into the prompt of a chat."""

TEMPLATE_FIELDS = frozenset(
    {
        *PROMPT_FIELDS[1:],
        "add_generation_prompt",
        "add_special_tokens",
        "continue_final_message",
        "echo",
        "reasoning_effort",
        "truncate_prompt_tokens",
    }
)
"""What changes a prompt in ways that only vLLM knows."""

SLIPS = (AttributeError, TypeError, KeyError)
"""What vLLM's own checks of a field raise when the field is of a type that they did not reckon with."""

SAME_IN_TEMPLATES = ("system", "user", "assistant")


class OpenAIHandlers:
    """vLLM's handlers of chats and completions, around the engine that the policy has now.

    Args:
        policy: Whose engine answers.
        name: What clients call the policy.
        tool_call_parser: vLLM's name for how the policy writes tool calls; None leaves `tool_choice: "auto"` refused.
    """

    def __init__(self, policy: VLLMPolicy, name: str, tool_call_parser: str | None = None) -> None:
        self.name = name
        self._policy = policy
        self._tokenizer = policy.prompts.tokenizer
        self._tool_call_parser = tool_call_parser
        self._handlers: tuple[AsyncLLM, State] | None = None

    async def chat(self, body: Mapping[str, Any]) -> Reply:
        """Answer the body of a chat completion.

        Raises:
            RequestRefusedError: vLLM has no use for it.
            EngineUnavailableError: The engine is dead.
        """
        with _translated():
            request = _parse(ChatCompletionRequest, body)
            request.kv_transfer_params = self._tokenised(body)
            handler = (await self._state()).openai_serving_chat
            return await _settle(await handler.create_chat_completion(request))

    async def complete(self, body: Mapping[str, Any]) -> Reply:
        """Answer the body of a completion; its prompt goes to the policy as it is, without a chat template.

        Raises:
            RequestRefusedError: vLLM has no use for it.
            EngineUnavailableError: The engine is dead.
        """
        with _translated():
            request = _parse(CompletionRequest, body)
            handler = (await self._state()).openai_serving_completion
            return await _settle(await handler.create_completion(request))

    async def _state(self) -> State:
        """Make the handlers of the engine that runs now: one that was started anew gets new ones."""
        llm = self._policy.engine.llm
        if self._handlers is None or self._handlers[0] is not llm:
            flags = ["--model", llm.model_config.model, "--served-model-name", self.name]
            if self._tool_call_parser:
                flags += ["--enable-auto-tool-choice", "--tool-call-parser", self._tool_call_parser]
            state = State()
            parser = FlexibleArgumentParser()  # type: ignore[no-untyped-call]  # vLLM leaves it untyped
            args = make_arg_parser(parser).parse_args(flags)
            await init_app_state(llm, state, args, await llm.get_supported_tasks())
            self._handlers = (llm, state)
        return self._handlers[1]

    def _tokenised(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the token ids of a chat that spells special tokens, in the field that vLLM takes them from."""
        texts = _strings([body[name] for name in PROMPT_FIELDS if name in body])
        if not any(self._tokenizer.spells_special_token(text) for text in texts):
            return None
        if unknown := sorted(TEMPLATE_FIELDS & body.keys()):
            message = f"{unknown[0]}: not served for a chat whose text spells a special token; allowed: to leave it out"
            raise RequestRefusedError(message, unknown[0])
        chat = [self._message(index, message) for index, message in enumerate(body["messages"])]
        return {"prompt_token_ids": list(self._tokenizer.encode_chat(chat))}

    def _message(self, index: int, message: Mapping[str, Any]) -> Message:
        content = message.get("content")
        others = {name for name in message.keys() - {"role", "content"} if list(_strings(message[name]))}
        if message["role"] not in SAME_IN_TEMPLATES or others or content is None:
            where = f"messages.{index}"
            raise RequestRefusedError(f"{where}: its text spells a special token; allowed: role and content", where)
        return message["role"], content if isinstance(content, str) else "\n".join(part["text"] for part in content)


def _parse(kind: type[BaseModel], body: Mapping[str, Any]) -> Any:
    for name in body:
        if name in RESERVED or name not in kind.model_fields:
            raise RequestRefusedError(f"{name}: not served; allowed fields: {_names(kind)}", name)
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = clean_loc_for_param(first["loc"])
        raise RequestRefusedError(f"{name}: {first['msg']}", name) from error
    except SLIPS as error:
        odd = [name for name, value in body.items() if _is_odd(kind, name, value)] or ["body"]
        raise RequestRefusedError(f"{', '.join(odd)}: cannot be read; allowed: what vLLM documents", odd[0]) from error


def _is_odd(kind: type[BaseModel], name: str, value: Any) -> bool:
    try:
        kind.model_validate({name: value})
    except SLIPS:
        return True
    except ValidationError:
        pass  # of the fields that are left out here
    return False


def _names(kind: type[BaseModel]) -> str:
    return ", ".join(name for name in kind.model_fields if name not in RESERVED)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _strings([*value.keys(), *value.values()])
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


async def _settle(answer: Any) -> Reply:
    """Return what vLLM answered, or raise; a stream is only begun when its first event is no error."""
    if isinstance(answer, ErrorResponse):
        raise _error(answer.error)
    if isinstance(answer, BaseModel):
        return answer.model_dump(mode="json")
    first = await anext(answer)
    event = first.removeprefix("data: ").strip()
    if event.startswith('{"error"'):
        await answer.aclose()
        raise _error(ErrorInfo(**json.loads(event)["error"]))
    return _chain(first, answer)


async def _chain(first: str, rest: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    async with aclosing(rest):
        yield first
        async for event in rest:
            yield event


def _error(info: ErrorInfo) -> ModelError:
    if info.code >= 500 and info.code != 501:
        return EngineUnavailableError(f"the policy engine: {info.message}")
    return RequestRefusedError(info.message, info.param)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (EngineDeadError, EngineGenerateError) as error:
        raise EngineUnavailableError("the policy engine is dead, or refused the request") from error
    except (VLLMError, ValueError, TypeError, OverflowError, NotImplementedError, TemplateError) as error:
        raise _error(create_error_response(error).error) from error
