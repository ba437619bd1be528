"""A verifier that runs in plain PyTorch, in a thread of this process: for small models, and those that must adapt.

It serves the project's own reward model and the seed's `TestTimeCompute`, both on the policy's own token ids. One
worker thread does all the work, off the event loop; requests that wait for it are judged together. It keeps no cache:
every judgement reads the whole response, and every token of it is counted as computed.

`adapted` returns a verifier of its own for one request; the service's model is never changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import torch
from prometheus_client import CollectorRegistry

from models.checkpoints.checkpoint import CONFIG_FILE, read_config
from models.checkpoints.head import check_headed_model, read_size, scorer_head
from models.checkpoints.pretrained import TOKENIZER_FILE
from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import CheckpointError, ContextOverflowError, EngineUnavailableError
from models.interfaces import Meter, Problem, Step
from models.prm import reward_model, test_time_compute
from models.prm.adaptation import AdaptationPlan, Judge, adapt
from models.prm.layout import Layout
from models.prm.test_time_compute import TestTimeCompute
from models.prm.ttt import Adaptation

if TYPE_CHECKING:
    from models.vllm.settings import EngineSettings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """One response to be judged.

    Attributes:
        token_ids: Prompt and response.
        ends: Where the steps in question end.
        scores: Gets their scores.
    """

    token_ids: tuple[int, ...]
    ends: tuple[int, ...]
    scores: asyncio.Future[tuple[float, ...]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class TorchVerifier:
    """The process reward model.

    Args:
        model: Runs on the device that it is on.
        prompts: The policy's.
        max_model_len: Longest prompt and response, in tokens; None for no limit.
        worker: Its only thread runs the model.
        max_batch_tokens: Judged, or learnt from, at once; padding included.
    """

    def __init__(
        self,
        model: Judge,
        prompts: PromptBuilder,
        max_model_len: int | None,
        worker: ThreadPoolExecutor,
        max_batch_tokens: int = 16_384,
    ) -> None:
        self.name = "verifier"
        self.metrics = CollectorRegistry()
        self.num_restarts = 0
        self.model = model.eval().requires_grad_(requires_grad=False)
        self.max_model_len = max_model_len
        self._prompts = prompts
        self._worker = worker
        self._max_batch_tokens = max_batch_tokens
        self._waiting: list[Request] = []
        self._work: asyncio.Task[None] | None = None

    async def score(
        self, problem: Problem, prefix: Sequence[Step], steps: Sequence[Step], meter: Meter
    ) -> tuple[float, ...]:
        """Judge `steps`, which follow `prefix` in a response. The tokens of a call that is cancelled are not counted.

        Raises:
            ContextOverflowError: The response is longer than the verifier's context.
            EngineUnavailableError: The model failed, or the verifier is closed.
        """
        layout = Layout.of(self._prompts.build(problem), (step.token_ids for step in (*prefix, *steps)))
        num_tokens = len(layout.token_ids)
        if self.max_model_len is not None and num_tokens > self.max_model_len:
            raise ContextOverflowError(num_tokens, self.max_model_len)
        request = Request(layout.token_ids, layout.ends[len(prefix) :])
        self._waiting.append(request)
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._judge_waiting())
        scores = await request.scores
        meter.verifier_tokens += num_tokens
        return scores

    @property
    def engine(self) -> TorchVerifier:
        """What runs the verifier: itself."""
        return self

    async def check(self) -> None:
        """Return at once: a worker that is busy with a long response is not dead.

        Raises:
            EngineUnavailableError: The verifier is closed.
        """
        try:
            self._worker.submit(int)  # anything
        except RuntimeError as error:
            raise EngineUnavailableError("the verifier is closed") from error

    async def adapted(
        self, problem: Problem, responses: Sequence[Sequence[Step]], steps: int, learning_rate: float, meter: Meter
    ) -> tuple[TorchVerifier, Adaptation]:
        """Make the verifier of one request: its fast weights have learnt from the candidates, without labels.

        Args:
            problem: What the responses answer.
            responses: The request's own candidates. Those that are empty or longer than the context are left out, and
                the last ones where all are more than a batch.
            steps: Gradient steps, 1 to 5.
            learning_rate: Of each, .001 to .1.
            meter: Counts every response once for each step, and once for the loss after the last.

        Returns:
            The adapted verifier, and how it went. It is this verifier itself where nothing could be learnt: no
            response is left (then there are no losses), or NaN or infinity appeared (then the report is not finite).

        Raises:
            EngineUnavailableError: The model failed, or the verifier is closed.
        """
        prompt = self._prompts.build(problem)
        room = None if self.max_model_len is None else max(0, self.max_model_len - len(prompt))
        token_ids = [[token_id for step in response for token_id in step.token_ids] for response in responses]
        token_ids = [each for each in token_ids if each and (room is None or len(each) <= room)]
        token_ids = token_ids[: self._num_fitting(len(prompt) + len(each) for each in token_ids)]
        if not token_ids:
            return self, Adaptation((), 0.0, is_finite=True)
        plan = AdaptationPlan(steps, learning_rate)
        outcome = await self._run(partial(adapt, self.model, prompt, token_ids, plan))
        meter.verifier_tokens += (plan.steps + 1) * sum(len(prompt) + len(each) for each in token_ids)
        if outcome.model is self.model:
            return self, outcome.report
        limits = (self.max_model_len, self._worker, self._max_batch_tokens)
        return TorchVerifier(outcome.model, self._prompts, *limits), outcome.report

    async def _judge_waiting(self) -> None:
        while batch := self._take_batch():
            try:
                judged = await self._run(partial(score_batch, self.model, batch))
            except EngineUnavailableError as error:
                for request in batch:
                    if not request.scores.done():
                        request.scores.set_exception(error)
                continue
            for request, scores in zip(batch, judged, strict=True):
                if not request.scores.done():
                    request.scores.set_result(scores)

    def _take_batch(self) -> list[Request]:
        """Those that have waited longest, as many as fit; those that were cancelled are dropped."""
        waiting = [request for request in self._waiting if not request.scores.done()]
        size = self._num_fitting(len(request.token_ids) for request in waiting)
        self._waiting = waiting[size:]
        return waiting[:size]

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, work)
        except Exception as error:  # whatever it is, all who wait for the result must learn of it
            raise EngineUnavailableError(f"the verifier failed: {error}") from error

    def _num_fitting(self, lengths: Iterable[int]) -> int:
        """How many of the first sequences make a batch: all that fit, and one that does not rather than none."""
        longest = number = 0
        for length in lengths:
            longest = max(longest, length)
            if number and (number + 1) * longest > self._max_batch_tokens:
                break
            number += 1
        return number


@torch.inference_mode()
def score_batch(model: Judge, batch: Sequence[Request]) -> list[tuple[float, ...]]:
    """The scores that each request asks for."""
    device = next(model.parameters()).device
    token_ids = torch.zeros(len(batch), max(len(request.token_ids) for request in batch), dtype=torch.long)
    for row, request in enumerate(batch):
        token_ids[row, : len(request.token_ids)] = torch.tensor(request.token_ids)
    rows = [row for row, request in enumerate(batch) for _ in request.ends]
    ends = [end for request in batch for end in request.ends]
    scores = model.judge(model.encode(token_ids.to(device))[rows, ends]).float().sigmoid()
    return [tuple(each.tolist()) for each in torch.split(scores, [len(request.ends) for request in batch])]


def open_verifier(settings: EngineSettings, prompts: PromptBuilder) -> AbstractAsyncContextManager[TorchVerifier]:
    """Check the checkpoint now; load and run the model while the returned context lasts.

    Raises:
        CheckpointError: The checkpoint cannot be served, or reads other token ids than the policy writes.
        EngineUnavailableError: The device cannot be had.
    """
    _check_device(settings)
    directory, architectures = settings.model, read_config(settings.model)["architectures"]
    if architectures == [test_time_compute.ARCHITECTURE]:
        vocab_size = test_time_compute.check_test_time_compute(directory).vocab_size
        if vocab_size is None or vocab_size < len(prompts.tokenizer.vocabulary):
            raise CheckpointError(
                f"{directory / CONFIG_FILE}: vocab_size is {vocab_size}, below the policy's vocabulary of "
                f"{len(prompts.tokenizer.vocabulary)}"
            )
    elif architectures == [reward_model.ARCHITECTURE]:
        check_headed_model(directory, scorer_head(read_size(directory, "scorer_hidden")))
    else:
        known = f"{reward_model.ARCHITECTURE} or {test_time_compute.ARCHITECTURE}"
        raise CheckpointError(f"{directory / CONFIG_FILE}: architectures is {architectures}, not {known}")
    if ChatTokenizer(directory).vocabulary != prompts.tokenizer.vocabulary:
        raise CheckpointError(f"{directory / TOKENIZER_FILE}: the vocabulary is not the policy's")
    return _open(settings, prompts)


@asynccontextmanager
async def _open(settings: EngineSettings, prompts: PromptBuilder) -> AsyncIterator[TorchVerifier]:
    worker = ThreadPoolExecutor(1, "verifier", torch.set_num_threads, (settings.num_threads,))
    try:
        model = await asyncio.get_running_loop().run_in_executor(worker, load, settings)
        context = None if isinstance(model, TestTimeCompute) else int(model.config.max_position_embeddings)
        yield TorchVerifier(model, prompts, settings.max_model_len or context, worker)
    finally:
        await asyncio.to_thread(worker.shutdown)


def load(settings: EngineSettings) -> Judge:
    """The model of a checkpoint, on the device and in the precision that the settings say; "auto" is float32.

    Raises:
        CheckpointError: Its weights cannot be used.
    """
    is_seed = read_config(settings.model)["architectures"] == [test_time_compute.ARCHITECTURE]
    read = test_time_compute.load_test_time_compute if is_seed else reward_model.load_reward_model
    device = "cuda" if settings.device != "cpu" and torch.cuda.is_available() else "cpu"
    dtype = torch.float32 if settings.dtype == "auto" else getattr(torch, settings.dtype)
    return read(settings.model).to(device, dtype)


def _check_device(settings: EngineSettings) -> None:
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise EngineUnavailableError("device is cuda, which torch cannot find; allowed here: auto, cpu")
    if settings.tensor_parallel_size > 1:
        raise EngineUnavailableError(f"tensor_parallel_size is {settings.tensor_parallel_size}; allowed: 1 with torch")
