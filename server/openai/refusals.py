"""Fields that are refused by name: promises that the service cannot keep, and what a search cannot honour."""

from models.json_values import visible
from models.spelling import did_you_mean
from server.errors import RequestError
from server.openai.neutral import UNREAD, asks_for_nothing, remedy
from server.openai.requests import MessageIn, OpenAIRequest

UNREAD_OF_MESSAGES = ("name", "refusal", "annotations", "reasoning", "reasoning_content", "provider_specific_fields")
"""What clients call the speakers, and fields of our own replies, which clients send back with the next turn as they
keep them (LiteLLM in `provider_specific_fields`)."""


def refuse_unkept(body: OpenAIRequest) -> None:
    """Refuse fields whose promise the service cannot keep, whether it searches or not.

    Raises:
        RequestError: There is one.
    """
    for name, values in body.unkept.items():
        if not asks_for_nothing(getattr(body, name, None), values):
            raise RequestError(f"{name}: not supported; {remedy(values)}", name)


def refuse_unsearchable(body: OpenAIRequest) -> None:
    """Refuse every field that a search cannot honour.

    Raises:
        RequestError: There is one.
    """
    if body.stop:
        raise RequestError("stop: not supported when searching; omit it", "stop")
    for name, value in body.beyond.items():
        values = body.unsearched.get(name, ())
        is_read = name in UNREAD or name in body.unkept or name in body.formed
        if not is_read and not asks_for_nothing(value, values):
            shown = visible(name)
            read = type(body).model_fields.keys() | body.formed if name not in body.unsearched else ()
            free = set(read) - body.unkept.keys() - body.model_fields_set - {"stop"}
            meant = did_you_mean(name, free, remedy(values))
            raise RequestError(f"{shown}: not supported when searching; {meant}", shown)


def read_text(index: int, message: MessageIn) -> str:
    """Return the text of message `index`.

    Raises:
        RequestError: It holds anything else.
    """
    unread = {name: value for name, value in (message.model_extra or {}).items() if name not in UNREAD_OF_MESSAGES}
    if others := [*unread, *(["tool_calls"] if message.tool_calls else [])]:
        where = f"messages.{index}.{visible(others[0])}"
        raise RequestError(f"{where}: not supported when searching; send role and content only", where)
    return message.text or ""
