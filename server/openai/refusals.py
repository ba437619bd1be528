"""Fields that are refused by name: promises that the service cannot keep, and what a search cannot honour."""

from models.json_values import visible
from server.errors import RequestError
from server.openai.neutral import UNREAD, asks_for_nothing, remedy
from server.openai.requests import MessageIn, OpenAIRequest

UNREAD_OF_MESSAGES = ("name", "refusal", "annotations", "reasoning", "reasoning_content")
"""What clients call the speakers, and fields of our own replies, which clients send back with the next turn."""


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
        if name not in UNREAD and name not in body.unkept and not asks_for_nothing(value, values):
            shown = visible(name)
            raise RequestError(f"{shown}: not supported when searching; {remedy(values)}", shown)


def read_text(index: int, message: MessageIn) -> str:
    """Return the text of message `index`.

    Raises:
        RequestError: It holds anything else, or no text.
    """
    for name in message.model_extra or {}:
        if name not in UNREAD_OF_MESSAGES:
            where = f"messages.{index}.{visible(name)}"
            raise RequestError(f"{where}: not supported when searching; send role and content only", where)
    if message.text is None:
        where = f"messages.{index}.content"
        raise RequestError(f"{where}: missing; send text", where)
    return message.text
