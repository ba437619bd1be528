r"""A typed client of winnow's HTTP service, in one file: copy it into your project. It needs httpx and pydantic.

    from winnow_client import Winnow

    with Winnow("http://127.0.0.1:8000") as winnow:
        print(winnow.solve("Compute 8 + 6 * 4 - 12.", n=16).answer)
        print(winnow.score("Compute 1 + 1.", ["1 + 1 = 2\n\nThe answer is \\boxed{2}."]).responses[0].score)

`Winnow` is for threads, `AsyncWinnow` for asyncio; their methods are the same. A busy service is asked again after the
seconds of its `Retry-After`. With `background=True` or an `idempotency_key`, a search outlives its connection: a stream
that breaks goes on by itself, behind the last event that came. An address at which nobody has ever answered is an error
at once. Fields that a newer service adds are kept, too.
"""

import asyncio
import json
import random
import re
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ConfigDict

BUSY = (429, 503)
BROKEN = (502, 503, 504)
"""Replies of a proxy whose service has gone, or did not answer in time."""
UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
"""Errors before which no connection was made."""
MAX_RESPONSES = 256
"""Of one request."""
PATIENCE_S = 600.0
RESUME_WITHIN_S = 60.0
PAUSE_S = 1.0
HELD = 5
"""With a try that held for so many pauses, the time begins anew for which what broke is tried again."""
SPREAD = 0.25
"""Random extra share of a wait, so that not all clients ask again at once."""
MAX_REPLY_BYTES = 1 << 28
PLACE = re.compile(r"/solve/[\w-]{1,64}", re.ASCII)
"""Of a search that outlives its connection."""
FIELDS = (b"event", b"data", b"id")
"""Of an event."""


