"""`winnow train-prm`: a reward model for any policy, from labelled steps."""

from pathlib import Path
from typing import Any

import click

from models.labels.formats import FORMATS
from server.cli.failures import Failure, end, refuse_inputs
from server.cli.options import Choice
from server.cli.training import refuse_uneven, training_options
from server.precheck import check_checkpoint


@click.command("train-prm")
@click.option("--policy", required=True, help="Checkpoint of the policy: a folder or a Hub name.")
@click.option(
    "--labels",
    required=True,
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Labelled responses, JSON lines or Parquet; may be given more than once.",
)
@click.option(
    "--format",
    "format_name",
    type=Choice([*FORMATS]),
    help="Format of the files: as `winnow label-steps` writes them, or one of others.  [default: known by the fields]",
)
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder for the reward model."
)
@training_options(epochs=4.0, batch_size=64, small_rate="2e-3 for a model of a few million parameters", held_out=0.1)
@click.option(
    "--layers",
    "num_layers",
    type=click.IntRange(0),
    help="Upper layers of the backbone that are trained; 0 trains the scorer alone.  [default: the whole backbone]",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of weights and batches.")
def train_prm(
    policy: str,
    labels: tuple[Path, ...],
    format_name: str | None,
    out: Path,
    batch_size: int,
    num_parts: int,
    **options: Any,
) -> None:
    """Train a reward model: the policy's backbone and a scorer, on labelled steps.

    Some problems are held out, by a hash of their text; how well the model judges those is printed and written to
    OUT/report.json and OUT/reliability.png. An interrupted training resumes from its last checkpoint.

    Labels of TRL (stepwise), PRM800K, Math-Shepherd and RLHFlow are read as they come, in the policy's tokens. Lines
    that cannot be used are named and left out, and the exit code is 1.

    Labels of one kind, or with too few right or wrong steps to learn from or to measure on, are refused. If the model
    judges no better than chance, the exit code is 1.
    """
    refuse_uneven(batch_size, num_parts)
    refuse_inputs(out, Path(policy), *labels)
    check_checkpoint(policy, is_causal=True)
    from models.checkpoints.checkpoint import find_model
    from models.training.prm.train import TrainingPlan
    from models.training.prm.train import train_prm as train

    plan = TrainingPlan(batch_size=batch_size, num_parts=num_parts, **options)
    trained = train(find_model(policy), labels, out, plan, format_name=format_name)
    if trained.fault:
        raise Failure(
            f"{out}: do not serve this reward model: {trained.fault}; label more problems, or train it longer"
        )
    end(trained.num_skipped)
