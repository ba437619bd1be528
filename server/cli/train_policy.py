"""`winnow train-policy`: a policy that says at once what searches found."""

from pathlib import Path
from typing import Any

import click

from server.cli.failures import end, refuse_inputs
from server.precheck import check_checkpoint


@click.command("train-policy")
@click.option("--policy", required=True, help="Checkpoint to start from: a folder or a Hub name.")
@click.option(
    "--data",
    required=True,
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON lines with prompt and completion, texts or messages; may be given more than once.",
)
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder for the policy.")
@click.option("--system-prompt", help="Instruction of the rows that have none.  [default: none]")
@click.option(
    "--epochs",
    default=2.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Passes over the responses.",
)
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(1), help="Responses a step.")
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
    help="Peak; 1e-3 for a model of a few million parameters or an adapter.",
)
@click.option(
    "--held-out",
    default=0.05,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of problems to measure on.",
)
@click.option("--lora-rank", type=click.IntRange(1, 1024), help="Train a LoRA adapter of this rank; needs peft.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the batches.")
def train_policy(
    policy: str,
    data: tuple[Path, ...],
    out: Path,
    system_prompt: str | None,
    batch_size: int,
    parts: int,
    **options: Any,
) -> None:
    """Train a policy on chosen responses, such as `winnow export --format prompt-completion` writes them.

    Some problems are held out, by a hash of their text; the loss of their responses before and after is printed and
    written to OUT/report.json. Whether the policy solves more is for `winnow eval` to say. An interrupted training
    resumes from its last checkpoint.
    """
    if batch_size % parts:
        raise click.BadParameter(f"{parts} does not divide the batch size {batch_size}", param_hint="--parts")
    refuse_inputs(out, Path(policy), *data)
    check_checkpoint(policy, is_causal=True)
    from models.checkpoints.checkpoint import find_model
    from models.training.policy import PolicyPlan
    from models.training.policy import train_policy as train

    plan = PolicyPlan(batch_size=batch_size, num_parts=parts, **options)
    trained = train(find_model(policy), data, out, plan, system_prompt)
    click.echo(
        f"loss of a token of the responses held out: {trained.loss_before:.4f} before, {trained.loss_after:.4f} after: "
        f"{out}"
    )
    end(trained.num_skipped)
