"""A running vLLM engine: its requests, in our words what goes wrong, and what keeps it running.

An engine that dies or hangs is started again, and again with longer and longer waits while that fails; one that is busy
is left alone (`watch.py`). A request that was in flight then learns that its engine has died; `recovered` says when it
may be repeated. What took the engine down twice is refused (`suspects.py`).

Knows requests of token ids; knows nothing of problems, steps or scores.
"""

import asyncio
import itertools
import logging
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

import torch
from prometheus_client import CollectorRegistry
from tenacity import AsyncRetrying, retry_if_exception_type, wait_exponential
from vllm import PoolingParams, SamplingParams
from vllm.inputs import tokens_input
from vllm.lora.request import LoRARequest
from vllm.v1.engine.exceptions import EngineDeadError

from models.engine_client import Cache
from models.errors import CheckpointError, DeadlyPromptError, EngineDiedError, EngineUnavailableError
from models.generation import Classified, Generated, Generation, Scored
from models.vllm import requests
from models.vllm.devices import device_type, multiplies_16_bits
from models.vllm.guarded import DeadlyRequestError, GuardedLLM
from models.vllm.launch import launch
from models.vllm.releases import REQUEST_ERRORS, cache_tokens, usable_context
from models.vllm.settings import ADAPTER_ID, EngineSettings, Runner
from models.vllm.suspects import Suspects
from models.vllm.watch import LOOK_EVERY_S, Watch, activity

logger = logging.getLogger(__name__)

STOP_TIMEOUT_S = 5.0
RESTART_WITHIN_S = 60.0
"""So long a request waits for an engine that is started again."""
MAX_WAIT_S = 60.0
"""Between attempts to start an engine again."""
FORGET_WITHIN_S = 1.0
"""So long requests that were stopped may be on their way out."""
READ_WITHIN_S = 10.0
"""So long a prompt may keep others waiting that is not read in pieces: multi-head latent attention on a CPU."""
TIMED_TOKENS = 1024

Launch = Callable[[], tuple[GuardedLLM, CollectorRegistry]]

Answer = TypeVar("Answer")


