"""The servers of one model: which one gets a request, and whether there is any.

Prefix affinity is rendezvous hashing: every server has a rank for every problem, drawn from a hash of both, and the
first that answers gets it. A server that goes away moves its own problems and no others, and gets them back.
Source: Thaler and Ravishankar, "Using name-based mappings to increase hit rates" (1998).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import blake2b

import aiohttp
from pydantic_core import to_json

from models.checkpoints.tokenizer import TextTokenizer
from models.errors import EngineDiedError, EngineUnavailableError
from models.remote.releases import Runner
from models.remote.replica import SAMPLE, Replica
from models.remote.settings import RemoteSettings

KEEP_IDLE_S = 2.0
"""vLLM closes connections that are idle for 5 s, and what is on its way then looks like a failure."""


class Replicas:
    """The servers of one model.

    Attributes:
        all: Those there are.
        num_tokens: Of the model's vocabulary.

    Args:
        settings: Which one gets a request, and how long they are waited for.
    """

    def __init__(self, settings: RemoteSettings) -> None:
        self.all: list[Replica] = []
        self.num_tokens = 0
        self._name = settings.name
        self._routing = settings.routing
        self._patience = settings.patience
        self._is_any_up = asyncio.Event()

    def note(self) -> None:
        """Take note that a server went away or came back."""
        if any(replica.is_up for replica in self.all):
            self._is_any_up.set()
        else:
            self._is_any_up.clear()

    def require_any(self) -> None:
        """See that one answers.

        Raises:
            EngineDiedError: None does.
        """
        if not self._is_any_up.is_set():
            told = "; ".join(f"{replica.url}: {replica.trouble}" for replica in self.all)
            raise EngineDiedError(f"no server of the {self._name} answers: {told}")

    async def returned(self, within_s: float | None = None) -> None:
        """Return when one answers.

        Args:
            within_s: Seconds to wait; None is half a minute.

        Raises:
            EngineUnavailableError: None does.
        """
        try:
            async with asyncio.timeout(self._patience.return_s if within_s is None else within_s):
                while not self._is_any_up.is_set():  # it may be lost again before this task goes on
                    await self._is_any_up.wait()
        except TimeoutError as error:
            try:
                self.require_any()
            except EngineDiedError as died:
                raise EngineUnavailableError(str(died)) from error

    async def choose(self, affinity: str) -> Replica:
        """Return the server that is to have a request, when there is one.

        Args:
            affinity: What requests with a common prefix share; empty for those that have none.

        Raises:
            EngineUnavailableError: None answers within half a minute.
        """
        if not self._is_any_up.is_set():
            await self.returned()
        up = [replica for replica in self.all if replica.is_up]
        now = asyncio.get_running_loop().time()
        sound = [replica for replica in up if now - replica.failed_at > self._patience.shun_s] or up
        if self._routing == "spread" or not affinity:
            return min(sound, key=lambda replica: replica.num_requests)
        return max(sound, key=lambda replica: blake2b(f"{replica.url} {affinity}".encode(), digest_size=8).digest())


@asynccontextmanager
async def open_replicas(settings: RemoteSettings, runner: Runner | None = None) -> AsyncIterator[Replicas]:
    """Know the servers while the context lasts; one of them answers when it begins.

    Args:
        settings: Where they are.
        runner: What they are asked to do; None where nobody knows.

    Raises:
        EngineUnavailableError: None answers within ten minutes.
    """
    replicas = Replicas(settings)
    tokenizer = TextTokenizer(settings.model)
    replicas.num_tokens, sample_ids = len(tokenizer.vocabulary), tokenizer.encode(SAMPLE)
    headers = {"Accept-Encoding": "identity"}
    if settings.api_key:
        headers["Authorization"] = f"Bearer {settings.api_key}"
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=settings.patience.connect_s)
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_IDLE_S)
    once = aiohttp.TCPConnector(force_close=True)

    def session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
        jar = aiohttp.DummyCookieJar()
        return aiohttp.ClientSession(
            headers=headers,
            timeout=timeout,
            connector=connector,
            cookie_jar=jar,
            auto_decompress=False,
            json_serialize_bytes=to_json,
        )

    async with session(connector) as client, session(once) as looker:
        for url in settings.urls:
            base = url.rstrip("/").removesuffix("/v1")
            replicas.all.append(Replica(base, client, looker, sample_ids, settings, replicas.note, runner))
        lookers = [asyncio.create_task(replica.keep_looking()) for replica in replicas.all]
        try:
            await replicas.returned(settings.patience.start_s)
            yield replicas
        finally:
            for task in lookers:
                task.cancel()
            await asyncio.gather(*lookers, return_exceptions=True)