class WinnowError(Exception):
    """The service refused a request, or cannot be reached.

    Args:
        message: As the service says it.
        status: HTTP status; None where there was no reply.
        param: The field that is wrong; None where none is.
        code: For programs; None where there is none.
    """

    def __init__(
        self, message: str, status: int | None = None, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code


class Reply(BaseModel):
    """Base of what the service replies."""

    model_config = ConfigDict(extra="allow")


class Step(Reply):
    """A step of a response; its score is null where it was not judged."""

    text: str
    score: float | None = None
    thinking: bool = False


class Vote(Reply):
    """The votes for one class of equivalent answers; `responses` are places among those to choose from."""

    answer: str | None
    count: int
    weight: float | None
    responses: list[int] | None = None


class Diagnostics(Reply):
    """How far an answer can be trusted."""

    agreement: float | None
    entropy: float | None
    distinct_answers: int
    warnings: list[str]
    familiar: bool | None = None


class Usage(Reply):
    """The bill, in tokens."""

    prompt_tokens: int
    completion_tokens: int = 0
    verifier_tokens: int
    verifier_cached_tokens: int


class Candidate(Reply):
    """A response of a search."""

    id: str
    response: str
    answer: str | None
    score: float | None
    finish: str
    steps: list[Step]


class Solved(Reply):
    """The reply of `POST /solve`."""

    id: str
    answer: str | None
    response: str | None
    score: float | None
    confidence: float | None
    status: str
    strategy: dict[str, Any]
    votes: list[Vote]
    diagnostics: Diagnostics
    usage: Usage
    candidates: list[Candidate] | None = None
    tree: dict[str, Any] | None = None


class Scored(Reply):
    """A response of yours and its scores."""

    index: int
    score: float | None
    steps: list[Step]
    error: str | None = None
    answer: str | None = None


class Scores(Reply):
    """The reply of `POST /v1/steps/score`."""

    id: str
    status: str
    responses: list[Scored]
    usage: Usage


class Choice(Reply):
    """The reply of `POST /v1/answers/choose`."""

    id: str
    status: str
    index: int | None
    answer: str | None
    response: str | None
    score: float | None
    confidence: float | None
    votes: list[Vote]
    diagnostics: Diagnostics
    responses: list[Scored]
    usage: Usage


class Equivalence(Reply):
    """Whether two answers are the same, and why."""

    equivalent: bool
    canonical: tuple[str | None, str | None]
    reason: str


class Equivalences(Reply):
    """The reply of `POST /v1/answers/equivalent`."""

    results: list[Equivalence]


class Start(Reply):
    """What is searched, and how: the first event of a stream."""

    version: int
    id: str
    problem: str
    strategy: dict[str, Any]
    policy: str
    verifier: str | None
    selection: str
    aggregation: str | None


class Queue(Reply):
    """The place in the queue, 0 once the search runs."""

    place: int
    length: int
    wait_s: float | None


class Decision(Reply):
    """What the strategy decided."""

    values: dict[str, Any]
    reason: str
    confidence: float | None


class Round(Reply):
    """The tree gets deeper."""

    round: int


class NodeStep(Step):
    """A step of a node of the tree; comes again with its score."""

    node: str
    index: int
    tokens: int


class Node(Reply):
    """A node of the tree as it is now."""

    id: str
    parent: str | None
    score: float | None
    state: str
    answer: str | None
    verified: bool | None
    tokens: int
    dropped: dict[str, Any] | None = None


class Votes(Reply):
    """How the vote stands; at the line, the leader has won."""

    votes: list[Vote]
    outstanding: int
    line: float | None


class Bill(Reply):
    """The bill so far, and the share of the budget that is spent."""

    share: float
    usage: Usage
    elapsed_s: float


Told = Start | Queue | Decision | Round | NodeStep | Node | Votes | Bill | Solved | Reply
"""The data of an event; of one that this client does not know, a plain `Reply`."""
EVENTS: dict[str, type[Reply]] = {
    "start": Start,
    "queue": Queue,
    "decision": Decision,
    "round": Round,
    "step": NodeStep,
    "candidate": Node,
    "votes": Votes,
    "usage": Bill,
    "result": Solved,
}


class Event(Reply):
    """An event of a stream; the last one is `result`. An event `error` raises a WinnowError."""

    name: str
    data: dict[str, Any]
    id: int | None = None

    @property
    def told(self) -> Told:
        """The data, in the type of the event's name."""
        return EVENTS.get(self.name, Reply).model_validate(self.data)


class Background(Reply):
    """A search that outlives its connection; state: queued, running, complete, failed or cancelled."""

    id: str
    state: str
    created: float
    expires: float | None
    result: Solved | None
    error: dict[str, Any] | None


class Spread(Reply):
    """What one search in ten stays below, the mean, and what one in ten exceeds."""

    low: float
    expected: float
    high: float


class Estimate(Reply):
    """What a search will probably take; null where nothing like it was measured, and `basis` says why."""

    completion_tokens: Spread | None
    verifier_tokens: Spread | None
    seconds: Spread | None
    queue_s: float
    accuracy: Spread | None
    basis: str


R = TypeVar("R", bound=Reply)
Response = str | Sequence[str]
"""A text, or the texts of its steps."""
Pair = tuple[str | None, str | None]


class Winnow:
    """A client for threads.

    Args:
        url: Of the service, such as http://127.0.0.1:8000.
        api_key: Where the service asks for one.
        timeout_s: Seconds without a byte after which a request fails; None waits for ever.
        patience_s: Seconds to wait in all for a busy service.
        resume_within_s: How long a stream that broke, or a request with a key, is tried again.
        pause_s: Before what broke is tried again.
        max_reply_bytes: Of a reply, or of an event of a stream; a service that sends more is left.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        timeout_s: float | None = None,
        patience_s: float = PATIENCE_S,
        resume_within_s: float = RESUME_WITHIN_S,
        pause_s: float = PAUSE_S,
        max_reply_bytes: int = MAX_REPLY_BYTES,
    ) -> None:
        self._client = httpx.Client(**_options(url, api_key, timeout_s))
        self._service = _Service(str(self._client.base_url), patience_s, resume_within_s, pause_s, max_reply_bytes)

    def solve(self, problem: str, *, idempotency_key: str | None = None, **fields: Any) -> Solved:
        """Search for the answer of a problem; `fields` are those of `POST /solve`.

        Args:
            problem: To be solved.
            idempotency_key: Names the request, so that it can be sent again: after a broken connection it is.
            fields: Of the request.

        Raises:
            WinnowError: It was refused, or the service cannot be reached.
        """
        return self._send("POST", "/solve", Solved, {"problem": problem, **fields}, idempotency_key)

    def stream(self, problem: str, *, idempotency_key: str | None = None, **fields: Any) -> Iterator[Event]:
        """Search, and yield the events of the search; the data of the last one is the reply of `POST /solve`.

        With `background=True` or a key, a stream that breaks goes on by itself.

        Raises:
            WinnowError: It was refused, failed, or the stream broke.
        """
        return self._events(_Stream.of(self._service, problem, fields, idempotency_key))

    def background(self, problem: str, *, idempotency_key: str | None = None, **fields: Any) -> Background:
        """Begin a search that runs on by itself; `fields` are those of `POST /solve`.

        Raises:
            WinnowError: It was refused, or the service cannot be reached.
        """
        body = {"problem": problem, **fields, "background": True}
        return self._send("POST", "/solve", Background, body, idempotency_key)

    def get(self, id: str) -> Background:
        """Look at a background search.

        Raises:
            WinnowError: There is none with this id, or the service cannot be reached.
        """
        return self._send("GET", _path(id), Background)

    def follow(self, id: str, after: int = 0) -> Iterator[Event]:
        """Yield the events of a background search behind number `after`; a stream that breaks goes on by itself.

        Raises:
            WinnowError: There is no search with this id, it failed, or the service cannot be reached for a minute.
        """
        return self._events(_Stream(self._service, path=_path(id), after=after))

    def delete(self, id: str) -> Background:
        """Stop a background search; forget one that has ended.

        Raises:
            WinnowError: There is none with this id, or the service cannot be reached.
        """
        return self._send("DELETE", _path(id), Background)

    def estimate(self, problem: str, **fields: Any) -> Estimate:
        """Estimate what `solve` would take; `fields` are the same.

        Raises:
            WinnowError: It was refused, or the service cannot be reached.
        """
        return self._send("POST", "/solve/estimate", Estimate, {"problem": problem, **fields})

    def score(self, problem: str, responses: Sequence[Response], **fields: Any) -> Scores:
        """Judge the steps of responses; `fields` are those of `POST /v1/steps/score`.

        Raises:
            WinnowError: It was refused, or the service cannot be reached.
        """
        return self._send("POST", "/v1/steps/score", Scores, _given(problem, responses, fields))

    def rewards(self, problem: str, responses: Sequence[str], **fields: Any) -> list[float | None]:
        """Return a score for each of any number of responses; None for one that cannot be judged.

        Raises:
            WinnowError: The problem was refused, or the service cannot be reached.
        """
        rewards: list[float | None] = [None] * len(responses)
        places = [place for place, response in enumerate(responses) if response.strip()]
        while places:
            part = places[:MAX_RESPONSES]
            try:
                scores = self.score(problem, [responses[place] for place in part], special_tokens="text", **fields)
            except WinnowError as error:
                del places[_unfit(error, len(part))]
                continue
            for place, scored in zip(part, scores.responses, strict=True):
                rewards[place] = scored.score
            del places[: len(part)]
        return rewards

    def choose(self, problem: str, responses: Sequence[Response], **fields: Any) -> Choice:
        """Choose an answer among responses; `fields` are those of `POST /v1/answers/choose`.

        Raises:
            WinnowError: It was refused, or the service cannot be reached.
        """
        return self._send("POST", "/v1/answers/choose", Choice, _given(problem, responses, fields))

    def equivalent(self, pairs: Sequence[Pair]) -> list[Equivalence]:
        """Compare answers in pairs.

        Raises:
            WinnowError: It was refused, or the service cannot be reached.
        """
        return self._send("POST", "/v1/answers/equivalent", Equivalences, _paired(pairs)).results

    def _send(
        self, method: str, path: str, reply: type[R], body: dict[str, Any] | None = None, key: str | None = None
    ) -> R:
        exchange = _Exchange(self._service, _request(method, path, body, key), can_repeat=key is not None)
        for _ in self._events(exchange):
            pass  # it is no stream
        return exchange.read(reply)

    def _events(self, exchange: "_Exchange") -> Iterator[Event]:
        while not exchange.is_whole:
            try:
                with self._client.stream(**exchange.begin()) as response:
                    exchange.open(response)
                    for piece in response.iter_bytes():
                        yield from exchange.feed(piece)
                wait_s = exchange.end()
            except httpx.HTTPError as error:
                wait_s = exchange.break_off(error)
            time.sleep(wait_s)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncWinnow:
    """A client for asyncio: `Winnow`, awaited.

    Args:
        url: Of the service, such as http://127.0.0.1:8000.
        api_key: Where the service asks for one.
        timeout_s: Seconds without a byte after which a request fails; None waits for ever.
        patience_s: Seconds to wait in all for a busy service.
        resume_within_s: How long a stream that broke, or a request with a key, is tried again.
        pause_s: Before what broke is tried again.
        max_reply_bytes: Of a reply, or of an event of a stream; a service that sends more is left.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        timeout_s: float | None = None,
        patience_s: float = PATIENCE_S,
        resume_within_s: float = RESUME_WITHIN_S,
        pause_s: float = PAUSE_S,
        max_reply_bytes: int = MAX_REPLY_BYTES,
    ) -> None:
        self._client = httpx.AsyncClient(**_options(url, api_key, timeout_s))
        self._service = _Service(str(self._client.base_url), patience_s, resume_within_s, pause_s, max_reply_bytes)

    async def solve(self, problem: str, *, idempotency_key: str | None = None, **fields: Any) -> Solved:
        """Search for the answer of a problem, as `Winnow.solve`."""
        return await self._send("POST", "/solve", Solved, {"problem": problem, **fields}, idempotency_key)

    def stream(self, problem: str, *, idempotency_key: str | None = None, **fields: Any) -> AsyncIterator[Event]:
        """Search, and yield the events of the search, as `Winnow.stream`."""
        return self._events(_Stream.of(self._service, problem, fields, idempotency_key))

    async def background(self, problem: str, *, idempotency_key: str | None = None, **fields: Any) -> Background:
        """Begin a search that runs on by itself, as `Winnow.background`."""
        body = {"problem": problem, **fields, "background": True}
        return await self._send("POST", "/solve", Background, body, idempotency_key)

    async def get(self, id: str) -> Background:
        """Look at a background search, as `Winnow.get`."""
        return await self._send("GET", _path(id), Background)

    def follow(self, id: str, after: int = 0) -> AsyncIterator[Event]:
        """Yield the events of a background search, as `Winnow.follow`."""
        return self._events(_Stream(self._service, path=_path(id), after=after))

    async def delete(self, id: str) -> Background:
        """Stop a background search, as `Winnow.delete`."""
        return await self._send("DELETE", _path(id), Background)

    async def estimate(self, problem: str, **fields: Any) -> Estimate:
        """Estimate what `solve` would take, as `Winnow.estimate`."""
        return await self._send("POST", "/solve/estimate", Estimate, {"problem": problem, **fields})

    async def score(self, problem: str, responses: Sequence[Response], **fields: Any) -> Scores:
        """Judge the steps of responses, as `Winnow.score`."""
        return await self._send("POST", "/v1/steps/score", Scores, _given(problem, responses, fields))

    async def choose(self, problem: str, responses: Sequence[Response], **fields: Any) -> Choice:
        """Choose an answer among responses, as `Winnow.choose`."""
        return await self._send("POST", "/v1/answers/choose", Choice, _given(problem, responses, fields))

    async def equivalent(self, pairs: Sequence[Pair]) -> list[Equivalence]:
        """Compare answers in pairs, as `Winnow.equivalent`."""
        return (await self._send("POST", "/v1/answers/equivalent", Equivalences, _paired(pairs))).results

    async def _send(
        self, method: str, path: str, reply: type[R], body: dict[str, Any] | None = None, key: str | None = None
    ) -> R:
        exchange = _Exchange(self._service, _request(method, path, body, key), can_repeat=key is not None)
        async for _ in self._events(exchange):
            pass  # it is no stream
        return exchange.read(reply)

    async def _events(self, exchange: "_Exchange") -> AsyncIterator[Event]:
        while not exchange.is_whole:
            try:
                async with self._client.stream(**exchange.begin()) as response:
                    exchange.open(response)
                    async for piece in response.aiter_bytes():
                        for event in exchange.feed(piece):
                            yield event
                wait_s = exchange.end()
            except httpx.HTTPError as error:
                wait_s = exchange.break_off(error)
            await asyncio.sleep(wait_s)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


