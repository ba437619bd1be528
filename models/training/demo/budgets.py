"""How right the thinker is by its budget of thoughts: `python -m models.training.demo.budgets [DEMO]`.

Each problem is thought about N times, up to the largest budget. Every smaller budget takes the same thoughts, writes
the end mark where they exceed it, and samples an answer behind it; so the budgets differ in nothing but where thoughts
end. The vote is by exact value; in the weighted vote the pair's reward model weighs the answers, which it reads as if
nobody had thought. Nothing that stands in thoughts is read for an answer.
"""

import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from math import sqrt
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING

import torch
from rich.console import Console
from rich.table import Table
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from models.interfaces import DELIMITER
from models.prm.reward_model import load_reward_model
from models.training.demo.tasks.solution import conclusion
from models.training.demo.tasks.stream import Task, held_out_tasks
from models.training.demo.tokenizer import THINKING_MARKS
from models.training.documents import Document, encode_prompt
from models.training.prm.agreement import score_documents

if TYPE_CHECKING:  # vLLM is imported when it samples
    from models.training.demo.sampler import Generate

BUDGETS = (0, 32, 64, 128, 256)
NUM_TASKS = 200
NUM_RESPONSES = 16
MAX_ANSWER_TOKENS = 300
TEMPERATURE = 0.8
SEED = 2_000


@dataclass(frozen=True, slots=True)
class Answered:
    """A response to a task.

    Attributes:
        value: Of its answer; None where it states none.
        document: The problem and what stands behind the thoughts, without them.
        num_thoughts: Tokens between the marks.
    """

    value: Fraction | None
    document: Document
    num_thoughts: int


