"""The policy itself behind OpenAI's interface: vLLM's own handlers, with all that they offer.

The one file that imports them: their places change between releases of vLLM. Knows requests and replies as JSON; knows
nothing of HTTP, of searches, or of model names other than the policy's.
"""

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any

from jinja2 import TemplateError
from pydantic import BaseModel
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

from models.checkpoints.tokenizer import ChatTokenizer
from models.engine_client import EngineClient
from models.errors import EngineUnavailableError, ModelError, RequestRefusedError
from models.openai.requests import Kinds, RequestReader
from models.vllm.engine import Engine

KINDS = Kinds(ChatCompletionRequest, CompletionRequest, clean_loc_for_param)

Reply = dict[str, Any] | AsyncGenerator[str, None]
"""A reply, or the events of a streamed one as they go over the wire."""


class OpenAIHandlers:
    """vLLM's handlers of chats and completions, around the engine that the policy has now.

    Args:
        engine: The policy's, which answers.
        tokenizer: Of the policy.
        name: What clients call the policy.
        tool_call_parser: vLLM's name for how the policy writes tool calls; None leaves `tool_choice: "auto"` refused.
    """

    def __init__(
        self, engine: EngineClient, tokenizer: ChatTokenizer, name: str, tool_call_parser: str | None = None
    ) -> None:
        self.name = name
        self._engine = engine
        self._requests = RequestReader(tokenizer, KINDS)
        self._tool_call_parser = tool_call_parser
        self._handlers: tuple[AsyncLLM, State] | None = None

    async def chat(self, body: Mapping[str, Any]) -> Reply:
        """Answer the body of a chat completion.

        Raises:
            RequestRefusedError: vLLM has no use for it.
            EngineUnavailableError: The engine is dead.
        """
        with _translated():
            request = self._requests.read_chat(body)
            handler = (await self._state()).openai_serving_chat
            return await _settle(await handler.create_chat_completion(request))

    async def complete(self, body: Mapping[str, Any]) -> Reply:
        """Answer the body of a completion; its prompt goes to the policy as it is, without a chat template.

        Raises:
            RequestRefusedError: vLLM has no use for it.
            EngineUnavailableError: The engine is dead.
        """
        with _translated():
            request = self._requests.read_completion(body)
            handler = (await self._state()).openai_serving_completion
            return await _settle(await handler.create_completion(request))

    async def _state(self) -> State:
        """Make the handlers of the engine that runs now: one that was started anew gets new ones."""
        engine = self._engine
        assert isinstance(engine, Engine)  # noqa: S101 - the composition root sees to it
        llm = engine.llm
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
