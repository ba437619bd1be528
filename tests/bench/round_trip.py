"""Whether step labels survive other formats: the reward model trained on an export is as good as one trained directly.

`python -m tests.bench.round_trip OUT --problems 600 --epochs 2` writes labelled responses of the demo's own learner,
with token ids; exports them in every format of step labels; trains a reward model on each with `winnow train-prm`, all
in the same way; and prints the step AUC on the problems held out, judged on the same documents: those of the direct
way. A format passes if its AUC is within `TOLERANCE` of the direct one.
"""

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path
from random import Random

import click
from rich.console import Console
from rich.table import Table

from models.checkpoints.checkpoint import read_config
from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.labels.formats import FORMATS
from models.labels.response import LabelledResponse
from models.prm.reward_model import load_reward_model
from models.training.demo.tasks.corruption import corrupt
from models.training.demo.tasks.solution import solve
from models.training.demo.tasks.stream import held_out_tasks
from models.training.prm.agreement import ALL, by_family
from models.training.prm.labels import LabelFile, LabelReader, is_held_out
from models.training.prm.train import judge_responses
from server.settings import DEMO

TOLERANCE = 0.005
HELD_OUT = 0.25
DIRECT = "direct"
WINNOW = (sys.executable, "-W", "ignore", "-m", "server")


@click.command()
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--problems", "num_problems", default=600, show_default=True, help="Problems, four responses each.")
@click.option("--epochs", default=2.0, show_default=True, help="Passes over the responses.")
@click.option("--seed", default=0, show_default=True, help="Of problems, responses and trainings.")
@click.option("--format", "names", multiple=True, type=click.Choice([*FORMATS]), help="Formats.  [default: all]")
def main(out: Path, num_problems: int, epochs: float, seed: int, names: tuple[str, ...]) -> None:
    """Train directly and by way of each format, and compare."""
    out.mkdir(parents=True, exist_ok=True)
    policy = DEMO / "policy"
    direct = write_labels(out / "labels.jsonl", policy, num_problems, seed)
    files = {DIRECT: direct}
    for name in names or FORMATS:
        files[name] = out / f"{name}.jsonl"
        run("export", direct, "--format", name, "--out", files[name])
    for name, file in files.items():
        plan = ("--epochs", epochs, "--learning-rate", 2e-3, "--held-out", HELD_OUT, "--seed", seed)
        run("train-prm", "--policy", policy, "--labels", file, "--out", out / name, *plan)
    aucs = {name: auc_of(out / name, policy, direct) for name in files}
    table = Table("labels", "AUC", "difference", title=f"{num_problems} problems, {epochs} epochs, seed {seed}")
    for name, auc in aucs.items():
        table.add_row(name, f"{auc:.4f}", f"{auc - aucs[DIRECT]:+.4f}")
    Console().print(table)
    (out / "aucs.json").write_text(json.dumps(aucs, indent=2) + "\n")
    if worst := [name for name, auc in aucs.items() if abs(auc - aucs[DIRECT]) > TOLERANCE]:
        raise click.ClickException(f"farther than {TOLERANCE} from the direct way: {', '.join(worst)}")


def write_labels(file: Path, policy: Path, num_problems: int, seed: int) -> Path:
    """Write four responses to each problem: a learner's, a careful one and near misses, labelled exactly."""
    tokenizer, rng = ChatTokenizer(policy), Random(f"round trip {seed}")
    end = tokenizer.end_id
    labels = LabelFile(file, 4)
    for task in islice(held_out_tasks(seed), num_problems):
        if task.problem in labels.problems:
            continue
        responses = []
        for place in range(4):
            solution = solve(task.exercise, rng, is_careful=place > 1)
            solution = corrupt(task.exercise, solution, rng) if place == 3 else solution
            is_complete = not solution.steps[-1].endswith("\n\n")
            ids = [tokenizer.encode(step) for step in solution.steps]
            ids[-1] = (*ids[-1], *([end] if is_complete and end is not None else []))
            shares = tuple(map(float, solution.labels))
            responses.append(
                LabelledResponse(
                    task.problem, None, solution.steps, tuple(ids), shares, is_complete, family=task.family
                )
            )
        labels.append(responses)
    return file


def auc_of(model: Path, policy: Path, labels: Path) -> float:
    """The step AUC of a reward model on the held-out problems of the direct way."""
    config = read_config(policy)
    prompts = PromptBuilder(ChatTokenizer(policy))
    reader = LabelReader(prompts, config["vocab_size"], config["max_position_embeddings"])
    responses = [each for each in reader.read([labels]) if is_held_out(each.problem, HELD_OUT)]
    documents = [reader.document(response) for response in responses]
    auc = by_family(judge_responses(load_reward_model(model), responses, documents))[ALL].auc
    return auc or 0.0


def run(*arguments: object) -> None:
    """Run a command of winnow; one that left lines out has done what can be done."""
    ended = subprocess.run([*WINNOW, *map(str, arguments)], check=False)
    if ended.returncode not in (0, 1):
        raise click.ClickException(f"winnow {arguments[0]} ended with exit code {ended.returncode}")


if __name__ == "__main__":
    main()