class Engine:
    """A running engine.

    Attributes:
        llm: What vLLM's own request handlers need; another one after a restart.
        name: What logs and metrics call it.
        metrics: The engine's Prometheus metrics, `vllm:*`, apart from every other engine's.
        max_model_len: Longest prompt and response, in tokens.
        max_prompt_tokens: Longest prompt; None where the context alone bounds it.
        num_restarts: How often it was started again.
        adapter: Folder of the LoRA adapter that is applied to every request.

    Args:
        llm: Whose process runs.
        name: Of the engine.
        metrics: Of the engine.
        relaunch: Starts another process for it; runs in a thread.
        adapter: Folder of the LoRA adapter that is applied to every request.
        max_prompt_tokens: Longest prompt; None: as long as the context, or as the engine reads in good time.
    """

    def __init__(
        self,
        llm: GuardedLLM,
        name: str,
        metrics: CollectorRegistry,
        relaunch: Launch,
        adapter: Path | None = None,
        max_prompt_tokens: int | None = None,
    ) -> None:
        self.llm = llm
        self.name = name
        self.metrics = metrics
        config = llm.model_config
        self.max_model_len: int = usable_context(config.max_model_len, config.runner_type)
        self.max_prompt_tokens = max_prompt_tokens
        self.num_restarts = 0
        self._relaunch = relaunch
        self.adapter = adapter
        self._adapter = None if adapter is None else LoRARequest(name, ADAPTER_ID, str(adapter))
        self._request_ids = map(str, itertools.count())
        self._is_up = asyncio.Event()
        self._is_up.set()
        self._has_died = asyncio.Event()
        self._watch = self._new_watch()

    @property
    def num_running_requests(self) -> int:
        """Requests that have not ended."""
        return int(self.llm.output_processor.get_num_unfinished_requests())  # type: ignore[no-untyped-call]

    @property
    def cache(self) -> Cache:
        """What the engine holds."""
        config = self.llm.vllm_config
        return Cache(cache_tokens(config.cache_config), config.scheduler_config.max_num_seqs)

    @property
    def sizes(self) -> dict[str, int]:
        """How much it does at a time."""
        config = self.llm.vllm_config
        return {
            "max_num_seqs": config.scheduler_config.max_num_seqs,
            "max_num_batched_tokens": config.scheduler_config.max_num_batched_tokens,
            "block_size": config.cache_config.block_size,
        }

    async def forget(self) -> None:
        """Empty the prefix cache, so that nothing is found in it that was computed before.

        Raises:
            EngineUnavailableError: A request is still at work.
        """
        until = time.monotonic() + FORGET_WITHIN_S
        with self._translated(self.llm):
            while not await self.llm.reset_prefix_cache():
                if time.monotonic() > until:
                    raise EngineUnavailableError(f"the {self.name} engine has requests, and keeps its prefix cache")
                await asyncio.sleep(0.02)

    async def check(self) -> None:
        """Return if the engine answers or is busy, as far as is known: nobody waits for a step to end.

        Raises:
            EngineDiedError: It is dead, or hangs.
        """
        if not self._is_up.is_set():
            raise EngineDiedError(f"the {self.name} engine is being started again")
        with self._translated(self.llm):
            if self.llm.errored or any(process.exitcode is not None for process in _processes(self.llm)):
                raise EngineDeadError
        if self._watch.is_still:
            raise EngineDiedError(f"the {self.name} engine does not answer")

    async def recovered(self) -> None:
        """Return when the engine runs again.

        Raises:
            EngineUnavailableError: It does not within a minute.
        """
        try:
            async with asyncio.timeout(RESTART_WITHIN_S):
                await self._is_up.wait()
        except TimeoutError as error:
            raise EngineUnavailableError(f"the {self.name} engine does not come back") from error

    def generate(
        self,
        token_ids: Sequence[int],
        asked: Generation,
        count: Callable[[int], None] = lambda _: None,
        *,
        affinity: str = "",
    ) -> AsyncGenerator[Generated, None]:
        params = requests.sampling_params(asked, in_pieces=True)
        read = partial(requests.generated, num_logprobs=asked.num_logprobs)
        return self._run(token_ids, params, read, lambda output: count(len(output.token_ids)), asked.num_continued)

    async def complete(self, token_ids: Sequence[int], asked: Generation, *, affinity: str = "") -> Generated:
        params = requests.sampling_params(asked, in_pieces=False)
        return await self._run_to_end(token_ids, params, partial(requests.generated, num_logprobs=asked.num_logprobs))

    async def score(
        self, token_ids: Sequence[int], positions: Sequence[int], *, read_cache: bool = True, affinity: str = ""
    ) -> Scored:
        params = requests.scoring_params(positions, read_cache=read_cache)
        return await self._run_to_end(token_ids, params, requests.scored)

    async def classify(self, token_ids: Sequence[int], *, affinity: str = "") -> Classified:
        return await self._run_to_end(token_ids, requests.classifying_params(), requests.classified)

    async def make_ready(self) -> None:
        """Ask what the engine can do, which is kept: a first request to a dead one would wait for it. Load the adapter.

        An engine that generates and cannot read a prompt in pieces is timed, so that no prompt keeps others waiting.

        Raises:
            CheckpointError: vLLM cannot apply the adapter.
        """
        await self.llm.get_supported_tasks()
        if self._adapter is not None:
            try:
                await self.llm.add_lora(self._adapter)
            except EngineDeadError:
                raise
            except Exception as error:  # vLLM raises in the engine's process whatever comes up
                raise CheckpointError(f"{self._adapter.lora_path}: {' '.join(str(error).split())}") from error
        config = self.llm.vllm_config
        reads_in_pieces = config.scheduler_config.enable_chunked_prefill
        if config.model_config.runner_type == "generate" and not reads_in_pieces and self.max_prompt_tokens is None:
            self.max_prompt_tokens = await self._readable_tokens()
            message = "the %s engine reads each prompt at once: prompts may have %d tokens, which take about %d s"
            logger.warning(message, self.name, self.max_prompt_tokens, READ_WITHIN_S)
        dtype = config.model_config.dtype
        has_16_bits = isinstance(dtype, torch.dtype) and dtype.itemsize == 2
        if has_16_bits and device_type() == "cpu" and not multiplies_16_bits():
            message = "the %s engine computes in 16 bits, which is slow on this processor: dtype float32 is faster"
            logger.warning(message, self.name)

    async def _readable_tokens(self) -> int:
        """Time a prompt, and return how many tokens are read in `READ_WITHIN_S`: time grows with their square."""
        num_tokens, seconds = min(TIMED_TOKENS, self.max_model_len - 1), 0.0
        for _ in range(2):  # the first one also sets things up
            start = time.perf_counter()
            await self.complete([0] * num_tokens, Generation(max_tokens=1, temperature=0.0))
            seconds = time.perf_counter() - start
        return int(min(num_tokens * math.sqrt(READ_WITHIN_S / seconds), self.max_model_len - 1))

    async def keep_running(self) -> None:
        """Start the engine again whenever it is dead or hangs; until cancelled."""
        while True:
            trouble = await self._trouble()
            logger.error("the %s engine %s: it is started again", self.name, trouble)
            await self._restart()
            logger.info("the %s engine runs again", self.name)

    async def _trouble(self) -> str:
        """Watch the process until it must be started again, and return why."""
        self._watch = self._new_watch()
        question = asyncio.create_task(self._answered())
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await self._has_died.wait()
                with suppress(EngineUnavailableError):
                    await self.check()  # notes a death
                if self._has_died.is_set():
                    return "is dead"
                self._watch.look(has_answered=question.done())
                if self._watch.trouble is not None:
                    return self._watch.trouble
                if question.done():
                    question = asyncio.create_task(self._answered())
        finally:
            question.cancel()
            await asyncio.gather(question, return_exceptions=True)

    async def _answered(self) -> None:
        """Return when the engine is between two steps, or dead."""
        with suppress(EngineUnavailableError), self._translated(self.llm):
            await self.llm.is_sleeping()  # any call that crosses over to the process

    def _new_watch(self) -> Watch:
        pids = [process.pid for process in _processes(self.llm) if process.pid is not None]
        return Watch(partial(activity, pids))

    def shut_down(self) -> None:
        """Stop the engine's process; on a CPU it has nothing to keep, and would look for garbage for seconds."""
        if self.llm.vllm_config.device_config.device_type == "cpu":
            for process in _processes(self.llm):
                process.kill()
        self.llm.shutdown(timeout=STOP_TIMEOUT_S)

    async def _restart(self) -> None:
        """Replace the process that died or hangs; those that wait for it learn of it."""
        self._is_up.clear()
        await asyncio.to_thread(_kill, self.llm)
        self.llm.blame()
        self.llm.output_processor.propagate_error(EngineDeadError())
        self.llm.shutdown(timeout=0)
        async for attempt in AsyncRetrying(
            wait=wait_exponential(max=MAX_WAIT_S),
            retry=retry_if_exception_type((EngineUnavailableError, CheckpointError)),
        ):
            with attempt:
                self.llm, self.metrics = await _uncancelled(self._relaunch)
                await self.make_ready()
        self.num_restarts += 1
        self._has_died.clear()
        self._is_up.set()

    async def _run_to_end(
        self, token_ids: Sequence[int], params: SamplingParams | PoolingParams, read: Callable[[Any], Answer]
    ) -> Answer:
        try:
            return await self._last_output(token_ids, params, read)
        except EngineDiedError:
            await self.recovered()
            return await self._last_output(token_ids, params, read)

    async def _last_output(
        self, token_ids: Sequence[int], params: SamplingParams | PoolingParams, read: Callable[[Any], Answer]
    ) -> Answer:
        async with aclosing(self._run(token_ids, params, read)) as outputs:
            return [output async for output in outputs][-1]

    async def _run(
        self,
        token_ids: Sequence[int],
        params: SamplingParams | PoolingParams,
        read: Callable[[Any], Answer],
        on_output: Callable[[Answer], None] = lambda _: None,
        num_continued: int = 0,
    ) -> AsyncGenerator[Answer, None]:
        """Run a request; vLLM's own generators do not say what came before an abort, and leak one added too late."""
        llm, request_id, queue, is_finished = self.llm, next(self._request_ids), None, False
        with self._translated(llm, token_ids[: len(token_ids) - num_continued]):
            try:
                prompt = tokens_input(list(token_ids))
                queue = await llm.add_request(
                    request_id, prompt, params, lora_request=self._adapter, num_continued=num_continued
                )
                while not is_finished:
                    output = queue.get_nowait() or await queue.get()
                    is_finished = output.finished
                    answer = read(output)
                    on_output(answer)
                    yield answer
            finally:
                await llm.abort(request_id)
                with suppress(EngineDeadError):
                    if queue is not None and (rest := queue.get_nowait()) and not is_finished:
                        on_output(read(rest))

    @contextmanager
    def _translated(self, llm: GuardedLLM, prompt: Sequence[int] = ()) -> Iterator[None]:
        try:
            yield
        except EngineDeadError as error:
            if llm is self.llm:
                self._is_up.clear()
                self._has_died.set()
            with self._translated(llm):
                llm.require_harmless(prompt)
            raise EngineDiedError(f"the {self.name} engine is dead") from error
        except DeadlyRequestError as error:
            raise DeadlyPromptError(str(error)) from error
        except REQUEST_ERRORS as error:
            raise EngineUnavailableError(f"the {self.name} engine refused the request: {error}") from error


