"""`winnow train-policy`: a policy that says at once what searches found."""

from pathlib import Path
from typing import Any

import click

from server.cli.failures import end, refuse_inputs
from server.cli.training import refuse_uneven, training_options
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
@training_options(
    epochs=2.0, batch_size=32, small_rate="1e-3 for a model of a few million parameters or an adapter", held_out=0.05
)
@click.option("--lora-rank", type=click.IntRange(1, 1024), help="Train a LoRA adapter of this rank; needs peft.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the batches.")
def train_policy(
    policy: str,
    data: tuple[Path, ...],
    out: Path,
    system_prompt: str | None,
    batch_size: int,
    num_parts: int,
    **options: Any,
) -> None:
    """Train a policy on chosen responses, such as `winnow export --format prompt-completion` writes them.

    Some problems are held out, by a hash of their text; the loss of their responses before and after is printed and
    written to OUT/report.json. Whether the policy solves more is for `winnow eval` to say. An interrupted training
    resumes from its last checkpoint.
    """
    refuse_uneven(batch_size, num_parts)
    refuse_inputs(out, Path(policy), *data)
    check_checkpoint(policy, is_causal=True)
    from models.checkpoints.checkpoint import find_model
    from models.training.policy import PolicyPlan
    from models.training.policy import train_policy as train

    plan = PolicyPlan(batch_size=batch_size, num_parts=num_parts, **options)
    trained = train(find_model(policy), data, out, plan, system_prompt)
    click.echo(
        f"loss of a token of the responses held out: {trained.loss_before:.4f} before, {trained.loss_after:.4f} after: "
        f"{out}"
    )
    end(trained.num_skipped)
