"""The policy itself behind OpenAI's interface: vLLM's own handlers, with all that they offer.

The one file that imports them: their places change between releases of vLLM. Knows requests and replies as JSON; knows
nothing of HTTP, of searches, or of model names other than the policy's.
"""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any, cast

from jinja2 import TemplateError
from pydantic import BaseModel
from starlette.datastructures import State
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.entrypoints.openai.completion.protocol import CompletionRequest
from vllm.entrypoints.openai.responses.protocol import ResponsesRequest, ResponsesResponse
from vllm.tool_parsers.utils import get_json_schema_from_tools
from vllm.utils.argparse_utils import FlexibleArgumentParser
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

from models.checkpoints.tokenizer import ChatTokenizer
from models.engine_client import EngineClient
from models.errors import EngineDiedError, EngineUnavailableError, ModelError, RequestRefusedError
from models.generation import BASE
from models.openai.events import begun, event_text
from models.openai.grammars.bounds import Asked, constrained_by
from models.openai.requests import Kinds, RequestReader, field_of
from models.vllm.engine import Engine
from models.vllm.releases import IS_LATEST, REQUEST_ERRORS

if IS_LATEST:
    from vllm.entrypoints.launchers.api_server.app_state import init_app_state
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.entrypoints.serve import create_error_response
    from vllm.entrypoints.serve.engine.protocol import ErrorInfo, ErrorResponse
    from vllm.entrypoints.serve.exception_handling.handlers.validation import clean_loc_for_param
else:
    from vllm.entrypoints.openai.api_server import init_app_state
    from vllm.entrypoints.openai.cli_args import make_arg_parser  # type: ignore[import-not-found,no-redef]
    from vllm.entrypoints.openai.engine.protocol import (  # type: ignore[import-not-found,no-redef]
        ErrorInfo,
        ErrorResponse,
    )
    from vllm.entrypoints.serve.utils.error_response import (  # type: ignore[import-not-found,no-redef]
        create_error_response,
    )
    from vllm.entrypoints.serve.utils.server_utils import (  # type: ignore[import-not-found,no-redef]
        clean_loc_for_param,
    )

REFUSALS: tuple[type[Exception], ...] = (
    *REQUEST_ERRORS,
    ValueError,
    TypeError,
    OverflowError,
    NotImplementedError,
    TemplateError,
)
"""What vLLM raises for a request that it cannot use."""

Reply = dict[str, Any] | AsyncGenerator[str, None]
"""A reply, or the events of a streamed one as they go over the wire."""


def _calls(request: ChatCompletionRequest | ResponsesRequest) -> dict[str, Any] | str | None:
    """From a copy: vLLM takes the definitions out of the tools that it is given."""
    if request.tool_choice == "auto":
        return None
    copy = cast(Any, request.model_copy(deep=True))  # vLLM's types are narrower than its code
    schema: dict[str, Any] | str | None = get_json_schema_from_tools(
        copy.tool_choice, copy.tools, copy.parallel_tool_calls
    )
    return schema


KINDS = Kinds(ChatCompletionRequest, CompletionRequest, ResponsesRequest, clean_loc_for_param, _calls)


