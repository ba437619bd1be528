"""Training of a scorer alone, on a backbone that stays as it is: one pass over the responses, then seconds.

The states where steps end are computed once, in bfloat16 as they are served, and kept on disk a few responses at a
time, so that an interrupted run goes on. The scorer is trained on states of mean 0 and deviation 1; in the end its
first layer takes this change of scale into its weights.
"""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import AdamW
from tqdm import trange

from models.prm.reward_model import RewardModel
from models.training.documents import IGNORED, Document, collate
from models.training.losses import judgement_loss
from models.training.optimization import Schedule

CHUNK = 16
"""Responses whose states are computed and kept together."""
WEIGHT_DECAY = 0.1
SMALLEST_DEVIATION = 1e-4


class States(NamedTuple):
    """Where the steps of a response end.

    Attributes:
        hidden: Of the backbone, (S, H).
        verdicts: What the scorer is to say, (S,).
        is_first: True up to the first error, (S,).
    """

    hidden: Tensor
    verdicts: Tensor
    is_first: Tensor


def fit_scorer(
    model: RewardModel, documents: Sequence[Document], schedule: Schedule, batch_size: int, seed: int, folder: Path
) -> None:
    """Train the scorer of `model` in place.

    Args:
        model: Its backbone is left as it is.
        documents: Labelled responses.
        schedule: Learning rate.
        batch_size: Responses a step.
        seed: Of the batches.
        folder: Keeps states.
    """
    responses = _compute(model, documents, folder)
    every = torch.cat([response.hidden for response in responses])
    mean, deviation = every.mean(0), every.std(0).clamp(min=SMALLEST_DEVIATION)
    optimizer = AdamW(model.scorer.parameters(), weight_decay=WEIGHT_DECAY)
    dice = Random(f"scorer {seed}")
    for step in trange(schedule.num_steps, desc="scorer", mininterval=2.0):
        hidden, verdicts, is_first = map(torch.cat, zip(*dice.choices(responses, k=batch_size), strict=True))
        loss = judgement_loss(model.judge((hidden - mean) / deviation), verdicts, is_first)
        for group in optimizer.param_groups:
            group["lr"] = schedule.at(step)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
    with torch.no_grad():
        first: Any = model.scorer[0]
        first.weight /= deviation
        first.bias -= first.weight @ mean


def _compute(model: RewardModel, documents: Sequence[Document], folder: Path) -> list[States]:
    """Compute the states of each response, or read those that `folder` keeps."""
    folder.mkdir(parents=True, exist_ok=True)
    precision = next(model.model.parameters()).dtype
    model.model.bfloat16()
    responses: list[States] = []
    for start in trange(0, len(documents), CHUNK, desc="states", mininterval=2.0):
        file = folder / f"states-{start}.pt"
        if not file.exists():
            unfinished = file.with_suffix(".unfinished")
            torch.save(_encode(model, documents[start : start + CHUNK]), unfinished)
            unfinished.replace(file)
        responses += [States(*kept) for kept in torch.load(file, weights_only=True)]
    model.model.to(precision)
    return responses


@torch.no_grad()
def _encode(model: RewardModel, documents: Sequence[Document]) -> list[tuple[Tensor, ...]]:
    batch = collate(documents).to(next(model.parameters()).device)
    hidden, judged = model.encode(batch.token_ids).float(), batch.verdicts != IGNORED
    return [
        tuple(each[row][judged[row]] for each in (hidden, batch.verdicts, batch.is_first))
        for row in range(len(documents))
    ]
