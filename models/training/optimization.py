"""One training loop for all models: Muon for the matrices of the blocks, AdamW for the rest, progress, checkpoints."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer
from torch.utils.data import DataLoader
from tqdm import tqdm

from models.training.documents import Batch, Batches

CLIP_NORM = 1.0
NUM_PREFETCHED = 8
ADAPTER = ".lora_"
"""In the names of the matrices of an adapter, whose rank is too low for Muon."""
_IN_BLOCK = re.compile(r"model\.\w.*\.\d+\.")
"""Weights of the backbone's blocks: `model.layers.0.`, `model.h.0.`, `model.blocks.0.`"""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Learning rate: a linear warm-up, then a cosine down to a tenth, which a linear cool-down may cut short.

    Attributes:
        num_steps: Of the run.
        learning_rate: At the peak; Muon's updates are scaled to AdamW's, so one rate serves both.
        num_warmup_steps: Steps until the peak.
        num_cooldown_steps: Last steps of the run, over which the rate falls to nothing as well.
        horizon: Steps of the cosine, if they are not those of the run: before the cool-down the length of the run then
            makes no difference.
    """

    num_steps: int
    learning_rate: float
    num_warmup_steps: int = 50
    num_cooldown_steps: int = 0
    horizon: int | None = None

    def at(self, step: int) -> float:
        """Learning rate of `step`."""
        if step < self.num_warmup_steps:
            return self.learning_rate * (step + 1) / self.num_warmup_steps
        horizon = self.horizon or self.num_steps
        share = min(1.0, (step - self.num_warmup_steps) / max(1, horizon - self.num_warmup_steps))
        rate = self.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * share)))
        num_left = self.num_steps - step
        return rate * num_left / self.num_cooldown_steps if num_left < self.num_cooldown_steps else rate


def fit(
    model: nn.Module,
    batches: Batches,
    losses: Callable[[Batch], dict[str, Tensor]],
    schedule: Schedule,
    checkpoint: Path,
    checkpoint_every: int = 100,
) -> None:
    """Train `model` in place; goes on from `checkpoint` where there is one, and leaves one at the end.

    Args:
        model: What is trained, on the device where it is: its parameters that require gradients.
        batches: One entry a step.
        losses: The sum of its values is minimised; the names are for the progress bar.
        schedule: Learning rate.
        checkpoint: File that holds weights, optimiser states and the step.
        checkpoint_every: Steps after which it is written.
    """
    optimizers = _optimizers(model)
    first_step = _resume(model, optimizers, checkpoint)
    steps = range(first_step, schedule.num_steps)
    loader: DataLoader[list[Batch]] = DataLoader(
        batches, batch_size=None, sampler=steps, num_workers=1, prefetch_factor=NUM_PREFETCHED
    )
    model.train()
    means: dict[str, float] = {}
    with tqdm(total=schedule.num_steps, initial=first_step, desc=checkpoint.stem, mininterval=2.0) as progress:
        for step, parts in zip(steps, loader, strict=True):
            for name, loss in _step(model, parts, losses, optimizers, schedule.at(step)).items():
                means[name] = 0.98 * means.get(name, loss) + 0.02 * loss
            progress.set_postfix({name: f"{mean:.4f}" for name, mean in means.items()}, refresh=False)
            progress.update()
            if (step + 1) % checkpoint_every == 0 or step + 1 == schedule.num_steps:
                _save(model, optimizers, step + 1, checkpoint)
    model.eval()


def _step(
    model: nn.Module,
    parts: list[Batch],
    losses: Callable[[Batch], dict[str, Tensor]],
    optimizers: list[Optimizer],
    learning_rate: float,
) -> dict[str, float]:
    sums: dict[str, float] = {}
    device = next(model.parameters()).device
    for part in parts:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):  # on a CPU float32 is faster
            named = losses(part.to(device))
        (sum(named.values(), torch.zeros((), device=device)) / len(parts)).backward()  # type: ignore[no-untyped-call]
        for name, loss in named.items():
            sums[name] = sums.get(name, 0.0) + loss.item() / len(parts)
    nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        optimizer.step()
        optimizer.zero_grad()
    return sums


def _optimizers(model: nn.Module) -> list[Optimizer]:
    trained = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    matrices = [
        weight for name, weight in trained if _IN_BLOCK.match(name) and weight.ndim == 2 and ADAPTER not in name
    ]
    chosen = {id(weight) for weight in matrices}
    optimizers: list[Optimizer] = []
    if matrices:
        optimizers.append(Muon(matrices, momentum=0.95, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"))
    if others := [weight for _, weight in trained if id(weight) not in chosen]:
        optimizers.append(AdamW(others, betas=(0.9, 0.98), weight_decay=0.0))
    return optimizers


def _resume(model: nn.Module, optimizers: list[Optimizer], checkpoint: Path) -> int:
    if not checkpoint.exists():
        return 0
    state = torch.load(checkpoint, weights_only=True)
    model.load_state_dict(state["model"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return int(state["step"])


def _save(model: nn.Module, optimizers: list[Optimizer], step: int, checkpoint: Path) -> None:
    """Write beside, then rename: an interrupted save leaves the last one."""
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    unfinished = checkpoint.with_suffix(".unfinished")
    state = {
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "step": step,
    }
    torch.save(state, unfinished)
    unfinished.replace(checkpoint)
