"""A deployment's handle whose replicas live in this process: what goes through is pickled, as Ray's gRPC does it."""

import asyncio
import pickle
from collections import Counter
from collections.abc import Awaitable, Generator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from zlib import crc32

from models.errors import EngineDiedError
from models.ray.replica import EngineReplica


class GoneError(Exception):
    """The replica is gone; stands for what Ray raises then."""


@contextmanager
def translated(name: str, dead: set[str]) -> Iterator[None]:
    """Raise what `models.ray.failures.translated` raises."""
    try:
        yield
    except (GoneError, TimeoutError) as error:
        dead.add(str(error))
        raise EngineDiedError(f"a replica of the {name} is gone") from error


@dataclass
class Deployment:
    """Replicas, of which some are gone.

    Attributes:
        replicas: Those there were.
        gone: Places of those that are gone.
        num_calls: By place.
        sessions: That requests belonged to, in turn.
    """

    replicas: Sequence[EngineReplica]
    gone: set[int] = field(default_factory=set)
    num_calls: Counter[int] = field(default_factory=Counter)
    sessions: list[str] = field(default_factory=list)

    def place(self, session_id: str) -> int:
        """Of the replica that gets a request."""
        there = [place for place in range(len(self.replicas)) if place not in self.gone]
        if not there:
            raise GoneError
        return there[crc32(session_id.encode()) % len(there)]


@dataclass(frozen=True)
class Handle:
    """What a gateway is given."""

    deployment: Deployment
    method_name: str = ""
    session_id: str = ""
    stream: bool = False

    def options(self, *, method_name: str, session_id: str, stream: bool, _by_reference: bool) -> "Handle":
        assert not _by_reference
        return replace(self, method_name=method_name, session_id=session_id, stream=stream)

    def remote(self, *arguments: Any) -> "Response | Responses":
        place = self.deployment.place(self.session_id)
        self.deployment.num_calls[place] += 1
        self.deployment.sessions.append(self.session_id)
        method = getattr(self.deployment.replicas[place], self.method_name)
        if self.stream:
            return Responses(self.deployment, place, method(*_sent(arguments)))
        return Response(asyncio.ensure_future(method(*_sent(arguments))))


class Response:
    """What comes of a call."""

    def __init__(self, task: asyncio.Future[Any]) -> None:
        self._task = task

    def __await__(self) -> Generator[Any, None, Any]:
        return self._await().__await__()

    async def _await(self) -> Any:
        try:
            return _sent(await asyncio.shield(self._task))
        except Exception as error:  # noqa: BLE001 - whatever it is, it goes through
            raise _sent(error) from None

    def cancel(self) -> None:
        self._task.cancel()


class Responses:
    """What comes of a call of a generator, which runs on by itself."""

    def __init__(self, deployment: Deployment, place: int, outputs: Any) -> None:
        self._deployment, self._place = deployment, place
        self._queue: asyncio.Queue[Any] = asyncio.Queue()
        self._task = asyncio.create_task(self._run(outputs))

    async def _run(self, outputs: Any) -> None:
        try:
            async with aclosing(outputs):
                async for output in outputs:
                    self._queue.put_nowait((output, None))
            self._queue.put_nowait((None, StopAsyncIteration()))
        except Exception as error:  # noqa: BLE001 - whatever it is, it goes through
            self._queue.put_nowait((None, error))

    async def __anext__(self) -> Any:
        output, error = await self._queue.get()
        if self._place in self._deployment.gone:
            self.cancel()
            raise GoneError(str(self._place))
        if error is not None:
            raise error if isinstance(error, StopAsyncIteration) else _sent(error)
        return _sent(output)

    def cancel(self) -> None:
        self._task.cancel()


class Deaf:
    """A handle behind which nothing ever answers."""

    def __init__(self) -> None:
        self.num_cancelled = 0

    def options(self, **_: Any) -> "Deaf":
        return self

    def remote(self, *_: Any) -> "Deaf":
        return self

    def __await__(self) -> Generator[Any, None, Any]:
        return asyncio.Event().wait().__await__()

    def __anext__(self) -> Awaitable[Any]:
        return asyncio.Event().wait()

    def cancel(self) -> None:
        self.num_cancelled += 1


def _sent(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))