@dataclass(slots=True)
class _Service:
    """What a client knows of its service.

    Attributes:
        url: Of the service.
        patience_s: Seconds to wait in all for a busy service.
        resume_within_s: How long what broke is tried again.
        pause_s: Before each try.
        max_reply_bytes: Of a reply, or of an event.
        was_reached: Whether it has ever replied.
    """

    url: str
    patience_s: float
    resume_within_s: float
    pause_s: float
    max_reply_bytes: int
    was_reached: bool = False


class _Exchange:
    """A request and its reply, for which it may be sent several times.

    Args:
        service: That is asked.
        request: As httpx takes it.
        can_repeat: Whether it may be sent again after a broken connection.

    Attributes:
        is_whole: Whether the reply is there.
    """

    def __init__(self, service: _Service, request: dict[str, Any], *, can_repeat: bool) -> None:
        self.is_whole = False
        self._service, self._request, self._can_repeat = service, request, can_repeat
        self._left_s = service.patience_s
        self._began = 0.0
        self._broken_since: float | None = None
        self._response: httpx.Response
        self._pieces: list[bytes] = []
        self._num_bytes = 0

    def begin(self) -> dict[str, Any]:
        """Return what is to be sent now."""
        self._began = time.monotonic()
        return self._request

    def open(self, response: httpx.Response) -> None:
        """Take the head of a reply.

        Raises:
            WinnowError: No service of winnow replies so.
        """
        self._service.was_reached = True
        self._response = response
        self._take()

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Take a piece of the reply, and yield the events that it ends.

        Raises:
            WinnowError: It is too long, or nothing that a service of winnow sends.
        """
        self._keep(piece)
        yield from ()

    def end(self) -> float:
        """Return the seconds to wait at the end of a reply, before the request is sent again if it is not whole.

        Raises:
            WinnowError: It should not be sent again.
        """
        if self._response.is_success:
            return self._end_of_success()
        status, said = self._response.status_code, self._response.headers.get("retry-after", "")
        refusal = _refused(self._response, self._take())
        if status in BUSY and said.isdecimal():
            wait_s = max(float(said), 1.0)
            if wait_s > self._left_s:
                raise refusal
            self._left_s -= wait_s
            return wait_s * random.uniform(1, 1 + SPREAD)
        if status in BROKEN:
            return self._try_again(refusal)
        raise refusal

    def break_off(self, error: httpx.HTTPError) -> float:
        """Return the seconds to wait after an error, before the request is sent again.

        Raises:
            WinnowError: It should not be.
        """
        is_unsent = isinstance(error, UNSENT)
        what = f"{self._service.url} cannot be reached" if is_unsent else f"the connection to {self._service.url} broke"
        failure = WinnowError(f"{what}: {error or type(error).__name__}")
        if is_unsent and not self._service.was_reached:
            raise failure from error
        return self._try_again(failure, can_have_held=not is_unsent)

    def read(self, reply: type[R]) -> R:
        """Return the reply.

        Raises:
            WinnowError: No service of winnow replies so.
        """
        try:
            return reply.model_validate_json(self._take())
        except ValueError as error:
            raise _stranger(self._response) from error

    def _end_of_success(self) -> float:
        self.is_whole = True
        return 0

    def _try_again(self, failure: WinnowError, *, can_have_held: bool = True) -> float:
        now, service = time.monotonic(), self._service
        if self._broken_since is None or (can_have_held and now - self._began > HELD * service.pause_s):
            self._broken_since = now
        if not self._can_repeat or now - self._broken_since > service.resume_within_s:
            raise failure
        return service.pause_s

    def _keep(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._num_bytes += len(piece)
        if self._num_bytes > self._service.max_reply_bytes:
            url, most = self._service.url, self._service.max_reply_bytes
            raise WinnowError(f"{url} sends more than {most:,} bytes at once", self._response.status_code)

    def _take(self) -> bytes:
        """Return what was kept, which it is no longer."""
        content = b"".join(self._pieces)
        self._pieces, self._num_bytes = [], 0
        return content


class _Stream(_Exchange):
    """Server-Sent Events, which go on where they broke off once the service has said where the search is found.

    Args:
        service: That is asked.
        first: What begins the search; None if it has begun.
        path: Of the search; None until the service has said it.
        after: Number of the last event that came.
        can_repeat: Whether what begins the search may be sent again.
    """

    def __init__(
        self,
        service: _Service,
        first: dict[str, Any] | None = None,
        *,
        path: str | None = None,
        after: int = 0,
        can_repeat: bool = True,
    ) -> None:
        super().__init__(service, first or {}, can_repeat=can_repeat)
        self._path, self._last = path, after
        self._fields: dict[bytes, bytes] = {}

    @classmethod
    def of(cls, service: _Service, problem: str, fields: dict[str, Any], key: str | None) -> Self:
        """Return the stream of a search that is to begin."""
        body = {"problem": problem, **fields, "stream": True}
        return cls(service, _request("POST", "/solve", body, key), can_repeat=key is not None)

    def begin(self) -> dict[str, Any]:
        first = super().begin()
        if self._path is None:
            return first
        headers = {"Last-Event-ID": str(self._last)} if self._last else {}
        return {"method": "GET", "url": self._path, "params": {"stream": "true"}, "headers": headers}

    def open(self, response: httpx.Response) -> None:
        super().open(response)
        self._fields = {}
        if not response.is_success:
            return
        if response.headers.get("content-type", "").partition(";")[0].strip() != "text/event-stream":
            raise _stranger(response)
        if PLACE.fullmatch(place := response.headers.get("location", "")):  # anything else may be anywhere
            self._path, self._can_repeat = place, True

    def feed(self, piece: bytes) -> Iterator[Event]:
        if not self._response.is_success:
            yield from super().feed(piece)
            return
        *ends, rest = piece.split(b"\n")  # as text, lines would end at U+2028, too
        for end in ends:
            self._keep(end)
            if event := self._end_of_line(self._take().rstrip(b"\r")):
                yield event
        self._keep(rest)

    def _end_of_line(self, line: bytes) -> Event | None:
        field, _, value = line.partition(b":")
        if field in FIELDS:
            self._fields[field] = value.removeprefix(b" ")
        if line:
            return None
        fields, self._fields = self._fields, {}
        if b"data" not in fields:
            return None
        try:
            event = _event(fields)
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise _stranger(self._response) from error
        self._last = event.id or self._last
        self.is_whole = event.name == "result"
        self._broken_since = None
        return event

    def _end_of_success(self) -> float:
        return 0 if self.is_whole else self._try_again(WinnowError("the stream broke before the result"))


def _event(fields: dict[bytes, bytes]) -> Event:
    name, data, number = fields.get(b"event", b"").decode(), json.loads(fields[b"data"]), fields.get(b"id", b"")
    if name == "error":
        raise _error(data, None)
    return Event(name=name, data=data, id=int(number) if number.isdigit() else None)


def _request(method: str, path: str, body: dict[str, Any] | None, key: str | None) -> dict[str, Any]:
    return {"method": method, "url": path, "json": body, "headers": _key(key)}


def _path(id: str) -> str:
    return f"/solve/{quote(id, safe='')}"


def _key(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Idempotency-Key": key}


def _options(url: str, api_key: str | None, timeout_s: float | None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    base = url.rstrip("/").removesuffix("/v1")
    return {"base_url": base, "headers": headers, "timeout": httpx.Timeout(timeout_s, connect=10)}


def _given(problem: str, responses: Sequence[Response], fields: dict[str, Any]) -> dict[str, Any]:
    texts = [response if isinstance(response, str) else list(response) for response in responses]
    return {"problem": problem, "responses": texts, **fields}


def _unfit(error: WinnowError, number: int) -> slice:
    """Return which of the `number` responses of a refused request cannot be judged.

    Raises:
        WinnowError: It was not for the responses that it was refused.
    """
    name, _, place = (error.param or "").partition(".")
    if name == "responses" and place.isdecimal() and int(place) < number:
        return slice(int(place), int(place) + 1)
    if error.code == "context_length_exceeded" and error.param == "responses":
        return slice(0, number)
    raise error


def _paired(pairs: Sequence[Pair]) -> dict[str, Any]:
    return {"pairs": [{"a": a, "b": b} for a, b in pairs]}


def _refused(response: httpx.Response, content: bytes) -> WinnowError:
    try:
        return _error(json.loads(content), response.status_code)
    except (ValueError, TypeError, LookupError, RecursionError):  # a proxy's reply
        return WinnowError(f"{response.url} answers HTTP {response.status_code}", response.status_code)


def _error(body: dict[str, Any], status: int | None) -> WinnowError:
    error = body["error"]
    message, param, code = str(error["message"]), error.get("param"), error.get("code")
    return WinnowError(message, status, None if param is None else str(param), None if code is None else str(code))


def _stranger(response: httpx.Response) -> WinnowError:
    return WinnowError(f"{response.url} is not a winnow service", response.status_code)
