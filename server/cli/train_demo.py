"""`winnow train-demo`: the demo pair, from a seed."""

from pathlib import Path

import click


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
def train_demo(out: Path, work: Path, seed: int) -> None:
    """Train the tokenizer, the policy and the verifier of the demo.

    An interrupted training resumes from its last checkpoint.
    """
    from models.training.demo.pair import train_demo as train

    train(out, seed, work)
