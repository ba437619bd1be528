"""A checker as a verifier: any Python function of a problem and a response so far, in worker processes.

It is named by an entry point of the group `winnow.checkers`, or as `module:function`; `checkers/worker.py` says what it
is called with and what it returns. Every step is judged by the response up to its end. It runs in a process of its own,
where it can neither block nor end the service: one that takes too long is killed and replaced, one that fails takes the
candidate with it and no other. That is no sandbox: a checker may read and write whatever the service may, and what
processes it starts are its own business.

A checker computes no tokens, so it puts none on the bill.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from multiprocessing import get_context
from typing import Any

from pebble import ProcessExpired, ProcessPool
from prometheus_client import CollectorRegistry

from models.checkpoints.prompt import PromptBuilder
from models.errors import CheckpointError, EngineUnavailableError, ModelError
from models.interfaces import Meter, Problem, Step
from models.prm.checkers import worker
from models.vllm.settings import EngineSettings

TIMEOUT_S = 5.0
NUM_WORKERS = 2
MEMORY_BYTES = 4 << 30
START_TIMEOUT_S = 60.0


class CheckerVerifier:
    """A checker at work.

    Attributes:
        engine: What runs the checks: the verifier itself.
        name, metrics, num_restarts: Of an engine; it has no metrics, and processes that die are started again at once.
        num_running_requests: Responses that are being checked or wait for it.

    Args:
        name: Of an entry point, or `module:function`.
        timeout_s: Time that one response may take.
        num_workers: Responses checked at the same time, each in a process.
        memory_bytes: Address space of each process.
    """

    def __init__(
        self,
        name: str,
        timeout_s: float = TIMEOUT_S,
        num_workers: int = NUM_WORKERS,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self.engine = self
        self.name = "verifier"
        self.metrics = CollectorRegistry()
        self.num_restarts = 0
        self.num_running_requests = 0
        self._name = name
        self._timeout_s = timeout_s
        self._num_workers = num_workers
        self._memory_bytes = memory_bytes
        self._places = asyncio.Semaphore(num_workers)
        self._pool = self._new_pool()

    async def start(self) -> None:
        """Start the processes and import the checker there.

        Raises:
            CheckpointError: The checker cannot be imported.
            EngineUnavailableError: No process starts.
        """
        try:
            problem = await self._run(worker.load, timeout_s=START_TIMEOUT_S)
        except (TimeoutError, ProcessExpired, RuntimeError) as error:
            raise EngineUnavailableError(f"checker {self._name}: no process starts ({error})") from error
        if problem is not None:
            raise CheckpointError(f"checker {self._name}: {problem}")

    async def stop(self) -> None:
        """End the processes and wait until they are gone."""
        await asyncio.to_thread(_end, self._pool)

    async def score(
        self, problem: Problem, prefix: Sequence[Step], steps: Sequence[Step], meter: Meter
    ) -> tuple[float, ...]:
        """Judge `steps`, which follow `prefix` in a response.

        Raises:
            ModelError: The checker failed, took too long or returned something else than a probability.
        """
        response, scores = "".join(step.text for step in prefix), []
        for step in steps:
            response += step.text
            scores.append(await self._check(problem.text, response))
        return tuple(scores)

    async def check(self) -> None:
        """Return when the processes run, started anew if they had died."""
        self._running_pool()

    async def _check(self, problem: str, response: str) -> float:
        self.num_running_requests += 1
        try:
            verdict: float | str = await self._run(worker.check, problem, response, timeout_s=self._timeout_s)
        except TimeoutError as error:
            raise ModelError(f"checker {self._name}: nothing after {self._timeout_s:g} s") from error
        except (ProcessExpired, RuntimeError) as error:
            raise ModelError(f"checker {self._name}: its process died ({error})") from error
        finally:
            self.num_running_requests -= 1
        if isinstance(verdict, str):
            raise ModelError(f"checker {self._name}: {verdict}")
        return verdict

    async def _run(self, function: Callable[..., Any], *arguments: str, timeout_s: float) -> Any:
        """Call a function of the worker's in a process; a call that is cancelled there costs the process."""
        async with self._places:
            pool = self._running_pool()
            future = pool.schedule(function, args=[self._name, *arguments], timeout=timeout_s)
            return await asyncio.wrap_future(future)

    def _running_pool(self) -> ProcessPool:
        """The pool, or a new one: a process that dies without work takes all of its pool with it."""
        if not self._pool.active:
            asyncio.get_running_loop().run_in_executor(None, _end, self._pool)
            self._pool = self._new_pool()
        return self._pool

    def _new_pool(self) -> ProcessPool:
        context = get_context("forkserver")  # not forked from the service: no engine's threads, files and memory
        arguments = (self._name, self._memory_bytes)
        return ProcessPool(self._num_workers, initializer=worker.start_worker, initargs=arguments, context=context)


def open_verifier(
    settings: EngineSettings,
    prompts: PromptBuilder,
    *,
    timeout_s: float = TIMEOUT_S,
    num_workers: int = NUM_WORKERS,
) -> AbstractAsyncContextManager[CheckerVerifier]:
    """Look for the checker now; run it while the returned context lasts.

    Args:
        settings: `model` is the checker's name; nothing else of them matters to a checker.
        prompts: The policy's; a checker reads texts.
        timeout_s: Time that one response may take.
        num_workers: Responses checked at the same time.

    Raises:
        CheckpointError: There is no such checker, or (raised on entering the context) it cannot be imported.
        EngineUnavailableError: No process starts (raised on entering the context).
    """
    name = str(settings.model)
    try:
        worker.find_checker(name)
    except LookupError as error:
        raise CheckpointError(f"checker {name}: {error}") from error
    return _run(CheckerVerifier(name, timeout_s, num_workers))


@asynccontextmanager
async def _run(verifier: CheckerVerifier) -> AsyncIterator[CheckerVerifier]:
    try:
        await verifier.start()
        yield verifier
    finally:
        await verifier.stop()


def _end(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]  # pebble leaves it without annotations
    pool.join()
