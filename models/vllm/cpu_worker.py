"""A worker on a CPU that reads seeded prompts in pieces.

vLLM samples a token behind every piece of a prompt, and throws away all but the last. So that a seed still means the
same, it winds the request's generator back, by an offset that the generators of CUDA have and those of a CPU lack:
0.32 dies of it ("CPU Generator does not use offset"). Here a request whose prompt is not read to its end keeps its
generator out of the sampling: nothing is drawn from it, so that nothing has to be wound back.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from vllm.v1.outputs import AsyncModelRunnerOutput, ModelRunnerOutput
from vllm.v1.worker.cpu_worker import CPUWorker

if TYPE_CHECKING:
    from vllm.v1.core.sched.output import GrammarOutput


class PiecewiseWorker(CPUWorker):
    """vLLM's own, but for the generators of prompts that are not read to their ends."""

    def sample_tokens(self, grammar_output: "GrammarOutput | None") -> ModelRunnerOutput | AsyncModelRunnerOutput:
        """Sample a token for each request whose prompt has been read."""
        with self._unread_set_aside():
            sampled: ModelRunnerOutput | AsyncModelRunnerOutput = super().sample_tokens(grammar_output)
            return sampled

    @contextmanager
    def _unread_set_aside(self) -> Iterator[None]:
        runner = self.model_runner
        generators: dict[int, torch.Generator] = runner.input_batch.generators
        is_unread = runner.discard_request_mask.np
        unread = {index: generators.pop(index) for index in list(generators) if is_unread[index]}
        try:
            yield
        finally:
            generators |= unread