class Thinker:
    """Thinks about tasks, and answers them within budgets.

    Args:
        tokenizer: The thinker's.
        generate: Samples it.
        tasks: What is asked, each as often as there are responses.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, generate: "Generate", tasks: Sequence[Task]) -> None:
        self._tokenizer = tokenizer
        self._generate = generate
        self._tasks = tasks
        (self._start,), (self._end,) = (tokenizer.encode(mark, add_special_tokens=False) for mark in THINKING_MARKS)
        self._blank = tokenizer.encode(DELIMITER, add_special_tokens=False)
        self._prompts = [encode_prompt(tokenizer, task.problem) for task in tasks]

    def think(self, budget: int, seed: int) -> list[tuple[int, ...]]:
        """Thoughts about every task between the marks, without them; at most `budget` tokens."""
        prefixes = [[*prompt, self._start] for prompt in self._prompts]
        thoughts = self._generate(prefixes, seed, budget, (self._end,))
        return [each[: each.index(self._end)] if self._end in each else each for each in thoughts]

    def answer(self, thoughts: Sequence[Sequence[int]], seed: int) -> list[Answered]:
        """An answer to every task behind these thoughts."""
        behind = [
            [*prompt, self._start, *each, self._end] for prompt, each in zip(self._prompts, thoughts, strict=True)
        ]
        return self._read(behind, [len(each) for each in thoughts], seed)

    def answer_at_once(self, seed: int) -> list[Answered]:
        """An answer to every task behind the empty block of thoughts that the chat template writes."""
        prompts = [encode_prompt(self._tokenizer, task.problem, enable_thinking=False) for task in self._tasks]
        return self._read(prompts, [0] * len(prompts), seed)

    def _read(self, prefixes: Sequence[Sequence[int]], nums_thoughts: Sequence[int], seed: int) -> list[Answered]:
        answers = self._generate(prefixes, seed, MAX_ANSWER_TOKENS)
        return [
            self._answered(prompt, answer, num_thoughts)
            for prompt, answer, num_thoughts in zip(self._prompts, answers, nums_thoughts, strict=True)
        ]

    def _answered(self, prompt: Sequence[int], answer: Sequence[int], num_thoughts: int) -> Answered:
        if list(answer[:1]) == self._blank:  # between the end mark and the answer
            answer = answer[1:]
        is_complete = answer[-1:] == (self._tokenizer.eos_token_id,)
        last = str(self._tokenizer.decode(list(answer[:-1]))).rpartition(DELIMITER)[2] if is_complete else ""
        read = [token_id for token_id in answer if token_id not in (self._start, self._end)]  # the judge has no marks
        end = len(prompt) + len(read) - is_complete - 1
        return Answered(conclusion(last), Document((*prompt, *read), len(prompt), (end,), (1.0,)), num_thoughts)


def measure_budgets(demo: Path) -> Table:
    """Accuracy of `demo`/thinker by its budget of thoughts, with `demo`/prm as the judge of its answers."""
    from models.training.demo.sampler import open_engine

    tasks = [task for task in islice(held_out_tasks(SEED), NUM_TASKS) for _ in range(NUM_RESPONSES)]
    tokenizer = AutoTokenizer.from_pretrained(demo / "thinker")
    thinker = Thinker(tokenizer, open_engine(demo / "thinker", TEMPERATURE), tasks)
    title = f"thinker, {NUM_TASKS} held-out problems, N = {NUM_RESPONSES}, accuracy in %"
    columns = ("budget", "thoughts, tokens", "answer, tokens", "no answer", "pass@1")
    table = Table(*columns, "majority", "weighted", title=title)
    table.add_row("off", *_row(tasks, thinker.answer_at_once(SEED << 20), demo))
    thoughts = thinker.think(max(BUDGETS), (SEED + 1) << 20)
    for number, budget in enumerate(BUDGETS, 2):
        answered = thinker.answer([each[:budget] for each in thoughts], (SEED + number) << 20)
        table.add_row(str(budget), *_row(tasks, answered, demo))
    return table


def _row(tasks: Sequence[Task], answered: Sequence[Answered], demo: Path) -> list[str]:
    weights = _weights([each.document for each in answered], demo / "prm")
    is_right, majority, weighted = [], [], []
    for first in range(0, len(tasks), NUM_RESPONSES):
        group = slice(first, first + NUM_RESPONSES)
        right, values = tasks[first].exercise.answer, [each.value for each in answered[group]]
        is_right.append(mean(value == right for value in values))
        majority.append(float(vote(values, [1.0] * len(values)) == right))
        weighted.append(float(vote(values, weights[group]) == right))
    num_tokens = mean(len(each.document.token_ids) - each.document.num_prompt_tokens for each in answered)
    without = sum(each.value is None for each in answered) / len(answered)
    counts = (f"{mean(each.num_thoughts for each in answered):.0f}", f"{num_tokens:.0f}", f"{100 * without:.1f}")
    return [*counts, *map(_share, (is_right, majority, weighted))]


def _weights(documents: Sequence[Document], reward_model: Path) -> list[float]:
    """The score of each document; those that come again are read once."""
    different = {document.token_ids: document for document in documents}
    scores = score_documents(load_reward_model(reward_model), list(different.values()))
    weights = {token_ids: score.item() for token_ids, score in zip(different, scores, strict=True)}
    return [weights[document.token_ids] for document in documents]


def vote(values: Sequence[Fraction | None], weights: Sequence[float]) -> Fraction | None:
    """The value of the largest weight; the first of several."""
    sums: defaultdict[Fraction, float] = defaultdict(float)
    for value, weight in zip(values, weights, strict=True):
        if value is not None:
            sums[value] += weight
    return max(sums, key=sums.__getitem__, default=None)


def _share(values: Sequence[float]) -> str:
    """Mean and standard error over problems."""
    return f"{100 * mean(values):.1f} ± {100 * stdev(values) / sqrt(len(values)):.1f}"


if __name__ == "__main__":
    torch.set_num_threads(1)
    Console(width=110).print(measure_budgets(Path(*sys.argv[1:]) if sys.argv[1:] else Path("models/demo")))
