"""Reads what vLLM's handlers of chats, completions and responses are asked, and refuses what they must not see.

Knows requests as JSON; knows nothing of who answers them. What a response must look like is tried before it is sent.

vLLM tokenises a rendered chat as a whole, and so takes `<|im_end|>` in a user's text for the end of the user's turn.
Chats that spell a special token are tokenised here instead, by the project's own tokenizer, which takes text for text.
"""

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from models.checkpoints.tokenizer import ChatTokenizer, Message
from models.errors import PromptTooLongError, RequestRefusedError
from models.openai.grammars.bounds import Asked, constraint_in, require_bounded, require_bounded_tools
from models.openai.grammars.trial import Trial
from models.spelling import did_you_mean

RESERVED = frozenset(
    {
        "kv_transfer_params",
        "ec_transfer_params",
        "request_id",
        "previous_input_messages",
        "prompt_embeds",
        "mm_processor_kwargs",
        "media_io_kwargs",
        "vllm_xargs",
    }
)
"""Fields that speak to vLLM as its operator does, or that a client could harm others with."""

UNKEPT = frozenset(
    {
        "access_programs",
        "audio",
        "background",
        "background_options",
        "best_of",
        "context_management",
        "conversation",
        "function_call",
        "functions",
        "image",
        "max_tool_calls",
        "modalities",
        "moderation",
        "prediction",
        "previous_response_id",
        "service_tier",
        "store",
        "suffix",
        "verbosity",
        "web_search_options",
    }
)
"""Fields whose promise no service keeps, so that nothing suggests them: server/openai/neutral.py refuses them."""

PROMPTS = ("messages", "prompt", "input")
"""What a request is about."""

WORDS = frozenset({"model", "n", "prompt", "stop", "stream", "user"})
"""Fields whose names a sentence may hold without speaking of them."""

PROMPT_FIELDS = ("messages", "input", "instructions", "tools", "documents", "chat_template_kwargs")
"""Whose text vLLM puts into the prompt of a chat."""

TEMPLATE_FIELDS = frozenset(
    {
        *PROMPT_FIELDS[3:],
        "add_generation_prompt",
        "add_special_tokens",
        "continue_final_message",
        "echo",
        "reasoning",
        "reasoning_effort",
        "truncate_prompt_tokens",
        "truncation",
    }
)
"""What changes a prompt in ways that only vLLM knows."""

SLIPS = (AttributeError, TypeError, KeyError)
"""What vLLM's own checks of a field raise when the field is of a type that they did not reckon with."""

SAME_IN_TEMPLATES = ("system", "user", "assistant")


class Kinds(NamedTuple):
    """What bodies are read as: vLLM's own classes where it is installed, `fields.py` where it is not.

    Attributes:
        chat: With a field `kv_transfer_params`.
        completion: Of a text.
        response: To an input, with the same field.
        name: From the place of an error of pydantic's to the name of the field.
        calls: From a chat to the JSON schema of the calls that it has to make; None where it is free.
    """

    chat: type[BaseModel]
    completion: type[BaseModel]
    response: type[BaseModel]
    name: Callable[[tuple[int | str, ...]], str]
    calls: Callable[[Any], dict[str, Any] | str | None]


