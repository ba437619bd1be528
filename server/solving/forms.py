"""What the responses of a search must look like, and how they vote: JSON of a form, or calls of functions.

Every response is generated under a grammar, as a whole: what continues a response would begin the grammar anew, so tree
searches are refused. How large a grammar may be, and what it may cost, is decided where plain requests are read
(`models/openai/grammars`).
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from models.errors import EngineDiedError, EngineUnavailableError, RequestRefusedError
from models.openai.grammars.bounds import Asked, require_bounded, require_bounded_tools
from models.openai.grammars.keywords import find_fault
from models.openai.grammars.worker import Constraint
from models.openai.tools import forced_schema
from search.answers.structured import CallReader, DocumentReader
from server.errors import RequestError
from server.keys import Client
from server.schemas import SolveRequest, ToolChoiceIn
from server.settings import Settings
from server.solving.state import State

FORM_FIELDS = ("response_format", "tools", "tool_choice", "parallel_tool_calls", "vote_on")
"""Fields of a request that say what responses look like."""

OPTIONS = "x-guidance"
"""Where a schema says how its grammar is made."""
ONE_LINE = {"whitespace_flexible": False, "item_separator": ", ?", "key_separator": ": ?"}
"""Documents have no line breaks, and a space behind a comma or a colon at most: where any are allowed, a model that has
not learnt JSON writes nothing else."""

MAX_CALLS = 16
"""Calls of one response: weak models write one after the other, up to the limit of tokens."""

ANYTHING = ("$ref", "allOf", "anyOf", "oneOf", "patternProperties")
"""What may give an object more members than its schema names."""


@dataclass(frozen=True, slots=True)
class Form:
    """What responses must look like.

    Attributes:
        asked: The grammar, and the field that asks for it.
        reader: Reads their answers.
    """

    asked: Asked
    reader: DocumentReader | CallReader


def plan_form(request: SolveRequest) -> Form | None:
    """Return what the responses to a request must look like; None for text.

    Raises:
        RequestError: It cannot be asked for.
    """
    try:
        require_bounded_tools({"tools": tools_of(request)})
        document, calls = _document(request), _calls(request)
        if document and calls:
            raise RequestError("response_format: tool_choice says what comes; send one of the two", "response_format")
        if (form := document or calls) is not None:
            require_bounded(form.asked)
    except RequestRefusedError as error:
        raise RequestError(str(error), error.param or "response_format") from error
    if form is None and request.vote_on:
        raise RequestError("vote_on: needs a response_format of JSON, or a tool_choice that calls; omit it", "vote_on")
    for check in ("verify", "checker"):
        if form is not None and getattr(request, check) is not None:
            raise RequestError(f"{check}: not supported with {form.asked.field.partition('.')[0]}; omit it", check)
    return form


def require_parser(form: Form, settings: Settings) -> None:
    """See that the engine can tell the thoughts of a policy from what stands behind them, where a grammar holds.

    Raises:
        RequestError: It cannot.
    """
    if settings.plain_parser is None:
        field = form.asked.field
        message = f"{field}: vLLM has no reasoning parser for the marks of this policy's thoughts; omit it"
        raise RequestError(message, field)


async def try_grammar(asked: Asked, state: State, client: Client, num_responses: int) -> None:
    """See that a grammar can be compiled and followed, before the engine compiles it for each of so many responses.

    Raises:
        RequestError: It cannot.
        EngineUnavailableError: Nothing can try it now.
    """
    if state.plain is None:
        raise EngineUnavailableError("this service tries no grammars")
    try:
        await state.plain.try_grammar(asked, client.name, num_responses)
    except RequestRefusedError as error:
        raise RequestError(str(error), error.param or asked.field) from error


async def cause_of(error: EngineUnavailableError, form: Form | None, state: State) -> Exception:
    """Say why no response came: the engine is gone, or could not hold one to its form."""
    if form is None or isinstance(error, EngineDiedError):
        return error
    try:
        await asyncio.gather(*(engine.check() for engine in state.engines))
    except EngineUnavailableError as gone:
        return gone
    field = form.asked.field
    return RequestError(f"{field}: a response cannot be held to it; use a simpler one", field)


def tools_of(request: SolveRequest) -> list[dict[str, Any]]:
    """Return the tools of a request as chat templates read them."""
    return [
        {
            "type": "function",
            "function": {
                name: value
                for name in ("name", "description", "parameters")
                if (value := getattr(tool.function, name)) is not None
            },
        }
        for tool in request.tools or ()
    ]


def _document(request: SolveRequest) -> Form | None:
    form = request.response_format
    if form is None:
        return None
    reader = DocumentReader(tuple(request.vote_on or ()))
    schema: Mapping[str, Any] = {"type": "object"}
    field = "response_format"
    if form.json_schema is not None:
        schema, field = form.json_schema.definition, "response_format.json_schema"
        _require_sound(schema, f"{field}.schema")
        _require_known(request, [schema])
    return Form(Asked(field, _on_one_line(schema)), reader)


def _calls(request: SolveRequest) -> Form | None:
    tools, choice = tools_of(request), request.tool_choice
    if not tools:
        if choice in (None, "none", "auto"):
            return None
        raise RequestError("tool_choice: there are no tools; send them, or omit it", "tool_choice")
    names = [tool["function"]["name"] for tool in tools]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise RequestError(f"tools: {repeated[0]} is defined twice; send each function once", "tools")
    if choice == "none":
        return None
    if choice in (None, "auto"):
        message = "auto, the default with tools, is not supported when searching"
        raise RequestError(f'tool_choice: {message}; use "required", "none", or a function', "tool_choice")
    function = choice.function.name if isinstance(choice, ToolChoiceIn) else None
    if function is not None and function not in names:
        message = f"tool_choice.function.name: {function} is not among the tools; allowed: {', '.join(names)}"
        raise RequestError(message, "tool_choice.function.name")
    for index, tool in enumerate(tools):
        tool["function"]["parameters"] = _of_objects(tool["function"].get("parameters"), index)
    called = [tool["function"]["parameters"] for tool in tools if function in (None, tool["function"]["name"])]
    _require_known(request, called)
    schema = _schema(choice, tools, request)
    return Form(Asked("tools", _on_one_line(schema)), CallReader(function, tuple(request.vote_on or ())))


def _of_objects(parameters: Mapping[str, Any] | None, index: int) -> dict[str, Any]:
    """Return the schema of arguments, which are an object though a client may not say so."""
    schema = {"type": "object"} | dict(parameters or {"properties": {}, "additionalProperties": False})
    where = f"tools.{index}.function.parameters"
    _require_sound(schema, where)
    if schema["type"] != "object":
        raise RequestError(f"{where}: arguments have names; allowed: a schema of type object", where)
    return schema


def _schema(choice: Any, tools: list[dict[str, Any]], request: SolveRequest) -> dict[str, Any]:
    named = choice.model_dump() if isinstance(choice, ToolChoiceIn) else choice
    try:
        schema = forced_schema(named, tools, in_parallel=request.parallel_tool_calls)
    except ValueError as error:
        raise RequestError(f"tools: {error}", "tools") from error
    assert schema is not None  # noqa: S101 - every tool is a function, and the choice is one of them
    if named == "required":
        schema.setdefault("maxItems", MAX_CALLS)
        for call in schema["items"]["anyOf"]:
            call["additionalProperties"] = False
    return schema


def _on_one_line(schema: Mapping[str, Any]) -> Constraint:
    return "json", json.dumps({**schema, OPTIONS: ONE_LINE})


def _require_sound(schema: Mapping[str, Any], where: str) -> None:
    if fault := find_fault(schema, where):
        raise RequestError(f"{fault.where}: {fault.what}", fault.where)
    if OPTIONS in schema:
        field = f"{where}.{OPTIONS}"
        raise RequestError(f"{field}: not supported when searching; omit it", field)


def _require_known(request: SolveRequest, schemas: list[dict[str, Any]]) -> None:
    """See that the fields voted on can be there: on one that nobody has, nothing is voted."""
    for field in request.vote_on or ():
        name = field.split("/")[1].replace("~1", "/").replace("~0", "~") if field.startswith("/") else field
        if not any(_may_have(schema, name) for schema in schemas):
            known = ", ".join(dict.fromkeys(_members(schemas))) or "none"
            raise RequestError(f"vote_on: the schema has no field {name}; allowed: {known}", "vote_on")


def _may_have(schema: Mapping[str, Any], name: str) -> bool:
    if any(word in schema for word in ANYTHING) or schema.get("additionalProperties"):
        return True
    members = schema.get("properties")
    return name in members if isinstance(members, dict) else schema.get("additionalProperties") is not False


def _members(schemas: list[dict[str, Any]]) -> Iterator[str]:
    for schema in schemas:
        yield from schema.get("properties", {})
