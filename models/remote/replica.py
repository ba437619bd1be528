"""One server of a model: what it answers, and whether it does.

Knows HTTP and how vLLM words its errors. A server that cannot be reached, breaks off or fails by itself gets no request
until it answers `/health`; once it is known to be silent, every request that it had learns so at once.

aiohttp, not httpx: a request costs a tenth of the time (0.14 against 1.6 ms of CPU, measured beside other work).
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from http import HTTPStatus
from typing import Any

import aiohttp

from models.errors import EngineDiedError, EngineUnavailableError, ModelError, RequestRefusedError

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
LOOK_AGAIN_S = 0.5
"""While it is left out."""
ANSWER_WITHIN_S = 5.0
"""A server that is silent for longer, twice in a row, is left out: once may be the event loop's own silence."""
CONNECT_WITHIN_S = 2.0
"""A host does that by itself, however busy its server is; the first packet may get lost, it is repeated after 1 s."""
PATIENCE = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_WITHIN_S)
SILENT = "it is silent"
TOKENIZE = "/tokenize"
SAMPLE = "Compute 12 * (3 + 45).\n\n## Step 1: \\frac{x^2}{7} \u2248 na\u00efve"
"""A server that makes other ids of it than the tokenizer here has another model, to which these ids are noise."""
DATA = b"data: "
DONE = b"[DONE]"


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
        note: Called when `is_up` has changed.
    """

    def __init__(
        self,
        url: str,
        client: aiohttp.ClientSession,
        looker: aiohttp.ClientSession,
        sample_ids: tuple[int, ...],
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
        self._note = note
        self._has_answered = False
        self._waits: set[asyncio.Timeout] = set()
        self._has_failed = asyncio.Event()

    async def post(self, path: str, body: Mapping[str, Any], *, is_slow: bool = False) -> dict[str, Any]:
        """Return the answer to a request.

        Args:
            path: Below the server's URL.
            body: Of the request.
            is_slow: Whether the answer is a whole response: nothing of it comes before its end, however long it is.

        Raises:
            EngineDiedError: The server is gone, or failed.
            RequestRefusedError: It has no use for the request.
            EngineUnavailableError: It has no such path, or asks for another key.
        """
        with self._counted():
            response = await self._send(path, body, PATIENCE if is_slow else None)
            with self._translated():
                async with self._awaited():
                    answer: dict[str, Any] = await response.json()
            return answer

    async def stream(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[str, None]:
        """Yield the events of a streamed answer but the last; closing the generator makes the server drop the request.

        Raises:
            EngineDiedError: The server is gone, failed or broke off.
            RequestRefusedError: It has no use for the request.
            EngineUnavailableError: It has no such path, or asks for another key.
        """
        with self._counted():
            response = await self._send(path, body)
            is_done, rest = False, b""
            try:
                while chunk := await self._read(response):  # to the end, or the connection cannot be kept
                    *lines, rest = (rest + chunk).split(b"\n")
                    for event in (line.removeprefix(DATA) for line in lines if line.startswith(DATA)):
                        is_done |= event == DONE
                        if event.startswith(b'{"error"'):
                            raise self._error(HTTPStatus.INTERNAL_SERVER_ERROR, json.loads(event))
                        if not is_done:
                            yield event.decode()
            finally:
                response.close()
        if not is_done:
            raise self._fail("it broke off")

    async def keep_looking(self) -> None:
        """See again and again whether the server answers; until cancelled."""
        while True:
            trouble = await self._look()
            if self.is_up and trouble == SILENT:
                trouble = await self._look()
            self._judge(trouble)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S if self.is_up else LOOK_AGAIN_S):
                    await self._has_failed.wait()
            self._has_failed.clear()

    async def _look(self) -> str | None:
        """Why the server does not answer; None for one that does."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                async with self._looker.get(f"{self.url}/health", raise_for_status=True):
                    pass
                return None if self.is_up else await self._meet()
        except TimeoutError:
            return SILENT
        except aiohttp.ClientResponseError as error:
            return f"{error.request_info.url.path} answers {error.status}"
        except aiohttp.ClientError as error:
            return str(error) or type(error).__name__
        except (ValueError, LookupError, TypeError) as error:
            return f"it is no server of vLLM: {error}"

    async def _meet(self) -> str | None:
        """Ask a server that answers which model it has; why that is not the one wanted, None where it is."""
        async with self._looker.get(f"{self.url}/v1/models", raise_for_status=True) as response:
            served = (await response.json())["data"][0]
        self.model, self.max_model_len = str(served["id"]), int(served["max_model_len"])
        self.lacks.clear()
        body = {"model": self.model, "prompt": SAMPLE, "add_special_tokens": False}
        async with self._looker.post(f"{self.url}{TOKENIZE}", json=body) as response:
            if response.ok and tuple((await response.json())["tokens"]) != self._sample_ids:
                return f"its model, {self.model}, has another tokenizer than the one named here"
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

    async def _send(
        self, path: str, body: Mapping[str, Any], limits: aiohttp.ClientTimeout | None = None
    ) -> aiohttp.ClientResponse:
        with self._translated():
            async with self._awaited():
                response = await self._client.post(
                    f"{self.url}{path}", json=body, timeout=limits or self._client.timeout
                )
                if response.ok:
                    return response
                text = await response.text()
        if response.status == HTTPStatus.NOT_FOUND:
            self.lacks.add(path)
        raise self._error(response.status, _parse(text))

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        with self._translated():
            async with self._awaited():
                return await response.content.readany()

    def _fail(self, trouble: str) -> EngineDiedError:
        """Leave the server out until it answers again."""
        self.is_up, self.trouble = False, trouble
        self.failed_at = asyncio.get_running_loop().time()
        self._has_failed.set()
        self._note()
        return EngineDiedError(f"{self.url} failed: {trouble}")

    def _error(self, status: int, body: Any) -> ModelError:
        told = body.get("error", body.get("detail")) if isinstance(body, dict) else None
        message = str(told.get("message") if isinstance(told, dict) else told)
        status = told["code"] if isinstance(told, dict) and isinstance(told.get("code"), int) else status
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED:
            return self._fail(f"{status}, {message}")
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
            return EngineUnavailableError(f"{self.url} answers {status}: {message}")
        return RequestRefusedError(message, told.get("param") if isinstance(told, dict) else None)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.num_requests += 1
        try:
            yield
        finally:
            self.num_requests -= 1

    @asynccontextmanager
    async def _awaited(self) -> AsyncIterator[None]:
        """Wait for the server until it is known to be silent."""
        async with asyncio.timeout(None) as wait:
            self._waits.add(wait)
            try:
                yield
            finally:
                self._waits.discard(wait)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except aiohttp.ClientError as error:  # a request of which nothing came for too long, too
            raise self._fail(str(error) or type(error).__name__) from error
        except TimeoutError as error:
            raise EngineDiedError(f"{self.url} is silent") from error


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {"error": text[:200]}
