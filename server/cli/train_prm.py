"""`winnow train-prm`: a reward model for any policy, from labelled steps."""

from pathlib import Path
from typing import Any

import click

from models.labels.formats import FORMATS
from server.cli.failures import Failure, end, refuse_inputs
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
    type=click.Choice([*FORMATS]),
    help="Format of the files: as `winnow label-steps` writes them, or one of others.  [default: known by the fields]",
)
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder for the reward model."
)
@click.option(
    "--epochs",
    default=4.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Passes over the responses.",
)
@click.option("--batch-size", default=64, show_default=True, type=click.IntRange(1), help="Responses a step.")
@click.option(
    "--parts",
    default=4,
    show_default=True,
    type=click.IntRange(1),
    help="Parts of a batch; more parts need less memory.",
)
@click.option(
    "--learning-rate",
    default=1e-4,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Peak; 2e-3 for a model of a few million parameters.",
)
@click.option(
    "--layers",
    "num_layers",
    type=click.IntRange(0),
    help="Upper layers of the backbone that are trained; 0 trains the scorer alone.  [default: the whole backbone]",
)
@click.option(
    "--held-out",
    default=0.1,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of problems to measure on.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of weights and batches.")
def train_prm(
    policy: str,
    labels: tuple[Path, ...],
    format_name: str | None,
    out: Path,
    batch_size: int,
    parts: int,
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
    if batch_size % parts:
        raise click.BadParameter(f"{parts} does not divide the batch size {batch_size}", param_hint="--parts")
    refuse_inputs(out, Path(policy), *labels)
    check_checkpoint(policy, is_causal=True)
    from models.checkpoints.checkpoint import find_model
    from models.training.prm.train import TrainingPlan
    from models.training.prm.train import train_prm as train

    plan = TrainingPlan(batch_size=batch_size, num_parts=parts, **options)
    trained = train(find_model(policy), labels, out, plan, format_name=format_name)
    if trained.fault:
        raise Failure(
            f"{out}: do not serve this reward model: {trained.fault}; label more problems, or train it longer"
        )
    end(trained.num_skipped)
