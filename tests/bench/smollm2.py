r"""SmolLM2-135M-Instruct and a reward model of its own: problems, labels, training, every strategy with it and without.

    python -m tests.bench.smollm2 [problems] [labels] [train] [eval] [shares] [--tables N] [--on sums|gsm8k]
    python -m tests.bench.smollm2 scorer

Runs winnow's own commands, one after another, which show their progress and resume: repeat the command after an
interruption. Without a stage all but the last. `make real` makes the policy; GSM8K is read where it lies.

problems: 200 sums to measure on and 180 to learn from (`sums.py`), the first 200 problems of GSM8K to measure on.
labels: `winnow label-steps` on the 180 sums, and on GSM8K's easiest: of the 200 shortest of its other problems those
    that one of four responses solves.
train: `winnow train-prm`, the scorer alone.
eval: `winnow eval`, with the reward model and without it; the first tables are those of fewer problems.
shares: `winnow doctor --probe`, 4 responses to each of 20 problems: how many are one step, or state no answer, without
    a system prompt, with the default one, and with the recipe's.
scorer: the reward model without a training, from the scorer that is kept beside this file.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from models.prm.reward_model import save_reward_model
from models.training.prm.reward import from_policy
from search.evaluation.outcomes import read_evaluation
from search.evaluation.tasks import Task, read_tasks
from tests.bench.sums import draw_sums
from tests.real.checkpoints import SMOLLM2
from tests.server.processes import WINNOW

RECIPE = Path("deploy/recipes/smollm2-135m.yaml")
SCORER = Path(__file__).with_name("smollm2_scorer.safetensors")
GSM8K = Path(__file__).parents[3] / "shared" / "data" / "gsm8k_test.jsonl"
NUM_MEASURED, NUM_LEARNT, NUM_POOL, NUM_ASKED = 200, 180, 200, 10
MEASURED_SEED, LEARNT_SEED = 0, 1
MAX_TOKENS = 160
SAMPLING = ("--temperature", "0.6")
TRAINING = ("--layers", "0", "--epochs", "30", "--batch-size", "16", "--learning-rate", "1e-3", "--held-out", "0.25")
FLAT = "greedy,majority,best_of_n,weighted_best_of_n"
ALONE = "greedy,majority"
EVERY = f"{FLAT},beam_search,dvts,rebase"
LABELLED = ("sums-learnt", "gsm8k-easiest")
MEASURED_ON = ("sums", "gsm8k")


class Measured(NamedTuple):
    """A table to be made: problems, how many of them, by which strategies, with which budgets."""

    problems: str
    number: int
    strategies: str
    budgets: str
    has_verifier: bool = True


TABLES = (
    Measured("sums", 100, FLAT, "1,4,16"),
    Measured("sums", 50, EVERY, "4"),
    Measured("gsm8k", 40, FLAT, "1,4,16"),
    Measured("sums", NUM_MEASURED, FLAT, "1,4,16"),
    Measured("sums", 50, EVERY, "4,16"),
    Measured("sums", NUM_MEASURED, ALONE, "1,4,16", has_verifier=False),
    Measured("sums", NUM_MEASURED, EVERY, "1,4,16"),
    Measured("gsm8k", NUM_MEASURED, FLAT, "1,4,16"),
    Measured("gsm8k", 40, EVERY, "4"),
    Measured("gsm8k", NUM_MEASURED, EVERY, "1,4,16"),
)
"""From the quickest to the slowest; outcomes are shared, so that a later table asks only for what is new in it."""


@dataclass(frozen=True, slots=True)
class Bench:
    """The stages, in order.

    Attributes:
        out: Folder of everything.
        gsm8k: GSM8K's test set.
        num_tables: Of `TABLES`, how many are made.
        measured_on: The problems whose tables are made.
    """

    out: Path
    gsm8k: Path
    num_tables: int
    measured_on: Sequence[str]

    def problems(self) -> None:
        measured = draw_sums(MEASURED_SEED, NUM_MEASURED)
        learnt = draw_sums(LEARNT_SEED, NUM_LEARNT, {task.problem for task in measured})
        rows = read_tasks(self.gsm8k).tasks
        others = sorted(rows[NUM_MEASURED:], key=lambda task: len(task.problem))
        self._write("sums", measured)
        self._write("sums-learnt", learnt)
        self._write("gsm8k", rows[:NUM_MEASURED])
        self._write("gsm8k-pool", others[:NUM_POOL])
        self._write("asked", [*rows[:NUM_ASKED], *measured[:NUM_ASKED]])

    def labels(self) -> None:
        self._label("sums-learnt", num_responses=4)
        self._evaluate("gsm8k-pool", self._file("gsm8k-pool"), "majority", "4", has_verifier=False)
        outcomes = read_evaluation(self._outcomes("gsm8k-pool", has_verifier=False)).outcomes
        solved = {outcome.problem for outcome in outcomes if outcome.num_right}
        self._write("gsm8k-easiest", [task for task in self._tasks("gsm8k-pool") if task.problem in solved])
        self._label("gsm8k-easiest", num_responses=4)

    def train(self) -> None:
        labels = [option for name in LABELLED for option in ("--labels", self._labels(name))]
        _winnow("train-prm", "--policy", SMOLLM2.path, *labels, "--out", self.out / "prm", *TRAINING)

    def scorer(self) -> None:
        model = from_policy(AutoModelForCausalLM.from_pretrained(SMOLLM2.path), seed=0)
        model.scorer.load_state_dict(load_file(SCORER))
        save_reward_model(model, self.out / "prm")
        AutoTokenizer.from_pretrained(SMOLLM2.path).save_pretrained(self.out / "prm")

    def eval(self) -> None:
        for table in TABLES[: self.num_tables]:
            if table.problems not in self.measured_on:
                continue
            file = self._write(f"{table.problems}-{table.number}", self._tasks(table.problems)[: table.number])
            self._evaluate(table.problems, file, table.strategies, table.budgets, has_verifier=table.has_verifier)

    def shares(self) -> None:
        alone = ("--verifier-format", "none", "--policy-context", 2048)
        plain = ("--policy-model", SMOLLM2.path)
        for options in ((*plain, "--system-prompt", ""), plain, ("--recipe", self._recipe(has_verifier=False))):
            _winnow("doctor", "--probe", "--file", self._file("asked"), *alone, *options)

    def _label(self, name: str, num_responses: int) -> None:
        files = ("--problems", self._file(name), "--out", self._labels(name))
        counts = ("--responses", num_responses, "--completions", 2, "--max-tokens", MAX_TOKENS)
        _winnow("label-steps", "--recipe", self._recipe(has_verifier=False), *files, *counts, *SAMPLING)

    def _evaluate(self, name: str, file: Path, strategies: str, budgets: str, *, has_verifier: bool) -> None:
        out = self._outcomes(name, has_verifier=has_verifier)
        grid = ("--strategies", strategies, "--n", budgets, "--subsample", "--timed", 0)
        compared = _comparisons(strategies, budgets)
        recipe = self._recipe(has_verifier=has_verifier)
        _winnow("eval", "--recipe", recipe, "--problems", file, "--out", out, *grid, *SAMPLING, *compared)

    def _recipe(self, *, has_verifier: bool) -> Path:
        """Write the recipe with the models of this machine."""
        own: dict[str, Any] = {"policy_model": str(SMOLLM2.path), "verifier_model": str(self.out / "prm")}
        own |= {} if has_verifier else {"verifier_format": "none"}
        file = self.out / f"{'judged' if has_verifier else 'alone'}.yaml"
        file.write_text(yaml.safe_dump(yaml.safe_load(RECIPE.read_text()) | own, allow_unicode=True))
        return file

    def _write(self, name: str, tasks: Iterable[Task]) -> Path:
        """Write problems, as every command of winnow reads them."""
        self.out.mkdir(parents=True, exist_ok=True)
        rows = ({"problem": task.problem, "answer": task.answer, "family": task.family or "gsm8k"} for task in tasks)
        self._file(name).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        return self._file(name)

    def _tasks(self, name: str) -> Sequence[Task]:
        return read_tasks(self._file(name)).tasks

    def _file(self, name: str) -> Path:
        return self.out / f"{name}.jsonl"

    def _labels(self, name: str) -> Path:
        return self.out / f"{name}-labels.jsonl"

    def _outcomes(self, name: str, *, has_verifier: bool) -> Path:
        return self.out / f"{name}-{'judged' if has_verifier else 'alone'}.jsonl"


def _comparisons(strategies: str, budgets: str) -> list[str]:
    """Each strategy that needs the reward model with the majority, which needs none."""
    judged = [name for name in strategies.split(",") if name not in ALONE.split(",")]
    pairs = [f"{name}@{n}:majority@{n}" for n in budgets.split(",") if n != "1" for name in judged]
    return [word for pair in pairs for word in ("--compare", pair)]


def _winnow(*words: Any) -> None:
    """Run one of winnow's commands.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    command = [WINNOW, *map(str, words)]
    sys.stderr.write(f"==> winnow {' '.join(command[1:])}\n")
    subprocess.run(command, check=True)


def main(options: argparse.Namespace) -> None:
    """Run the stages."""
    bench = Bench(options.out, options.gsm8k, options.tables, options.on or MEASURED_ON)
    for stage in options.stages or STAGES[:-1]:
        try:
            getattr(bench, stage)()
        except subprocess.CalledProcessError as error:
            sys.exit(f"{stage}: `winnow {error.cmd[1]}` ended with exit code {error.returncode}")


STAGES = ("problems", "labels", "train", "eval", "shares", "scorer")

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="*", choices=[*STAGES, []], metavar="stage")
    parser.add_argument("--out", type=Path, default=Path("runs/smollm2"))
    parser.add_argument("--gsm8k", type=Path, default=GSM8K)
    parser.add_argument("--tables", type=int, default=len(TABLES), help="Make the first so many tables.")
    parser.add_argument("--on", action="append", choices=MEASURED_ON, help="Make only tables on these problems.")
    main(parser.parse_args())
