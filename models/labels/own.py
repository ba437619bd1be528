"""winnow's own format, as `winnow label-steps` writes it: a response a line, with token ids of its steps or without.

Beyond `LabelledResponse` there is nothing to know: a line is its fields.
"""

from collections.abc import Sequence
from dataclasses import asdict

from pydantic import TypeAdapter

from models.labels.response import LabelledResponse, Row, checked

FIELDS = frozenset({"problem", "steps", "labels"})
_RESPONSE = TypeAdapter(LabelledResponse)
_ASSUMED = {"answer": None, "token_ids": None, "is_complete": True}
"""What a file made by others may leave out."""


def read(row: Row) -> list[LabelledResponse]:
    """Return the response.

    Raises:
        ValueError: A field is missing or cannot be used.
    """
    return [checked(_RESPONSE, _ASSUMED | row)]


def write(responses: Sequence[LabelledResponse], threshold: float) -> list[Row]:
    """Return a row for each response; labels stay the shares that they are, whatever the threshold."""
    return [asdict(response) for response in responses]
