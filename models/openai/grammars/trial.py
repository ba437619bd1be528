"""Tries grammars before the engine sees them, one at a time, in a process that can be killed.

The engine compiles in threads that nothing stops, and outlive the client. What is tried here first costs the engine
what it cost here, within bounds. A client has one trial at a time, so that another's waits for one at most; a trial
whose client leaves ends with its process.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from multiprocessing import get_context

from pebble import ProcessExpired, ProcessPool

from models.checkpoints.tokenizer import TextTokenizer
from models.errors import EngineUnavailableError
from models.openai.grammars import worker
from models.openai.grammars.worker import Constraint

TIMEOUT_S = 1.0
"""CPU time of a trial."""
READ_WITHIN_S = 0.2
"""CPU time that reading may take: vLLM does it once more, in the event loop."""
STARVATION = 20
"""Time on the clock after which a trial is given up, as a multiple of that: other processes want the CPU, too."""
LEAST_SHARE = 1 / 8
"""Of these limits, where many responses are held to a grammar: the engine compiles it for each. Everyday schemas take a
thirtieth, with vocabularies of 260,000 tokens."""
MEMORY_BYTES = 1 << 29
MAX_KEPT = 1024
"""Verdicts that are remembered."""


class Trial:
    """Tries grammars; the process starts with the first.

    Args:
        tokenizer: Of the policy.
        timeout_s: CPU time of a trial.
        memory_bytes: Address space that a grammar may take.
    """

    def __init__(
        self, tokenizer: TextTokenizer, timeout_s: float = TIMEOUT_S, memory_bytes: int = MEMORY_BYTES
    ) -> None:
        self._tokenizer = tokenizer
        self._timeout_s = timeout_s
        self._memory_bytes = memory_bytes
        self._pool: ProcessPool | None = None
        self._verdicts: OrderedDict[bytes, str | None] = OrderedDict()
        self._waiting: Counter[str] = Counter()
        self._turns: dict[str, asyncio.Lock] = {}
        self._place = asyncio.Lock()

    async def trouble_with(self, constraint: Constraint, client: str, num_responses: int = 1) -> str | None:
        """Return why a grammar cannot be served, or None.

        Args:
            constraint: The grammar.
            client: Who asks.
            num_responses: Requests of the engine that will be held to it.

        Raises:
            EngineUnavailableError: The process does not start, or others leave it no time.
        """
        share = max(1 / num_responses, LEAST_SHARE)
        key = sha256(repr((constraint, share)).encode()).digest()
        async with self._turn(client):
            if key not in self._verdicts:
                async with self._place:
                    if key not in self._verdicts:  # another client may have asked the same meanwhile
                        self._verdicts[key] = await self._try(constraint, share)
                if len(self._verdicts) > MAX_KEPT:
                    self._verdicts.popitem(last=False)
            self._verdicts.move_to_end(key)
            return self._verdicts[key]

    async def stop(self) -> None:
        """End the process and wait until it is gone."""
        if self._pool is not None:
            await asyncio.to_thread(_end, self._pool)
            self._pool = None

    @asynccontextmanager
    async def _turn(self, client: str) -> AsyncIterator[None]:
        """Wait until no other trial of a client runs."""
        self._waiting[client] += 1
        try:
            async with self._turns.setdefault(client, asyncio.Lock()):
                yield
        finally:
            self._waiting[client] -= 1
            if not self._waiting[client]:
                del self._waiting[client], self._turns[client]

    async def _try(self, constraint: Constraint, share: float) -> str | None:
        pool, timeout_s = self._running_pool(), self._timeout_s * share
        arguments = [timeout_s, READ_WITHIN_S * share, constraint]
        future = pool.schedule(worker.try_grammar, args=arguments, timeout=self._timeout_s * STARVATION)
        try:
            verdict: str | None = await asyncio.wrap_future(future)
        except (ProcessExpired, MemoryError):
            return worker.TOO_DEAR
        except (TimeoutError, RuntimeError) as error:
            raise EngineUnavailableError(f"no process that tries grammars in time: {error!r}") from error
        return verdict

    def _running_pool(self) -> ProcessPool:
        """The pool, or a new one: a process that dies without work takes all of its pool with it."""
        if self._pool is None or not self._pool.active:
            if self._pool is not None:
                asyncio.get_running_loop().run_in_executor(None, _end, self._pool)
            arguments = (self._tokenizer.serialized, self._tokenizer.end_id, self._memory_bytes)
            context = get_context("forkserver")  # not forked from the service: no engine's threads, files and memory
            self._pool = ProcessPool(1, initializer=worker.start_worker, initargs=arguments, context=context)
        return self._pool


def _end(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]  # pebble leaves it without annotations
    pool.join()
