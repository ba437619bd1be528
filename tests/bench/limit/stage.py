"""What parts run on: one pair of engines or one service at a time, since each takes both cores."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from models.interfaces import TokenCount
from search.answers.pool import AnswerPool
from tests.bench.limit.pair import Pair, open_pair
from tests.bench.running import Service, running
from tests.conftest import DEMO

NUM_TOKENS = 400
"""Of each response of the seeded policy."""
NEVER = 10**9
"""Tokens after which the seeded policy ends a step or a response by itself."""

T = TypeVar("T")


@dataclass(slots=True)
class Stage:
    """Opens what a part needs, and closes what the parts before it needed and it does not.

    Attributes:
        policy, verifier: Checkpoints of the pair that writes as it likes.
        seeded: Shapes of the policy and the verifier that write responses of `NUM_TOKENS` tokens.
        shares: Of a GPU's memory, of a policy and of a verifier.
    """

    policy: Path = DEMO / "policy"
    verifier: Path = DEMO / "prm"
    seeded: tuple[str, str] = ("small", "medium")
    shares: tuple[float, float] = (0.3, 0.5)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _held: dict[str, object] = field(default_factory=dict)

    async def pair(self) -> Pair:
        """Return the engines of the pair that writes as it likes."""
        return await self._hold("pair", lambda: open_pair(self.policy, self.verifier, shares=self.shares))

    async def seeded_pair(self) -> Pair:
        """Return those of the seeded pair."""
        return await self._hold("seeded pair", self._open_seeded)

    async def service(self) -> Service:
        """Return `winnow serve` on the demo pair, warm."""
        return await self._hold("service", _warm_service)

    async def reader(self) -> AnswerPool:
        """Return a reader of answers; it stays until what it stands beside is closed."""
        return await self._stack.enter_async_context(AnswerPool())

    async def close(self) -> None:
        """Close what is open."""
        self._held.clear()
        await self._stack.aclose()

    async def _hold(self, name: str, opening: Callable[[], AbstractAsyncContextManager[T]]) -> T:
        if name not in self._held:
            await self.close()
            self._held[name] = await self._stack.enter_async_context(opening())
        return self._held[name]  # type: ignore[return-value]  # by name

    @asynccontextmanager
    async def _open_seeded(self) -> AsyncIterator[Pair]:
        with TemporaryDirectory() as folder:
            policy, verifier = self.seeded
            shapes = [f"--policy={policy}", f"--verifier={verifier}", f"--tokens={NEVER}", f"--step-tokens={NEVER}"]
            module = [sys.executable, "-m", "tests.bench.gpu.shapes", folder]  # torch's threads would outlive a fork
            process = await asyncio.create_subprocess_exec(*module, *shapes)
            if await process.wait():
                raise RuntimeError(f"no seeded pair was made: {process.returncode}")
            checkpoints = Path(folder, "policy"), Path(folder, "verifier")
            async with open_pair(*checkpoints, shares=self.shares, max_tokens=NUM_TOKENS, steps=TokenCount(40)) as pair:
                yield pair


@asynccontextmanager
async def _warm_service() -> AsyncIterator[Service]:
    async with running() as service:
        await service.warm_up()
        yield service
