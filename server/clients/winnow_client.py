r"""A typed client of winnow's HTTP service, in one file: copy it into your project. It needs httpx and pydantic.

    from winnow_client import Winnow

    with Winnow("http://127.0.0.1:8000") as winnow:
        print(winnow.solve("Compute 8 + 6 * 4 - 12.", n=16).answer)
        print(winnow.score("Compute 1 + 1.", ["1 + 1 = 2\n\nThe answer is \\boxed{2}."]).responses[0].score)

`Winnow` is for threads, `AsyncWinnow` for asyncio; their methods are the same. A busy service is asked again after the
seconds of its `Retry-After`. Fields that a newer service adds to its replies are kept, too.
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict

BUSY = (429, 503)
MAX_RESPONSES = 256
"""Of one request."""
PATIENCE_S = 600.0
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
    """An event of a stream; `result` is the last, as an error is raised."""

    name: str
    data: dict[str, Any]
    id: int | None = None

    @property
    def told(self) -> Told:
        """The data, in the type of the event's name."""
        return EVENTS.get(self.name, Reply).model_validate(self.data)


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
    """

    def __init__(
        self, url: str, api_key: str | None = None, *, timeout_s: float | None = None, patience_s: float = PATIENCE_S
    ) -> None:
        self._client = httpx.Client(**_options(url, api_key, timeout_s))
        self._patience_s = patience_s

    def solve(self, problem: str, **fields: Any) -> Solved:
        """Search for the answer of a problem; `fields` are those of `POST /solve`.

        Raises:
            WinnowError: It was refused, or the service cannot be reached.
        """
        return self._post("/solve", {"problem": problem, **fields}, Solved)

    def stream(self, problem: str, **fields: Any) -> Iterator[Event]:
        """Search, and yield the events of the search; the data of the last one is the reply of `POST /solve`.

        Raises:
            WinnowError: It was refused, failed, or the stream broke.
        """
        body, waits = {"problem": problem, **fields, "stream": True}, _Waits(self._patience_s)
        while True:
            try:
                with self._client.stream("POST", "/solve", json=body) as response:
                    if response.is_success:
                        yield from _events(response.iter_lines())
                        return
                    response.read()
            except httpx.HTTPError as error:
                raise _unreachable(error) from error
            time.sleep(waits.next(response))

    def score(self, problem: str, responses: Sequence[Response], **fields: Any) -> Scores:
        """Judge the steps of responses; `fields` are those of `POST /v1/steps/score`.

        Raises:
            WinnowError: It was refused, or the service cannot be reached.
        """
        return self._post("/v1/steps/score", _given(problem, responses, fields), Scores)

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
        return self._post("/v1/answers/choose", _given(problem, responses, fields), Choice)

    def equivalent(self, pairs: Sequence[Pair]) -> list[Equivalence]:
        """Compare answers in pairs.

        Raises:
            WinnowError: It was refused, or the service cannot be reached.
        """
        return self._post("/v1/answers/equivalent", _paired(pairs), Equivalences).results

    def _post(self, path: str, body: dict[str, Any], reply: type[R]) -> R:
        waits = _Waits(self._patience_s)
        while True:
            try:
                response = self._client.post(path, json=body)
            except httpx.HTTPError as error:
                raise _unreachable(error) from error
            if response.is_success:
                return _read(response, reply)
            time.sleep(waits.next(response))

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
    """

    def __init__(
        self, url: str, api_key: str | None = None, *, timeout_s: float | None = None, patience_s: float = PATIENCE_S
    ) -> None:
        self._client = httpx.AsyncClient(**_options(url, api_key, timeout_s))
        self._patience_s = patience_s

    async def solve(self, problem: str, **fields: Any) -> Solved:
        """Search for the answer of a problem, as `Winnow.solve`."""
        return await self._post("/solve", {"problem": problem, **fields}, Solved)

    async def stream(self, problem: str, **fields: Any) -> AsyncIterator[Event]:
        """Search, and yield the events of the search, as `Winnow.stream`."""
        body, waits = {"problem": problem, **fields, "stream": True}, _Waits(self._patience_s)
        while True:
            try:
                async with self._client.stream("POST", "/solve", json=body) as response:
                    if response.is_success:
                        events = _Events()
                        async for line in response.aiter_lines():
                            if event := events.feed(line):
                                yield event
                        events.end()
                        return
                    await response.aread()
            except httpx.HTTPError as error:
                raise _unreachable(error) from error
            await asyncio.sleep(waits.next(response))

    async def score(self, problem: str, responses: Sequence[Response], **fields: Any) -> Scores:
        """Judge the steps of responses, as `Winnow.score`."""
        return await self._post("/v1/steps/score", _given(problem, responses, fields), Scores)

    async def choose(self, problem: str, responses: Sequence[Response], **fields: Any) -> Choice:
        """Choose an answer among responses, as `Winnow.choose`."""
        return await self._post("/v1/answers/choose", _given(problem, responses, fields), Choice)

    async def equivalent(self, pairs: Sequence[Pair]) -> list[Equivalence]:
        """Compare answers in pairs, as `Winnow.equivalent`."""
        return (await self._post("/v1/answers/equivalent", _paired(pairs), Equivalences)).results

    async def _post(self, path: str, body: dict[str, Any], reply: type[R]) -> R:
        waits = _Waits(self._patience_s)
        while True:
            try:
                response = await self._client.post(path, json=body)
            except httpx.HTTPError as error:
                raise _unreachable(error) from error
            if response.is_success:
                return _read(response, reply)
            await asyncio.sleep(waits.next(response))

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
    """How long to wait for a busy service."""

    def __init__(self, patience_s: float) -> None:
        self._left_s = patience_s

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


class _Events:
    """Reads Server-Sent Events line by line."""

    def __init__(self) -> None:
        self._name = ""
        self._id: int | None = None
        self._is_whole = False

    def feed(self, line: str) -> Event | None:
        """Return the event that a line ends.

        Raises:
            WinnowError: The search failed.
        """
        field, _, value = line.partition(": ")
        if field == "event":
            self._name = value
        if field == "id" and value.isdecimal():
            self._id = int(value)
        if field != "data":
            return None
        data = json.loads(value)
        if self._name == "error":
            raise _error(data, None)
        self._is_whole = self._name == "result"
        return Event(name=self._name, data=data, id=self._id)

    def end(self) -> None:
        """See that the last event was the result.

        Raises:
            WinnowError: It was not.
        """
        if not self._is_whole:
            raise WinnowError("the stream broke before the result")


def _events(lines: Iterable[str]) -> Iterator[Event]:
    events = _Events()
    for line in lines:
        if event := events.feed(line):
            yield event
    events.end()


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
