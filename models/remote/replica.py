"""One server of a model: what it answers, and whether it does.

Knows HTTP and how vLLM words its errors. A server that cannot be reached, breaks off, fails by itself or answers what
was not asked gets no request until it answers `/health`; the more often in a row, the later it is asked. Once it is
known to be silent, every request that it had learns so at once.

Nothing that a server says is believed before it is checked: no reply is longer, and none takes longer, than what was
asked for can; redirects and compressed replies are failures.

aiohttp, not httpx: a request costs a tenth of the time (0.14 against 1.6 ms of CPU, measured beside other work).
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from http import HTTPStatus
from typing import Any, TypeVar

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from models.errors import EngineDiedError, EngineUnavailableError, ModelError, RequestRefusedError
from models.remote.replies import (
    BASE_BYTES,
    ReplyError,
    ServedModels,
    Tokens,
    read,
    read_complaint,
    shown,
)
from models.remote.settings import RemoteSettings

logger = logging.getLogger(__name__)

MOST_REST_S = 8.0
"""So long it is not asked at most when it fails again and again, though it says that it is well."""
CLOSE_WITHIN_S = 1.0
"""A stream that has said its last has so long to end; then its connection is kept."""
SILENT = "it is silent"
MODELS = "/v1/models"
TOKENIZE = "/tokenize"
BROKEN = (aiohttp.ClientError, HttpProcessingError, ConnectionError, ValueError)
"""What aiohttp raises where a server is gone, or does not speak HTTP."""
REFUSALS = frozenset({*range(400, 500), HTTPStatus.NOT_IMPLEMENTED}) - {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_MANY_REQUESTS,
}
FAILURES = frozenset(range(500, 600)) | {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
SAMPLE = "Compute 12 * (3 + 45).\n\n## Step 1: \\frac{x^2}{7} \u2248 na\u00efve"
"""A server that makes other ids of it than the tokenizer here has another model, to which these ids are noise."""
DATA = b"data:"
DONE = b"[DONE]"
ERROR = b'{"error"'
EVENTS, JSON = "text/event-stream", "application/json"

T = TypeVar("T")


class Replica:
    """A server.

    Attributes:
        url: Where it is.
        is_up: It answers.
        model: What it calls its model; empty before it was asked.
        max_model_len: Longest prompt and response, in tokens.
        num_requests: Requests of ours that have not ended.
        num_returns: How often it came back.
        failed_at: When a request last failed, in the time of the event loop.
        trouble: Why it is left out.
        lacks: Paths that it has no answer to.

    Args:
        url: Where it is.
        client: Asks it.
        looker: Looks after it, on a connection of its own each time: a kept one tells of a host that is gone no sooner
            than of one that is busy.
        sample_ids: What the model's tokenizer makes of `SAMPLE`.
        settings: How long it may take to begin a reply, to end one that has begun, between two events, and to be well.
        note: Called when `is_up` has changed.
    """

    def __init__(
        self,
        url: str,
        client: aiohttp.ClientSession,
        looker: aiohttp.ClientSession,
        sample_ids: tuple[int, ...],
        settings: RemoteSettings,
        note: Callable[[], None],
    ) -> None:
        self.url = url
        self.is_up = False
        self.model = ""
        self.max_model_len = 0
        self.num_requests = 0
        self.num_returns = 0
        self.failed_at = float("-inf")
        self.trouble = "it was not asked yet"
        self.lacks: set[str] = set()
        self._client = client
        self._looker = looker
        self._sample_ids = sample_ids
        self._silence_s = settings.silence_s
        self._patience = settings.patience
        self._note = note
        self._num_failures = 0  # in a row
        self._has_answered = False
        self._waits: set[asyncio.Timeout] = set()
        self._has_failed = asyncio.Event()

    async def post(
        self,
        path: str,
        body: Mapping[str, Any],
        reader: Callable[[bytes], T],
        most_bytes: int,
        *,
        is_slow: bool = False,
    ) -> T:
        """Return the answer to a request.

        Args:
            path: Below the server's URL.
            body: Of the request.
            reader: Makes the answer of the reply's body, or raises `ReplyError`.
            most_bytes: The body can have.
            is_slow: Whether the answer is a whole response: nothing of it comes before its end, however long it is.

        Raises:
            EngineDiedError: The server is gone, failed, or answered something else.
            RequestRefusedError: It cannot use the request.
            EngineUnavailableError: It has no such path, or asks for another key.
        """
        with self._counted(), self._translated():
            async with self._asked(path, body, JSON, is_slow=is_slow) as response:
                answer = reader(await self._body(response, most_bytes))
            self._num_failures = 0
            return answer

    async def stream(
        self,
        path: str,
        body: Mapping[str, Any],
        reader: Callable[[bytes], T],
        most_line_bytes: int,
        most_bytes: int,
        is_last: Callable[[T], bool] = lambda event: False,
    ) -> AsyncGenerator[T, None]:
        """Yield the events of a streamed answer; closing the generator makes the server drop the request.

        Args:
            path: Below the server's URL.
            body: Of the request.
            reader: Makes something of an event, or raises `ReplyError`.
            most_line_bytes: An event can have.
            most_bytes: All events can have.
            is_last: Whether an event is the last one, where no `[DONE]` follows.

        Raises:
            EngineDiedError: The server is gone, failed, broke off, or answered something else.
            RequestRefusedError: It cannot use the request.
            EngineUnavailableError: It has no such path, or asks for another key.
        """
        with self._counted(), self._translated():
            async with self._asked(path, body, EVENTS) as response:
                async with aclosing(self._events(response, most_line_bytes, most_bytes)) as events:
                    async for event in events:
                        if event.startswith(ERROR):
                            raise self._error(HTTPStatus.INTERNAL_SERVER_ERROR, event)
                        if event == DONE:
                            break
                        answer = reader(event)
                        yield answer
                        if is_last(answer):
                            break
                    else:
                        raise ReplyError("it broke off")
                if not response.content.is_eof():
                    with suppress(TimeoutError):
                        async with asyncio.timeout(CLOSE_WITHIN_S):
                            while await response.content.readany():
                                pass
            self._num_failures = 0

    async def _events(
        self, response: aiohttp.ClientResponse, most_line_bytes: int, most_bytes: int
    ) -> AsyncGenerator[bytes, None]:
        """Yield the data of each event."""
        rest, num_bytes, clock = bytearray(), 0, asyncio.get_running_loop().time
        due = clock() + self._silence_s
        while True:
            chunk = response.content.read_nowait()
            if not chunk:
                async with self._awaited(due - clock()):
                    chunk = await response.content.readany()
            if not chunk:
                return
            num_bytes += len(chunk)
            *lines, tail = chunk.split(b"\n")
            for line in lines:
                rest += line
                event, rest = bytes(rest).rstrip(), bytearray()
                if event.startswith(DATA):
                    yield event.removeprefix(DATA).strip()
                    due = clock() + self._silence_s
            rest += tail
            if len(rest) > most_line_bytes or num_bytes > most_bytes:
                raise ReplyError("it says more than was asked for")

    async def keep_looking(self) -> None:
        """See again and again whether the server answers; until cancelled."""
        while True:
            trouble = await self._look()
            if self.is_up and trouble == SILENT:
                trouble = await self._look()
            self._judge(trouble)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._patience.look_every_s if self.is_up else self._patience.look_again_s):
                    await self._has_failed.wait()
            if self._has_failed.is_set():
                self._has_failed.clear()
                await asyncio.sleep(self.rest_s)

    @property
    def rest_s(self) -> float:
        """Seconds before it is asked again: none when it failed for the first time, then longer and longer."""
        if self._num_failures < 2:
            return 0.0
        return min(MOST_REST_S, self._patience.look_again_s * 2.0 ** (self._num_failures - 2))

    async def _look(self) -> str | None:
        """Why the server does not answer; None for one that does."""
        try:
            async with asyncio.timeout(self._patience.answer_s):
                async with self._looker.get(f"{self.url}/health", allow_redirects=False) as response:
                    if response.status != HTTPStatus.OK:
                        return f"/health answers {response.status}"
                return None if self.is_up else await self._meet()
        except TimeoutError:
            return SILENT
        except ReplyError as error:
            return f"it is no server of vLLM: {error}"
        except BROKEN as error:
            return _reason(error)

    async def _meet(self) -> str | None:
        """Ask a server that answers which model it has; why that is not the one wanted, None where it is."""
        async with self._looker.get(f"{self.url}{MODELS}", allow_redirects=False) as response:
            if response.status != HTTPStatus.OK:
                return f"{MODELS} answers {response.status}"
            served = read(ServedModels, await read_body(response, BASE_BYTES))
            self.model, self.max_model_len = served.name, served.max_model_len
        self.lacks.clear()
        body = {"model": self.model, "prompt": SAMPLE, "add_special_tokens": False}
        async with self._looker.post(f"{self.url}{TOKENIZE}", json=body, allow_redirects=False) as response:
            if response.status != HTTPStatus.OK:
                return None
            if read(Tokens, await read_body(response, BASE_BYTES)).tokens != self._sample_ids:
                return f"its model, {shown(self.model)}, has another tokenizer than the one named here"
        return None

    def _judge(self, trouble: str | None) -> None:
        if trouble is None and not self.is_up:
            logger.info("%s answers", self.url)
            self.num_returns += self._has_answered
            self.is_up = self._has_answered = True
            self._note()
        elif trouble is not None:
            if trouble != self.trouble or self.is_up:
                logger.warning("%s is left out: %s", self.url, trouble)
            self.is_up, self.trouble = False, trouble
            self.failed_at = asyncio.get_running_loop().time()
            self._note()
            waits, self._waits = self._waits, set()
            for wait in waits:
                wait.reschedule(self.failed_at)

    @asynccontextmanager
    async def _asked(
        self, path: str, body: Mapping[str, Any], media_type: str, *, is_slow: bool = False
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request, and see that its answer is of a media type; it is closed in the end."""
        async with self._awaited(None if is_slow else self._silence_s):
            response = await self._client.post(f"{self.url}{path}", json=body, allow_redirects=False)
        try:
            if response.status != HTTPStatus.OK:
                if response.status == HTTPStatus.NOT_FOUND:
                    self.lacks.add(path)
                raise self._error(response.status, await self._body(response, BASE_BYTES))
            if response.content_type != media_type:
                raise ReplyError(f"it answers with {shown(response.content_type)}")
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise ReplyError("it compresses its answers")
            yield response
        finally:
            response.close()

    async def _body(self, response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
        if response.content.is_eof():
            return await read_body(response, most_bytes)
        async with self._awaited(self._silence_s):
            return await read_body(response, most_bytes)

    def blame(self, trouble: str) -> EngineDiedError:
        """Leave the server out until it answers again; the error that says so."""
        if self.is_up:
            self._num_failures += 1
            logger.warning("%s is left out: %s", self.url, trouble)
        self.is_up, self.trouble = False, trouble
        self.failed_at = asyncio.get_running_loop().time()
        self._has_failed.set()
        self._note()
        return EngineDiedError(f"{self.url} failed: {trouble}")

    def _error(self, status: int, body: bytes) -> ModelError:
        told = read_complaint(body)
        if told.code is not None and told.code in REFUSALS | FAILURES:
            status = told.code
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
            return EngineUnavailableError(f"{self.url} answers {status}: {told.message}")
        if status in REFUSALS:
            return RequestRefusedError(told.message, told.param)
        return self.blame(f"it answers {status}: {told.message or 'without a word'}")

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.num_requests += 1
        try:
            yield
        finally:
            self.num_requests -= 1

    @asynccontextmanager
    async def _awaited(self, within_s: float | None = None) -> AsyncIterator[None]:
        """Wait for the server, no longer than this, and only until it is known to be silent."""
        async with asyncio.timeout(within_s) as wait:
            self._waits.add(wait)
            try:
                yield
            finally:
                self._waits.discard(wait)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except ReplyError as error:
            raise self.blame(str(error)) from error
        except BROKEN as error:  # a request of which nothing came for too long, too
            raise self.blame(_reason(error)) from error
        except TimeoutError as error:
            raise (
                EngineDiedError(f"{self.url} is silent") if not self.is_up else self.blame("it is too slow")
            ) from error


async def read_body(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    """Return the body of a reply.

    Raises:
        ReplyError: It is longer.
    """
    body = bytearray()
    while chunk := await response.content.readany():
        body += chunk
        if len(body) > most_bytes:
            raise ReplyError("it says more than was asked for")
    return bytes(body)


def _reason(error: Exception) -> str:
    return shown(str(error)) or type(error).__name__
