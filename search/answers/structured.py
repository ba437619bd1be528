"""The readers of responses that are documents: JSON of a form that was asked for, or calls of functions.

Documents vote by their canonical form (`documents.py`), or by some of their fields alone. Calls vote twice: first by
which functions are called, then, among the responses that call the same ones, by the arguments. Calls of one response
run beside each other, so their order says nothing. No function is ever called here.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from search.answers.answer import Answer
from search.answers.documents import (
    ABSENT,
    NotADocumentError,
    Value,
    canonical,
    compact,
    find,
    leaves,
    pointer_to,
    read_document,
)

MAX_FIELDS = 128
"""Fields of an answer whose agreement is measured: the first of them."""
MAX_KEY = 1_000
"""Characters of a key; a longer one is hashed."""
LONG = 10_000
"""Characters from which a response is read in a thread: the event loop has others to serve."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a function, as a response asks for it.

    Attributes:
        name: Of the function.
        arguments: By name.
    """

    name: str
    arguments: Value


@dataclass(frozen=True, slots=True)
class DocumentReader:
    """Reads responses that are documents.

    Attributes:
        vote_on: Keys of the document, or pointers to its parts: what alone votes; () is all of it.
    """

    vote_on: tuple[str, ...] = ()

    async def read(self, response: str) -> Answer | None:
        return await _in_time(self._read, response)

    def _read(self, response: str) -> Answer | None:
        document = read_document(response)
        voting = _voting_part(document, self.vote_on)
        if self.vote_on and all(part is ABSENT for part in voting):
            return None
        return Answer(compact(document), _key(voting), fields=_fields(document))


@dataclass(frozen=True, slots=True)
class CallReader:
    """Reads responses that are calls of functions.

    Attributes:
        function: Whose arguments a response is; None where it lists calls with their names.
        vote_on: Keys of the arguments, or pointers to their parts: what alone votes beside the names; () is all.
    """

    function: str | None = None
    vote_on: tuple[str, ...] = ()

    async def read(self, response: str) -> Answer | None:
        return await _in_time(self._read, response)

    def calls(self, response: str) -> tuple[Call, ...]:
        """Return the calls that a response asks for.

        Raises:
            NotADocumentError: It asks for none.
        """
        document = read_document(response)
        if self.function is not None:
            return (Call(self.function, _object(document)),)
        if not isinstance(document, list) or not document:
            raise NotADocumentError("no list of calls")
        return tuple(_call(each) for each in document)

    def _read(self, response: str) -> Answer:
        calls = self.calls(response)
        shown = [{"name": call.name, "arguments": call.arguments} for call in calls]
        voting = sorted(
            (call.name, canonical(_voting_part(call.arguments, self.vote_on)), canonical(call.arguments), place)
            for place, call in enumerate(calls)
        )
        kind = _key([name for name, *_ in voting])
        return Answer(
            compact(shown),
            _key([[name, part] for name, part, *_ in voting]),
            kind=kind,
            fields=_fields([shown[place] for *_, place in voting]),
        )


async def _in_time(read: Callable[[str], Answer | None], response: str) -> Answer | None:
    """Read a response, a long one beside the event loop; None of one that is no document."""
    try:
        return await asyncio.to_thread(read, response) if len(response) > LONG else read(response)
    except NotADocumentError:
        return None


def _voting_part(document: Value, vote_on: Sequence[str]) -> Value:
    return [find(document, pointer_to(field)) for field in vote_on] if vote_on else document


def _fields(document: Value) -> tuple[tuple[str, str], ...]:
    return tuple((pointer, _key(leaf)) for pointer, leaf in islice(leaves(document), MAX_FIELDS))


def _key(value: Value) -> str:
    key = canonical(value)
    return key if len(key) <= MAX_KEY else f"hash:{hashlib.sha256(key.encode()).hexdigest()}"


def _call(value: Value) -> Call:
    if not isinstance(value, dict) or type(value.get("name")) is not str:
        raise NotADocumentError("a call without a name")
    return Call(value["name"], _object(value.get("parameters")))


def _object(value: Value) -> Value:
    if not isinstance(value, dict):
        raise NotADocumentError("arguments that are no object")
    return value
