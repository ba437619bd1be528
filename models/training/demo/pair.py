"""Makes the demo's models from a seed: tokenizer, policy, the policy's samples, reward model, and the thinker.

Each phase leaves checkpoints or shards in a work folder and goes on from those it finds there.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

from models.prm.reward_model import save_reward_model
from models.training.demo.documents import SYSTEM_PROMPTS
from models.training.demo.evaluation import evaluate_demo
from models.training.demo.policy import save_policy, train_policy
from models.training.demo.reward import train_on_samples, train_on_solutions
from models.training.demo.samples import Plan, draw_samples, run_sampler
from models.training.demo.tasks.drill import drill
from models.training.demo.tasks.solution import solve
from models.training.demo.tasks.stream import training_tasks
from models.training.demo.thinker import train_thinker
from models.training.demo.tokenizer import train_tokenizer
from models.training.prm.reward import from_policy

NUM_TOKENIZER_TASKS = 2_000
WORK = Path("runs/demo")


@dataclass(frozen=True, slots=True)
class Effort:
    """How long each phase takes; the defaults made the bundled models.

    Attributes:
        policy_steps: Of the policy's training.
        solution_steps: Of the reward model's first phase.
        sample_steps: Of its last phase.
        num_shards: Of the policy's samples; as many as make each sample seen about once.
        tasks_per_shard: Problems in each.
        thinker_steps: Of the thinker's training.
        num_threads: Of torch.
    """

    policy_steps: int = 1_000
    solution_steps: int = 300
    sample_steps: int = 1_400
    num_shards: int = 16
    tasks_per_shard: int = 1_000
    thinker_steps: int = 400
    num_threads: int = 2


def train_demo(out: Path, seed: int = 0, work: Path = WORK, effort: Effort | None = None) -> None:
    """Write `out`/policy and `out`/prm, and print what they can do.

    Args:
        out: Where the pair goes.
        seed: Of everything that is drawn.
        work: Where checkpoints and samples are kept, by seed; a run that finds them goes on from there.
        effort: How long each phase takes.

    Raises:
        EngineUnavailableError: The engine that samples the policy failed.
    """
    effort = effort or Effort()
    work = work / f"seed-{seed}"
    torch.set_num_threads(effort.num_threads)
    tokenizer = make_tokenizer(seed)
    policy = train_policy(tokenizer, effort.policy_steps, seed, work / "policy.pt")
    save_policy(policy, tokenizer, out / "policy")
    train_reward_model(out, tokenizer, seed, work, effort)
    evaluate_demo(out)


def train_demo_thinker(out: Path, seed: int = 0, work: Path = WORK, effort: Effort | None = None) -> None:
    """Write `out`/thinker, from `out`/policy, and print how right it is by its budget of thoughts.

    Args:
        out: Where the pair is.
        seed: Of everything that is drawn.
        work: Where checkpoints are kept, by seed; a run that finds one goes on from there.
        effort: How long it takes.

    Raises:
        EngineUnavailableError: The engine that samples the thinker failed.
    """
    effort = effort or Effort()
    torch.set_num_threads(effort.num_threads)
    thinker, tokenizer = train_thinker(out / "policy", effort.thinker_steps, seed, work / f"seed-{seed}" / "thinker.pt")
    save_policy(thinker, tokenizer, out / "thinker")
    run_sampler("models.training.demo.budgets", str(out))


def make_tokenizer(seed: int) -> PreTrainedTokenizerBase:
    """The tokenizer of the pair, learnt from the tasks."""
    rng = Random(f"tokenizer {seed}")
    texts: list[str] = []
    for task in islice(training_tasks(rng), NUM_TOKENIZER_TASKS):
        texts += [task.problem, solve(task.exercise, rng).text]
    return train_tokenizer([*texts, *SYSTEM_PROMPTS, *(drill(rng) for _ in range(100))])


def train_reward_model(demo: Path, tokenizer: PreTrainedTokenizerBase, seed: int, work: Path, effort: Effort) -> None:
    """Train the reward model for the policy that is in `demo` already, which is sampled beside the first phase."""
    plan = Plan(seed, effort.num_shards, effort.tasks_per_shard, num_responses=2, num_continuations=2)
    with ThreadPoolExecutor(max_workers=1) as sampling:
        shards = sampling.submit(draw_samples, demo / "policy", plan, work / "samples")
        model = from_policy(LlamaForCausalLM.from_pretrained(demo / "policy", dtype=torch.float32), seed)
        train_on_solutions(model, tokenizer, effort.solution_steps, seed, work / "solutions.pt")
    train_on_samples(model, tokenizer, shards.result(), effort.sample_steps, seed, work / "samples.pt")
    save_reward_model(model, demo / "prm")
    tokenizer.save_pretrained(demo / "prm")