class RequestReader:
    """Reads the bodies of requests.

    Args:
        tokenizer: Of the policy.
        kinds: What they are read as.
        context: Longest prompt and response of the policy, in tokens.
        max_prompt_tokens: Returns the longest prompt that the policy is to read now; None where the context bounds it.
    """

    def __init__(
        self,
        tokenizer: ChatTokenizer,
        kinds: Kinds,
        context: int,
        max_prompt_tokens: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._tokenizer = tokenizer
        self._kinds = kinds
        self._context = context
        self._max_prompt_tokens = max_prompt_tokens
        self._trial = Trial(tokenizer)

    async def read_chat(self, body: Mapping[str, Any], client: str) -> Any:
        """Read the body of a chat completion.

        Raises:
            RequestRefusedError: vLLM cannot use it, or what it wants the response to look like costs too much.
            PromptTooLongError: The policy is not to read so much.
        """
        return await self._read_turns(self._kinds.chat, body, "messages", client)

    async def read_response(self, body: Mapping[str, Any], client: str) -> Any:
        """Read the body of a response, whose input is a list of items.

        Raises:
            RequestRefusedError: vLLM cannot use it, or what it wants the response to look like costs too much.
            PromptTooLongError: The policy is not to read so much.
        """
        for index, tool in enumerate(body.get("tools") or ()):
            kind = tool.get("type") if isinstance(tool, Mapping) else None
            if kind != "function":
                where = f"tools.{index}.type"
                raise RequestRefusedError(f"{where}: {kind} is not served; allowed: function", where)
        return await self._read_turns(self._kinds.response, body, "input", client)

    async def _read_turns(self, kind: type[BaseModel], body: Mapping[str, Any], field: str, client: str) -> Any:
        asked = constraint_in(body)
        require_bounded_tools(body)
        request = self._parse(kind, body)
        request.kv_transfer_params = await self._tokenised(body, field)
        await self._require_short(field, self._told(body, field), body)
        if called := self._calls_of(request):
            if asked is not None:
                message = f"{asked.field}: tool_choice says what comes; allowed: one of the two"
                raise RequestRefusedError(message, asked.field)
            asked = called
        await self.try_grammar(asked, client)
        return request

    async def read_completion(self, body: Mapping[str, Any], client: str) -> Any:
        """Read the body of a completion.

        Raises:
            RequestRefusedError: vLLM cannot use it, or what it wants the response to look like costs too much.
            PromptTooLongError: The policy is not to read so much.
        """
        asked = constraint_in(body)
        request = self._parse(self._kinds.completion, body)
        prompts = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
        for prompt in [prompts] if all(isinstance(each, int) for each in prompts) else prompts:
            await self._require_short("prompt", [prompt], body)
        await self.try_grammar(asked, client)
        return request

    async def stop(self) -> None:
        """End the process that tries grammars."""
        await self._trial.stop()

    async def try_grammar(self, asked: Asked | None, client: str, num_responses: int = 1) -> None:
        """See that so many responses can be held to a grammar, if there is one.

        Raises:
            RequestRefusedError: It cannot be compiled, or costs too much.
            EngineUnavailableError: No process can try it now.
        """
        if asked is not None and (trouble := await self._trial.trouble_with(asked.constraint, client, num_responses)):
            raise RequestRefusedError(f"{asked.field}: {trouble}", asked.field)

    def _told(self, body: Mapping[str, Any], field: str) -> list[str]:
        """Return the texts of a chat that surely get into its prompt."""
        contents = [body.get("instructions"), *(message.get("content") for message in body[field])]
        parts = [part for content in contents for part in (content if isinstance(content, list) else [content])]
        texts = [part.get("text") if isinstance(part, Mapping) else part for part in parts]
        tools = _strings(body.get("tools")) if "tools" in self._tokenizer.template_variables else ()
        return [*(text for text in texts if isinstance(text, str)), *tools]

    async def _require_short(self, field: str, prompt: Sequence[str | Sequence[int]], body: Mapping[str, Any]) -> None:
        """Refuse a prompt that is longer than the policy is to read, whatever a template adds to it.

        Raises:
            PromptTooLongError: It is.
        """
        most, kept = self._max_prompt_tokens(), body.get("truncate_prompt_tokens")
        if most is None or (isinstance(kept, int) and 0 < kept <= most):
            return
        if sum(len(each.encode() if isinstance(each, str) else each) for each in prompt) <= most:
            return  # no token is shorter than a byte
        longest = self._tokenizer.longest_token
        least = sum(len(each) // longest if isinstance(each, str) else len(each) for each in prompt)
        if least <= most:
            least = await asyncio.to_thread(self._count, prompt)
        if least > most:
            raise PromptTooLongError(least, most, field)

    def _count(self, prompt: Sequence[str | Sequence[int]]) -> int:
        return sum(len(self._tokenizer.encode_marked(each) if isinstance(each, str) else each) for each in prompt)

    async def _tokenised(self, body: Mapping[str, Any], field: str) -> dict[str, Any] | None:
        """Return the token ids of turns that spell special tokens, in the field that vLLM takes them from."""
        texts = list(_strings([body[name] for name in PROMPT_FIELDS if name in body]))
        if not any(self._tokenizer.spells_special_token(text) for text in texts):
            return None
        if unknown := sorted(TEMPLATE_FIELDS & body.keys()):
            message = f"{unknown[0]}: not served for a chat whose text spells a special token; allowed: to leave it out"
            raise RequestRefusedError(message, unknown[0])
        least = sum(map(len, texts)) // self._tokenizer.longest_token
        if least > self._context:
            raise RequestRefusedError(f"{field}: {least:,} tokens and more; allowed: {self._context:,}", field)
        first = [("system", body["instructions"])] if body.get("instructions") else []
        chat = first + [self._message(f"{field}.{index}", message) for index, message in enumerate(body[field])]
        token_ids = await asyncio.to_thread(self._tokenizer.encode_chat, chat)  # a million characters take seconds
        return {"prompt_token_ids": list(token_ids)}

    def _message(self, where: str, message: Mapping[str, Any]) -> Message:
        content = message.get("content")
        parts = content if isinstance(content, list) else [{"text": content}]
        said = [part.get("text") for part in parts if isinstance(part, Mapping)]
        texts = [text for text in said if isinstance(text, str)]
        others = {name for name in message.keys() - {"role", "content", "name"} if list(_strings(message[name]))}
        role = message.get("role")
        if role not in SAME_IN_TEMPLATES or others or len(texts) < len(parts):
            raise RequestRefusedError(f"{where}: its text spells a special token; allowed: role and content", where)
        return role, "\n".join(texts)

    def _calls_of(self, request: Any) -> Asked | None:
        """Return what a response must look like that has to call a tool."""
        try:
            schema = self._kinds.calls(request)
        except ValueError as error:
            raise RequestRefusedError(f"tools: {error}", "tools") from error
        if schema is None:
            return None
        asked = Asked("tools", ("json", schema if isinstance(schema, str) else json.dumps(schema)))
        require_bounded(asked)
        return asked

    def _parse(self, kind: type[BaseModel], body: Mapping[str, Any]) -> Any:
        for name in body:
            if name in RESERVED or name not in kind.model_fields:
                free = kind.model_fields.keys() - RESERVED - UNKEPT - body.keys()
                allowed = did_you_mean(name, free, f"allowed fields: {_names(kind)}")
                raise RequestRefusedError(f"{name}: not served; {allowed}", name)
        try:
            return _parse_with_stops(kind, body)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            name = self._kinds.name(first["loc"])
            raise RequestRefusedError(f"{name}: {first['msg']}", name) from error
        except SLIPS as error:
            odd = [name for name, value in body.items() if _is_odd(kind, name, value)] or ["body"]
            message = f"{', '.join(odd)}: cannot be read; allowed: what vLLM documents"
            raise RequestRefusedError(message, odd[0]) from error


def _parse_with_stops(kind: type[BaseModel], body: Mapping[str, Any]) -> Any:
    """Read a body whose `stop` may hold more texts than the four that vLLM's classes take: its engine takes any."""
    stops = body.get("stop")
    if not isinstance(stops, list) or len(stops) < 2 or not all(isinstance(text, str) for text in stops):
        return kind.model_validate(body)
    request: Any = kind.model_validate({**body, "stop": stops[0]})
    request.stop = stops
    return request


def field_of(param: str | None, message: str, body: Mapping[str, Any]) -> str:
    """Return the field that vLLM complains of: it does not always say, and calls a prompt `input_tokens`.

    Args:
        param: As vLLM names the field; None where it does not.
        message: Its complaint.
        body: Of the request.
    """
    if param and param.partition(".")[0] in body:
        return param
    if longer := [name for name in body if param and name.endswith(f"_{param}")]:  # top_logprobs is meant
        return longer[0]
    words = message.replace(" ", "_")
    spoken_of = [
        name for name in body if name not in WORDS and re.search(rf"(?<![a-z]){re.escape(name)}(?![a-z])", words)
    ]
    if param != "input_tokens" and spoken_of:
        return max(spoken_of, key=len)
    return next((name for name in PROMPTS if name in body), "body")


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
