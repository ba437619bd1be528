r"""A typed client of winnow's HTTP service, in one file: copy it into your project. It needs httpx and pydantic.

    from winnow_client import Winnow

    with Winnow("http://127.0.0.1:8000") as winnow:
        print(winnow.solve("Compute 8 + 6 * 4 - 12.", n=16).answer)
        print(winnow.score("Compute 1 + 1.", ["1 + 1 = 2\n\nThe answer is \\boxed{2}."]).responses[0].score)

`Winnow` is for threads, `AsyncWinnow` for asyncio; their methods are the same. A busy service is asked again after the
seconds of its `Retry-After`. With `background=True` or an `idempotency_key`, a search outlives its connection: a stream
that breaks goes on by itself, behind the last event that came. Fields that a newer service adds are kept, too.
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ConfigDict

BUSY = (429, 503)
MAX_RESPONSES = 256
"""Of one request."""
PATIENCE_S = 600.0
RESUME_WITHIN_S = 60.0
PAUSE_S = 1.0
"""Between two tries."""
SPREAD = 0.25
"""Random extra share of a wait, so that not all clients ask again at once."""


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
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        timeout_s: float | None = None,
        patience_s: float = PATIENCE_S,
        resume_within_s: float = RESUME_WITHIN_S,
    ) -> None:
        self._client = httpx.Client(**_options(url, api_key, timeout_s))
        self._patience_s, self._resume_within_s = patience_s, resume_within_s

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
        return self._read(
            _Stream.of(problem, fields, idempotency_key, self._waits(can_repeat=idempotency_key is not None))
        )

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
        return self._read(_Stream(self._waits(can_repeat=True), _path(id), after))

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

    def _waits(self, *, can_repeat: bool) -> "_Waits":
        return _Waits(self._patience_s, self._resume_within_s, can_repeat=can_repeat)

    def _send(
        self, method: str, path: str, reply: type[R], body: dict[str, Any] | None = None, key: str | None = None
    ) -> R:
        waits = self._waits(can_repeat=key is not None)
        while True:
            try:
                response = self._client.request(method, path, json=body, headers=_key(key))
            except httpx.HTTPError as error:
                wait_s = waits.broken(error)
            else:
                if response.is_success:
                    return _read(response, reply)
                wait_s = waits.next(response)
            time.sleep(wait_s)

    def _read(self, stream: "_Stream") -> Iterator[Event]:
        while True:
            try:
                with self._client.stream(**stream.request) as response:
                    if response.is_success:
                        stream.begin(response)
                        for line in response.iter_lines():
                            if event := stream.feed(line):
                                yield event
                        if stream.is_whole:
                            return
                        wait_s = stream.waits.broken()
                    else:
                        response.read()
                        wait_s = stream.waits.next(response)
            except httpx.HTTPError as error:
                wait_s = stream.waits.broken(error)
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
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        timeout_s: float | None = None,
        patience_s: float = PATIENCE_S,
        resume_within_s: float = RESUME_WITHIN_S,
    ) -> None:
        self._client = httpx.AsyncClient(**_options(url, api_key, timeout_s))
        self._patience_s, self._resume_within_s = patience_s, resume_within_s

    async def solve(self, problem: str, *, idempotency_key: str | None = None, **fields: Any) -> Solved:
        """Search for the answer of a problem, as `Winnow.solve`."""
        return await self._send("POST", "/solve", Solved, {"problem": problem, **fields}, idempotency_key)

    def stream(self, problem: str, *, idempotency_key: str | None = None, **fields: Any) -> AsyncIterator[Event]:
        """Search, and yield the events of the search, as `Winnow.stream`."""
        return self._read(
            _Stream.of(problem, fields, idempotency_key, self._waits(can_repeat=idempotency_key is not None))
        )

    async def background(self, problem: str, *, idempotency_key: str | None = None, **fields: Any) -> Background:
        """Begin a search that runs on by itself, as `Winnow.background`."""
        body = {"problem": problem, **fields, "background": True}
        return await self._send("POST", "/solve", Background, body, idempotency_key)

    async def get(self, id: str) -> Background:
        """Look at a background search, as `Winnow.get`."""
        return await self._send("GET", _path(id), Background)

    def follow(self, id: str, after: int = 0) -> AsyncIterator[Event]:
        """Yield the events of a background search, as `Winnow.follow`."""
        return self._read(_Stream(self._waits(can_repeat=True), _path(id), after))

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

    def _waits(self, *, can_repeat: bool) -> "_Waits":
        return _Waits(self._patience_s, self._resume_within_s, can_repeat=can_repeat)

    async def _send(
        self, method: str, path: str, reply: type[R], body: dict[str, Any] | None = None, key: str | None = None
    ) -> R:
        waits = self._waits(can_repeat=key is not None)
        while True:
            try:
                response = await self._client.request(method, path, json=body, headers=_key(key))
            except httpx.HTTPError as error:
                wait_s = waits.broken(error)
            else:
                if response.is_success:
                    return _read(response, reply)
                wait_s = waits.next(response)
            await asyncio.sleep(wait_s)

    async def _read(self, stream: "_Stream") -> AsyncIterator[Event]:
        while True:
            try:
                async with self._client.stream(**stream.request) as response:
                    if response.is_success:
                        stream.begin(response)
                        async for line in response.aiter_lines():
                            if event := stream.feed(line):
                                yield event
                        if stream.is_whole:
                            return
                        wait_s = stream.waits.broken()
                    else:
                        await response.aread()
                        wait_s = stream.waits.next(response)
            except httpx.HTTPError as error:
                wait_s = stream.waits.broken(error)
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


class _Waits:
    """How long to wait for a busy service, and before what broke is tried again.

    Args:
        patience_s: Seconds to wait in all for a busy service.
        resume_within_s: How long what broke is tried again.
        can_repeat: Whether the request may be sent again after a broken connection.
    """

    def __init__(self, patience_s: float, resume_within_s: float, *, can_repeat: bool) -> None:
        self.can_repeat = can_repeat
        self._resume_within_s = resume_within_s
        self._left_s = patience_s
        self._broken_since: float | None = None

    def next(self, response: httpx.Response) -> float:
        """Return the seconds to wait before a request is sent again.

        Raises:
            WinnowError: It should not be.
        """
        said = response.headers.get("retry-after", "")
        wait_s = max(float(said), 1.0) if response.status_code in BUSY and said.isdecimal() else None
        if wait_s is None or wait_s > self._left_s:
            raise _refused(response)
        self._left_s -= wait_s
        return wait_s * random.uniform(1, 1 + SPREAD)

    def broken(self, error: httpx.HTTPError | None = None) -> float:
        """Return the seconds to wait before a broken request is sent again.

        Raises:
            WinnowError: It cannot be, or has been broken for too long.
        """
        now = time.monotonic()
        self._broken_since = self._broken_since or now
        if not self.can_repeat or now - self._broken_since > self._resume_within_s:
            raise _unreachable(error) if error else WinnowError("the stream broke before the result") from error
        return PAUSE_S

    def mend(self) -> None:
        """Note that something came."""
        self._broken_since = None


class _Stream:
    """Server-Sent Events line by line, and the request that has them go on.

    Args:
        waits: Before what broke is tried again.
        path: Of the search; None until the service has said it.
        after: Number of the last event that came.
        first: What begins the search.
    """

    def __init__(
        self, waits: _Waits, path: str | None = None, after: int = 0, first: dict[str, Any] | None = None
    ) -> None:
        self.waits = waits
        self.is_whole = False
        self._path, self._last, self._first = path, after, first or {}
        self._fields: dict[str, str] = {}

    @classmethod
    def of(cls, problem: str, fields: dict[str, Any], key: str | None, waits: _Waits) -> Self:
        """Return the stream of a search that is to begin."""
        body = {"problem": problem, **fields, "stream": True}
        first = {"method": "POST", "url": "/solve", "json": body, "headers": _key(key)}
        return cls(waits, first=first)

    @property
    def request(self) -> dict[str, Any]:
        """What begins the stream, or has it go on."""
        if self._path is None:
            return self._first
        headers = {"Last-Event-ID": str(self._last)} if self._last else {}
        return {"method": "GET", "url": self._path, "params": {"stream": "true"}, "headers": headers}

    def begin(self, response: httpx.Response) -> None:
        """Note where the search is found, which outlives its connection if it is found anywhere."""
        self._path = response.headers.get("location", self._path)
        self.waits.can_repeat = self.waits.can_repeat or self._path is not None
        self._fields = {}

    def feed(self, line: str) -> Event | None:
        """Return the event that a line ends.

        Raises:
            WinnowError: The search failed.
        """
        if line:
            field, _, value = line.partition(": ")
            self._fields[field] = value
            return None
        fields, self._fields = self._fields, {}
        if "data" not in fields:
            return None
        name, data = fields.get("event", ""), json.loads(fields["data"])
        if name == "error":
            raise _error(data, None)
        number = int(fields["id"]) if fields.get("id", "").isdecimal() else None
        self._last = number or self._last
        self.is_whole = name == "result"
        self.waits.mend()
        return Event(name=name, data=data, id=number)


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
    """Return which of the responses of a refused request cannot be judged.

    Raises:
        WinnowError: It was not for the responses that it was refused.
    """
    name, _, place = (error.param or "").partition(".")
    if name == "responses" and place.isdecimal():
        return slice(int(place), int(place) + 1)
    if error.code == "context_length_exceeded" and error.param == "responses":
        return slice(0, number)
    raise error


def _paired(pairs: Sequence[Pair]) -> dict[str, Any]:
    return {"pairs": [{"a": a, "b": b} for a, b in pairs]}


def _read(response: httpx.Response, reply: type[R]) -> R:
    try:
        return reply.model_validate_json(response.content)
    except ValueError as error:
        raise WinnowError(f"{response.url} is not a winnow service", response.status_code) from error


def _refused(response: httpx.Response) -> WinnowError:
    try:
        return _error(response.json(), response.status_code)
    except (ValueError, KeyError, TypeError):  # a proxy's reply
        return WinnowError(f"{response.url} answers HTTP {response.status_code}", response.status_code)


def _error(body: dict[str, Any], status: int | None) -> WinnowError:
    error = body["error"]
    return WinnowError(str(error["message"]), status, error.get("param"), error.get("code"))


def _unreachable(error: httpx.HTTPError) -> WinnowError:
    return WinnowError(f"the service cannot be reached: {error or type(error).__name__}")