class OpenAIHandlers:
    """vLLM's handlers of chats, completions and responses, around the engine that the policy has now.

    Args:
        engine: The policy's, which answers.
        tokenizer: Of the policy.
        name: What clients call the policy.
        tool_call_parser: vLLM's name for how the policy writes tool calls; None leaves `tool_choice: "auto"` refused.
        reasoning_parser: vLLM's name for how the policy marks its thoughts; None leaves them in the content.
    """

    def __init__(
        self,
        engine: EngineClient,
        tokenizer: ChatTokenizer,
        name: str,
        tool_call_parser: str | None = None,
        reasoning_parser: str | None = None,
    ) -> None:
        self.name = name
        self._client = engine
        self._requests = RequestReader(tokenizer, KINDS, engine.max_model_len, lambda: engine.max_prompt_tokens)
        self._tool_call_parser = tool_call_parser
        self._reasoning_parser = reasoning_parser
        self._handlers: tuple[AsyncLLM, State] | None = None

    async def chat(self, body: Mapping[str, Any], client: str = "") -> Reply:
        """Answer the body of a chat completion.

        Raises:
            RequestRefusedError: vLLM cannot use it.
            EngineUnavailableError: The engine died twice, or is not started again within a minute.
        """

        async def ask() -> Any:
            request = await self._requests.read_chat(body, client)
            return await (await self._state()).openai_serving_chat.create_chat_completion(request)

        return await self._answer(ask, body)

    async def complete(self, body: Mapping[str, Any], client: str = "") -> Reply:
        """Answer the body of a completion; its prompt goes to the policy as it is, without a chat template.

        Raises:
            RequestRefusedError: vLLM cannot use it.
            EngineUnavailableError: The engine died twice, or is not started again within a minute.
        """

        async def ask() -> Any:
            request = await self._requests.read_completion(body, client)
            return await (await self._state()).openai_serving_completion.create_completion(request)

        return await self._answer(ask, body)

    async def respond(self, body: Mapping[str, Any], client: str = "") -> Reply:
        """Answer the body of a response, whose input is a list of items.

        Raises:
            RequestRefusedError: vLLM cannot use it.
            EngineUnavailableError: The engine died twice, or is not started again within a minute.
        """

        async def ask() -> Any:
            request = await self._requests.read_response(body, client)
            if body.get("tools") and body.get("tool_choice") != "none" and not self._tool_call_parser:
                message = 'tool_choice: calls of tools need --tool-call-parser; allowed: "none"'  # vLLM would ignore it
                raise RequestRefusedError(message, "tool_choice")
            answer = await (await self._state()).openai_serving_responses.create_responses(request)
            if isinstance(answer, ResponsesResponse):
                return answer.model_dump(mode="json", by_alias=True)
            return answer if isinstance(answer, ErrorResponse) else begun(_written(answer))

        return await self._answer(ask, body)

    async def try_grammar(self, asked: Asked, client: str = "", num_responses: int = 1) -> None:
        """Return if so many responses can be held to a grammar.

        Raises:
            RequestRefusedError: It cannot be compiled, or costs too much.
            EngineUnavailableError: No process can try it now.
        """
        await self._requests.try_grammar(asked, client, num_responses)

    async def stop(self) -> None:
        """End what tries grammars; the engine is the policy's."""
        await self._requests.stop()

    @property
    def _engine(self) -> Engine:
        assert isinstance(self._client, Engine)  # noqa: S101 - the composition root sees to it
        return self._client

    async def _answer(self, ask: Callable[[], Awaitable[Any]], body: Mapping[str, Any]) -> Reply:
        """Ask the engine; once more where it dies before it has said anything."""
        try:
            return await self._ask_once(ask, body)
        except EngineDiedError:
            await self._engine.recovered()
            return await self._ask_once(ask, body)

    async def _ask_once(self, ask: Callable[[], Awaitable[Any]], body: Mapping[str, Any]) -> Reply:
        llm = self._engine.llm
        try:
            with _translated(body):
                reply = await _settle(await ask(), body)
        except EngineUnavailableError as error:
            raise await self._cause(error, body, llm) from error
        return reply if isinstance(reply, dict) else self._followed(reply, body, llm)

    async def _followed(
        self, events: AsyncGenerator[str, None], body: Mapping[str, Any], llm: AsyncLLM
    ) -> AsyncGenerator[str, None]:
        async with aclosing(events):
            try:
                async for event in events:
                    yield event
            except EngineUnavailableError as error:
                raise await self._cause(error, body, llm) from error

    async def _cause(self, error: EngineUnavailableError, body: Mapping[str, Any], llm: AsyncLLM) -> ModelError:
        """Say why the engine gave a request up: it died, or could not hold the response to what was asked."""
        if self._engine.llm is not llm:
            return EngineDiedError(f"{error}, and was started again meanwhile")
        try:
            await self._engine.check()  # has an engine that is dead started again
        except EngineUnavailableError as died:
            return died
        if (field := constrained_by(body)) is None:
            return error
        return RequestRefusedError(f"{field}: a response cannot be held to it; allowed: a simpler one", field)

    async def _state(self) -> State:
        """Make the handlers of the engine that runs now: one that was started anew gets new ones."""
        llm = self._engine.llm
        if self._handlers is None or self._handlers[0] is not llm:
            flags = ["--model", llm.model_config.model, "--served-model-name", self.name]
            if self._engine.adapter is not None:  # its name is the policy's, so that requests get it
                module = json.dumps({"name": self.name, "path": str(self._engine.adapter)})
                flags[-1] += BASE
                flags += ["--enable-lora", "--lora-modules", module]
            if self._tool_call_parser:
                flags += ["--enable-auto-tool-choice", "--tool-call-parser", self._tool_call_parser]
            state = State()
            parser = FlexibleArgumentParser()  # type: ignore[no-untyped-call]  # vLLM leaves it untyped
            args = make_arg_parser(parser).parse_args(flags)
            if self._reasoning_parser:  # vLLM's flag for it is read where its server makes an engine
                args.structured_outputs_config.reasoning_parser = self._reasoning_parser
            await init_app_state(llm, state, args, await llm.get_supported_tasks())
            self._handlers = (llm, state)
        return self._handlers[1]


async def _settle(answer: Any, body: Mapping[str, Any]) -> Reply:
    """Return what vLLM answered, or raise; a stream is only begun when its first event is no error."""
    if isinstance(answer, ErrorResponse):
        raise _error(answer.error, body)
    if isinstance(answer, dict):
        return answer
    if isinstance(answer, BaseModel):
        return answer.model_dump(mode="json")
    events = _checked(answer, body)
    return _chain(await anext(events), events)


async def _written(events: AsyncGenerator[BaseModel, None]) -> AsyncGenerator[str, None]:
    """Yield the events of a response as vLLM's server writes them."""
    async with aclosing(events):
        async for event in events:
            yield event_text(event.model_dump(mode="json", by_alias=True))


async def _checked(events: AsyncGenerator[str, None], body: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    """Yield the events of a stream; raise where vLLM writes an error into it, in words of its own."""
    async with aclosing(events):
        with _translated(body):
            async for event in events:
                if event.startswith('data: {"error"'):
                    raise _error(ErrorInfo(**json.loads(event.removeprefix("data: "))["error"]), body)
                yield event


async def _chain(first: str, rest: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    async with aclosing(rest):
        yield first
        async for event in rest:
            yield event


def _error(info: ErrorInfo, body: Mapping[str, Any]) -> ModelError:
    if info.code >= 500 and info.code != 501:
        return EngineUnavailableError(f"the policy engine: {info.message}")
    return RequestRefusedError(info.message, field_of(info.param, info.message, body))


@contextmanager
def _translated(body: Mapping[str, Any]) -> Iterator[None]:
    try:
        yield
    except (EngineDeadError, EngineGenerateError) as error:
        raise EngineUnavailableError("the policy engine is dead, or refused the request") from error
    except REFUSALS as error:
        raise _error(create_error_response(error).error, body) from error
