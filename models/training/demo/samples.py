"""The policy's own samples with exact step labels: drawn by vLLM in a process of its own, judged, kept in shards.

Whole responses, and continuations of right prefixes: a search prunes what is wrong early, so the prefixes that it
visits are right ones of harder problems.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from random import Random

from pydantic import TypeAdapter
from transformers import PreTrainedTokenizerBase

from models.errors import EngineUnavailableError
from models.interfaces import DELIMITER
from models.training.demo.tasks.solution import concludes_right, has_false_fact, judge
from models.training.demo.tasks.stream import Task, held_out_tasks, training_tasks
from models.training.documents import Document

SAMPLER_ENVIRONMENT = (
    "VLLM_ENABLE_V1_MULTIPROCESSING=0",  # the engine in the process itself: no idle ones that spin
    "VLLM_LOGGING_LEVEL=ERROR",
    "OMP_NUM_THREADS=1",
    "HF_HUB_OFFLINE=1",
    "VLLM_NO_USAGE_STATS=1",
)


@dataclass(frozen=True, slots=True)
class Sample:
    """A response of the policy, judged.

    Attributes:
        family: Of the problem.
        level: Of the problem.
        is_right: Whether the response ends, and in the right answer.
        is_slip: Whether its first error is one of arithmetic, not of method.
        document: Its tokens, step ends and labels.
    """

    family: str
    level: int
    is_right: bool
    is_slip: bool
    document: Document


_SAMPLE = TypeAdapter(Sample)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to sample.

    Attributes:
        seed: Of tasks and samples.
        num_shards: Files that are written, each at once.
        num_tasks: Problems a shard.
        num_responses: Whole responses a problem.
        num_continuations: Continuations of right prefixes a problem.
        held_out: Whether the problems are held-out ones.
        temperature: Of the samples.
    """

    seed: int
    num_shards: int
    num_tasks: int
    num_responses: int
    num_continuations: int
    held_out: bool = False
    temperature: float = 0.8

    def shards(self, directory: Path) -> list[Path]:
        """The files of the plan."""
        return [directory / f"{shard:03}.jsonl" for shard in range(self.num_shards)]

    def tasks(self, shard: int) -> list[Task]:
        """The problems of a shard."""
        if self.held_out:
            return list(islice(held_out_tasks(self.seed + shard), self.num_tasks))
        return list(islice(training_tasks(Random(f"samples {self.seed} {shard}")), self.num_tasks))


def draw_samples(policy: Path, plan: Plan, directory: Path) -> list[Path]:
    """The shards of `plan`; those that `directory` holds already are not drawn again.

    Raises:
        EngineUnavailableError: The sampling process failed.
    """
    shards = plan.shards(directory)
    if not all(shard.exists() for shard in shards):
        directory.mkdir(parents=True, exist_ok=True)
        run_sampler("models.training.demo.sampler", str(policy), json.dumps(asdict(plan)), str(directory))
    return shards


def run_sampler(module: str, *arguments: str) -> None:
    """Run a module that samples, in a process of its own.

    Raises:
        EngineUnavailableError: It failed.
    """
    try:
        subprocess.run(["env", *SAMPLER_ENVIRONMENT, sys.executable, "-m", module, *arguments], check=True)
    except subprocess.CalledProcessError as error:
        raise EngineUnavailableError(f"the sampling process ended with exit code {error.returncode}") from error


@lru_cache(maxsize=2)
def read_samples(shard: Path) -> tuple[Sample, ...]:
    """The samples of one shard."""
    with shard.open() as file:
        return tuple(_SAMPLE.validate_json(line) for line in file)


def judge_sample(
    tokenizer: PreTrainedTokenizerBase, task: Task, prompt: Sequence[int], response: tuple[int, ...]
) -> Sample:
    """Cut a response at its delimiters, and judge its steps; an end of sequence is no step."""
    (delimiter,) = tokenizer.encode(DELIMITER, add_special_tokens=False)
    is_complete = response[-1] == tokenizer.eos_token_id
    text_length = max(1, len(response) - is_complete)  # an end at once is a step, and a wrong one
    ends = [index for index in range(text_length) if response[index] == delimiter or index == text_length - 1]
    steps = [str(tokenizer.decode(list(response[start:end]))) for start, end in _spans(ends)]
    labels = judge(task.exercise, steps)
    document = Document(
        token_ids=(*prompt, *response),
        num_prompt_tokens=len(prompt),
        step_ends=tuple(len(prompt) + end for end in ends),
        labels=labels,
    )
    return Sample(
        family=task.family,
        level=task.level,
        is_right=is_complete and concludes_right(task.exercise, steps[-1]),
        is_slip=not all(labels) and has_false_fact(steps[labels.index(False)]),
        document=document,
    )


def _spans(ends: Sequence[int]) -> list[tuple[int, int]]:
    return [(start, end + 1) for start, end in zip([0, *(end + 1 for end in ends)], ends, strict=False)]
