"""`winnow train-demo`: the demo's models, from a seed."""

from pathlib import Path

import click

from server.cli.options import Choice

PARTS = ("pair", "thinker")


@click.command("train-demo")
@click.option(
    "--out",
    default=Path("runs/demo/pair"),
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder for the models.",
)
@click.option(
    "--work",
    default=Path("runs/demo"),
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder for checkpoints.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of all random numbers.")
@click.option(
    "--only", type=Choice(PARTS), help="Train this part alone; the thinker learns on from the policy in --out."
)
@click.option("--threads", default=2, show_default=True, type=click.IntRange(1), help="Threads of the training.")
def train_demo(out: Path, work: Path, seed: int, only: str | None, threads: int) -> None:
    """Train the demo's models: tokenizer, policy and verifier, and the thinker, which thinks before it answers.

    An interrupted training resumes from its last checkpoint.
    """
    from models.training.demo.pair import Effort, train_demo_thinker
    from models.training.demo.pair import train_demo as train_pair

    for part, train in zip(PARTS, (train_pair, train_demo_thinker), strict=True):
        if only in (None, part):
            train(out, seed, work, Effort(num_threads=threads))