@asynccontextmanager
async def start_engine(
    settings: EngineSettings, runner: Runner, overrides: Mapping[str, Any] | None = None
) -> AsyncIterator[Engine]:
    """Run an engine while the context lasts, and start it again when it dies.

    Args:
        settings: How.
        runner: Whether it generates or pools.
        overrides: Fields that come before those of the checkpoint's config.json.

    Raises:
        CheckpointError: vLLM cannot serve the model with these settings.
        EngineUnavailableError: The engine did not start.
    """
    start = partial(launch, settings, runner, overrides, suspects=Suspects())
    llm, metrics = start(fork=True)
    relaunch = partial(start, fork=False)
    engine = Engine(llm, settings.name, metrics, relaunch, settings.adapter, settings.max_prompt_tokens)
    keeper = None
    try:
        await engine.make_ready()
        keeper = asyncio.create_task(engine.keep_running())
        yield engine
    finally:
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        engine.shut_down()


async def _uncancelled(relaunch: Launch) -> tuple[GuardedLLM, CollectorRegistry]:
    """Run `relaunch` in a thread, to its end even when cancelled: an engine that nobody holds is never stopped."""
    launching = asyncio.ensure_future(asyncio.to_thread(relaunch))
    try:
        return await asyncio.shield(launching)
    except asyncio.CancelledError:
        (await launching)[0].shutdown(timeout=0)
        raise


def _kill(llm: GuardedLLM) -> None:
    """Kill the engine's process, which may be stopped or deaf."""
    for process in _processes(llm):
        process.kill()
        process.join(STOP_TIMEOUT_S)


def _processes(llm: GuardedLLM) -> list[BaseProcess]:
    return list(llm.engine_core.resources.engine_manager.processes)
