"""What a chat must look like that has to call a tool, as vLLM's server has it, for a gateway that has no vLLM.

Source: `vllm.tool_parsers.utils.get_json_schema_from_tools`, with which a test compares it. What a server refuses on
its own (a tool without a name, the choice of one that is not listed) is left to it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Function = tuple[str, Mapping[str, Any]]
"""Name and parameters."""

NOTHING: Mapping[str, Any] = {"type": "object", "properties": {}}
"""The parameters of a function that has none."""


def forced_schema(choice: Any, tools: Sequence[Any] | None, *, in_parallel: bool | None) -> dict[str, Any] | None:
    """Return the schema of the calls that a chat must consist of; None where it is free.

    Args:
        choice: As `tool_choice` says it.
        tools: As the request lists them.
        in_parallel: Whether there may be several calls; None allows them.

    Raises:
        ValueError: Their definitions contradict each other.
    """
    functions = [function for tool in tools or () if (function := _function(tool)) is not None]
    if not tools or len(functions) < len(tools):
        return None
    if named := _function(choice):
        return next((dict(parameters or NOTHING) for name, parameters in functions if name == named[0]), None)
    return _schema_of_calls(functions, in_parallel=in_parallel) if choice == "required" else None


def _function(tool: Any) -> Function | None:
    function = tool.get("function", tool) if isinstance(tool, Mapping) else None  # itself, of a response
    name = function.get("name") if isinstance(function, Mapping) else None
    parameters = function.get("parameters") or {} if isinstance(function, Mapping) else None
    return (name, parameters) if isinstance(name, str) and isinstance(parameters, Mapping) else None


def _schema_of_calls(functions: Sequence[Function], *, in_parallel: bool | None) -> dict[str, Any]:
    definitions: dict[str, Any] = {}
    for name, parameters in functions:
        own = parameters.get("$defs", {})
        if not isinstance(own, Mapping):
            raise ValueError(f"`$defs` in the parameters of tool '{name}' must be an object.")
        for word, schema in own.items():
            if definitions.setdefault(word, schema) != schema:
                raise ValueError(f"Tool definition '{word}' has multiple schemas, which is not supported.")
    calls = {"type": "object", "anyOf": [_schema_of_call(*function) for function in functions]}
    schema = {"type": "array", "minItems": 1, "items": calls}
    if in_parallel is False:
        schema["maxItems"] = 1
    return schema | ({"$defs": definitions} if definitions else {})


def _schema_of_call(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    left = {word: schema for word, schema in parameters.items() if word != "$defs"}
    return {
        "properties": {
            "name": {"type": "string", "enum": [name]},
            "parameters": left if parameters else NOTHING,
        },
        "required": ["name", "parameters"],
    }
