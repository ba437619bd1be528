"""Documents of the demo's own tasks: what its policy and, at first, its reward model learn from."""

from collections.abc import Sequence
from random import Random

from transformers import PreTrainedTokenizerBase

from models.interfaces import DELIMITER
from models.training.demo.tasks.corruption import corrupt
from models.training.demo.tasks.drill import DRILL_PROBLEM, drill
from models.training.demo.tasks.solution import Solution, solve
from models.training.demo.tasks.stream import training_tasks
from models.training.documents import Document, encode_prompt

SYSTEM_PROMPTS = (
    "Solve the problem step by step.",
    "Put the final answer in a box.",
    "You are a careful solver. Answer in short steps, each with a title, and box the final answer.",
)
SYSTEM_PROMPT_SHARE = 0.1


def encode_solution(tokenizer: PreTrainedTokenizerBase, prompt: Sequence[int], solution: Solution) -> Document:
    """The document of a written solution, ended if its last step is not cut off by a delimiter."""
    token_ids, ends = list(prompt), []
    for step in solution.steps:
        token_ids += tokenizer.encode(step, add_special_tokens=False)
        ends.append(len(token_ids) - 1)
    if not solution.steps[-1].endswith(DELIMITER):
        token_ids.append(tokenizer.eos_token_id)
    return Document(tuple(token_ids), len(prompt), tuple(ends), solution.labels)


def learner_document(tokenizer: PreTrainedTokenizerBase, rng: Random) -> Document:
    """What the policy learns from: a learner's solution, right or wrong."""
    task = next(training_tasks(rng))
    return encode_solution(tokenizer, _prompt(tokenizer, task.problem, rng), solve(task.exercise, rng))


def judged_document(tokenizer: PreTrainedTokenizerBase, rng: Random) -> Document:
    """What the reward model learns from first: a learner's solution, a careful one, or a near miss."""
    task = next(training_tasks(rng))
    solution = solve(task.exercise, rng, is_careful=rng.random() < 0.5)
    if rng.random() < 0.4:
        solution = corrupt(task.exercise, solution, rng)
    return encode_solution(tokenizer, _prompt(tokenizer, task.problem, rng), solution)


def drill_document(tokenizer: PreTrainedTokenizerBase, rng: Random) -> Document:
    """A row of facts."""
    solution = Solution((drill(rng),), (True,))
    return encode_solution(tokenizer, encode_prompt(tokenizer, DRILL_PROBLEM), solution)


def random_system_prompt(rng: Random) -> str | None:
    """The instruction of a document; most have none."""
    return rng.choice(SYSTEM_PROMPTS) if rng.random() < SYSTEM_PROMPT_SHARE else None


def _prompt(tokenizer: PreTrainedTokenizerBase, problem: str, rng: Random) -> list[int]:
    return encode_prompt(tokenizer, problem, random_system_prompt(rng))
