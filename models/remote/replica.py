"""One server of a model, or a router with several behind it: what it answers, and whether it does.

Knows HTTP and how vLLM words its errors. A server that cannot be reached, breaks off, fails by itself or answers what
was not asked gets no request until it answers `/health`; the more often in a row, the later it is asked. Once it is
known to be silent, every request that it had learns so at once.

A router (vllm-router) looks after its servers itself, and stays in use while one of them answers. What it says of an
error is the word of one server, on which it may not have given up yet: the request is sent again, later and later. A
request carries its session as a header, by which routers choose.

Nothing that a server says is believed before it is checked: no reply is longer, and none takes longer, than what was
asked for can; redirects and compressed replies are failures.

aiohttp, not httpx: a request costs a tenth of the time (0.14 against 1.6 ms of CPU, measured beside other work).
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from hashlib import blake2b
from http import HTTPStatus
from typing import Any, TypeVar

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from models.errors import EngineDiedError, EngineUnavailableError, ModelError, RequestRefusedError
from models.remote.releases import OPENAPI, OPENAPI_BYTES, VERSION, Gap, Release, Runner, read_gaps
from models.remote.replies import (
    BASE_BYTES,
    METRICS_BYTES,
    ReplyError,
    ServedModels,
    Tokens,
    Workers,
    read,
    read_cache_tokens,
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
ROUTED_MODELS = "/v1/%6Dodels"
"""The same to a server. A router answers `/v1/models` by its first server, dead or not, and sends other paths on."""
TOKENIZE = "/tokenize"
HEALTH = "/health"
METRICS = "/metrics"
READINESS = "/readiness"
"""Routers alone have it. Their `/health` fails when one server does."""
SESSION = "x-session-id"
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
        workers: The servers behind it; None where it is one itself.
        model: What it calls its model; empty before it was asked.
        max_model_len: Longest prompt and response, in tokens.
        num_requests: Requests of ours that have not ended.
        num_returns: How often it came back.
        failed_at: When a request last failed, in the time of the event loop.
        trouble: Why it is left out.
        lacks: Paths that it has no answer to.
        gaps: What its release of vLLM lacks.

    Args:
        url: Where it is.
        client: Asks it.
        looker: Looks after it, on a connection of its own each time: a kept one tells of a host that is gone no sooner
            than of one that is busy.
        sample_ids: What the model's tokenizer makes of `SAMPLE`.
        settings: How long it may take to begin a reply, to end one that has begun, between two events, and to be well.
        note: Called when `is_up` has changed.
        runner: What it is asked to do; None where nobody knows.
    """

    def __init__(
        self,
        url: str,
        client: aiohttp.ClientSession,
        looker: aiohttp.ClientSession,
        sample_ids: tuple[int, ...],
        settings: RemoteSettings,
        note: Callable[[], None],
        runner: Runner | None = None,
    ) -> None:
        self.url = url
        self.is_up = False
        self.workers: Workers | None = None
        self.model = ""
        self.max_model_len = 0
        self.num_requests = 0
        self.num_returns = 0
        self.failed_at = float("-inf")
        self.trouble = "it was not asked yet"
        self.lacks: set[str] = set()
        self.gaps: tuple[Gap, ...] = ()
        self._client = client
        self._looker = looker
        self._sample_ids = sample_ids
        self._silence_s = settings.silence_s
        self._patience = settings.patience
        self._note = note
        self._runner = runner
        self._release = ""
        self._num_failures = 0  # in a row
        self._num_meetings = 0
        self._is_met = False
        self._has_answered = False
        self._waits: dict[asyncio.Timeout, float] = {}  # since when
        self._has_failed = asyncio.Event()

    async def post(
        self,
        path: str,
        body: Mapping[str, Any],
        reader: Callable[[bytes], T],
        most_bytes: int,
        *,
        affinity: str = "",
        is_slow: bool = False,
    ) -> T:
        """Return the answer to a request.

        Args:
            path: Below the server's URL.
            body: Of the request.
            reader: Makes the answer of the reply's body, or raises `ReplyError`.
            most_bytes: The body can have.
            affinity: What requests with a common prefix share.
            is_slow: Whether the answer is a whole response: nothing of it comes before its end, however long it is.

        Raises:
            EngineDiedError: The server is gone, failed, or answered something else.
            RequestRefusedError: It cannot use the request.
            EngineUnavailableError: It has no such path, or asks for another key.
        """
        with self._counted(), self._translated():
            asked = self._asked(path, body, JSON, affinity, is_slow=is_slow)
            async with asked as response:
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
        affinity: str = "",
    ) -> AsyncGenerator[T, None]:
        """Yield the events of a streamed answer; closing the generator makes the server drop the request.

        Args:
            path: Below the server's URL.
            body: Of the request.
            reader: Makes something of an event, or raises `ReplyError`.
            most_line_bytes: An event can have.
            most_bytes: All events can have.
            is_last: Whether an event is the last one, where no `[DONE]` follows.
            affinity: What requests with a common prefix share.

        Raises:
            EngineDiedError: The server is gone, failed, broke off, or answered something else.
            RequestRefusedError: It cannot use the request.
            EngineUnavailableError: It has no such path, or asks for another key.
        """
        with self._counted(), self._translated():
            async with self._asked(path, body, EVENTS, affinity) as response:
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
        """Yield the data of each event; comments between them are silence."""
        rest, num_bytes, clock = bytearray(), 0, asyncio.get_running_loop().time
        since = clock()
        due = since + self._silence_s
        while True:
            chunk = response.content.read_nowait()
            if not chunk:
                async with self._awaited(due - clock(), since) as wait:
                    chunk = await response.content.readany()
                due = wait.when() or due  # sooner, where the server is given up
            if not chunk:
                return
            num_bytes += len(chunk)
            *lines, tail = chunk.split(b"\n")
            for line in lines:
                rest += line
                event, rest = bytes(rest).rstrip(), bytearray()
                if event.startswith(DATA):
                    yield event.removeprefix(DATA).strip()
                    since = clock()
                    due = since + self._silence_s
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
        """Seconds before it is asked again: none when it failed for the first time, then longer and longer.

        A router is asked at once: it is some server behind it that failed.
        """
        if self.workers is not None or self._num_failures < 2:
            return 0.0
        return min(MOST_REST_S, self._patience.look_again_s * 2.0 ** (self._num_failures - 2))

    async def _look(self) -> str | None:
        """Why the server does not answer; None for one that does."""
        try:
            async with asyncio.timeout(self._patience.answer_s):
                workers = await self._count_workers() if self.workers is not None or not self._is_met else None
                if workers is None:
                    status, _ = await self._get(HEALTH)
                    if status != HTTPStatus.OK:
                        return f"{HEALTH} answers {status}"
                self._note_workers(workers)
                if workers is not None and not workers.healthy_workers:
                    return f"it is a router, and none of its {workers.total_workers} servers answers"
                return None if self.is_up or self._is_met else await self._meet()
        except TimeoutError:
            return SILENT
        except ReplyError as error:
            return f"it is no server of vLLM: {error}"
        except BROKEN as error:
            return _reason(error)

    async def _count_workers(self) -> Workers | None:
        """Ask a router for the servers behind it; None where it is no router."""
        status, data = await self._get(READINESS)
        if status not in (HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE):
            return None
        try:
            return read(Workers, data)
        except ReplyError:
            return None

    def _note_workers(self, workers: Workers | None) -> None:
        """Take note of the servers behind a router; requests that wait for one that it lost are sent again.

        It does not say whose they were: those that have waited for as long as a silent server is waited for.
        """
        before, self.workers = self.workers, workers
        if workers is None or workers == before:
            return
        logger.info("%s: %d of its %d servers answer", self.url, workers.healthy_workers, workers.total_workers)
        if before is not None and workers.healthy_workers < before.healthy_workers:
            self._give_up(self._patience.answer_s)

    async def _get(self, path: str, most_bytes: int = BASE_BYTES) -> tuple[int, bytes]:
        url = URL(f"{self.url}{path}", encoded=True)
        headers = {SESSION: str(self._num_meetings)}  # at each meeting another of a router's servers
        async with self._looker.get(url, headers=headers, allow_redirects=False) as response:
            return response.status, await read_body(response, most_bytes)

    async def _meet(self) -> str | None:
        """Ask a server that answers which model it has; why that is not the one wanted, None where it is."""
        self._num_meetings += 1
        status, data = await self._get(MODELS if self.workers is None else ROUTED_MODELS)
        if status != HTTPStatus.OK:
            return f"{MODELS} answers {status}"
        served = read(ServedModels, data)
        self.model, self.max_model_len = served.name, served.max_model_len
        self.lacks.clear()
        body = {"model": self.model, "prompt": SAMPLE, "add_special_tokens": False}
        async with self._looker.post(f"{self.url}{TOKENIZE}", json=body, allow_redirects=False) as response:
            is_known = response.status == HTTPStatus.OK
            if is_known and read(Tokens, await read_body(response, BASE_BYTES)).tokens != self._sample_ids:
                return f"its model, {shown(self.model)}, has another tokenizer than the one named here"
        return await self._read_gaps()

    async def _read_gaps(self) -> str | None:
        """Say what its release of vLLM lacks, where it describes itself; why it is of no use then."""
        try:
            release = shown(read(Release, (await self._get(VERSION))[1]).version)
            if release != self._release:
                self.gaps = read_gaps((await self._get(OPENAPI, OPENAPI_BYTES))[1], self._runner)
                self._release = release
                if self.gaps:
                    told = "; ".join(map(str, self.gaps))
                    logger.warning("%s runs vLLM %s, which has %s", self.url, release, told)
        except ReplyError:
            return None
        fatal = next((gap for gap in self.gaps if gap.is_fatal), None)
        return f"its vLLM {release} has {fatal}" if fatal else None

    async def cache_tokens(self) -> int | None:
        """Return how many tokens its KV cache holds; None where it does not say: a router speaks for itself alone."""
        if self.workers is not None:
            return None
        try:
            async with asyncio.timeout(self._patience.answer_s):
                status, data = await self._get(METRICS, METRICS_BYTES)
        except (TimeoutError, ReplyError, *BROKEN):
            return None
        return read_cache_tokens(data) if status == HTTPStatus.OK else None

    def _judge(self, trouble: str | None) -> None:
        if trouble is None and not self.is_up:
            if not self._is_met:
                logger.info("%s answers", self.url)
                self.num_returns += self._has_answered
            self.is_up = self._is_met = self._has_answered = True
            self._note()
        elif trouble is not None:
            if trouble != self.trouble or self.is_up:
                logger.warning("%s is left out: %s", self.url, trouble)
            self.is_up, self._is_met, self.trouble = False, False, trouble
            self.failed_at = asyncio.get_running_loop().time()
            self._note()
            self._give_up(0.0)

    def _give_up(self, after_s: float) -> None:
        """End what is waited for, as soon as it has been for so long; what has run out of time by then ends anyway."""
        now = asyncio.get_running_loop().time()
        for wait, since in self._waits.items():
            due = max(now, since + after_s)
            if due < (wait.when() or float("inf")):
                wait.reschedule(due)

    @asynccontextmanager
    async def _asked(
        self, path: str, body: Mapping[str, Any], media_type: str, affinity: str, *, is_slow: bool = False
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request, and see that its answer is of a media type; it is closed in the end."""
        response = await self._sent(path, body, affinity, is_slow=is_slow)
        for pause_s in self._patience.pauses_s if self.workers is not None else ():
            if response.status not in FAILURES:
                break
            response.close()
            await asyncio.sleep(pause_s)
            response = await self._sent(path, body, affinity, is_slow=is_slow)
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

    async def _sent(
        self, path: str, body: Mapping[str, Any], affinity: str, *, is_slow: bool
    ) -> aiohttp.ClientResponse:
        url = f"{self.url}{path}"
        async with self._awaited(None if is_slow else self._silence_s):
            return await self._client.post(url, json=body, headers=session(affinity), allow_redirects=False)

    def blame(self, trouble: str) -> EngineDiedError:
        """Leave the server out until it answers again; the error that says so.

        A router answers again as soon as it is asked, if it is not at fault itself.
        """
        self.trouble = trouble
        if self.workers is not None:
            logger.info("%s, or a server behind it, failed: %s", self.url, trouble)
        else:
            self._is_met = False
            self.failed_at = asyncio.get_running_loop().time()
            if self.is_up:
                self._num_failures += 1
                logger.warning("%s is left out: %s", self.url, trouble)
        self.is_up = False
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
    async def _awaited(
        self, within_s: float | None = None, since: float | None = None
    ) -> AsyncIterator[asyncio.Timeout]:
        """Wait for the server, no longer than this, and until it is given up, which counts from `since` or from now."""
        async with asyncio.timeout(within_s) as wait:
            self._waits[wait] = asyncio.get_running_loop().time() if since is None else since
            try:
                yield wait
            finally:
                self._waits.pop(wait, None)

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


def session(affinity: str) -> dict[str, str]:
    """Return the header by which routers keep requests together; it tells nothing of the text."""
    return {SESSION: blake2b(affinity.encode(), digest_size=8).hexdigest()} if affinity else {}


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
