"""What the demo pair can do on held-out problems: the policy's pass@1, and how the reward model judges its steps."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from models.prm.reward_model import RewardModel, load_reward_model
from models.training.documents import Document, collate
from models.training.metrics import area_under_curve, calibration_error
from models.training.samples import Plan, Sample, draw_samples, read_samples

HELD_OUT = Plan(seed=1_000, num_shards=1, num_tasks=500, num_responses=8, num_continuations=0, held_out=True)
BATCH_SIZE = 64
ALL = "all"

T = TypeVar("T")


def evaluate_demo(demo: Path) -> None:
    """Sample held-out problems with the pair in `demo`, and print its tables."""
    with TemporaryDirectory() as directory:
        (shard,) = draw_samples(demo / "policy", HELD_OUT, Path(directory))
        samples = read_samples(shard)
    scores = score_documents(load_reward_model(demo / "prm"), [sample.document for sample in samples])
    console = Console(width=110)
    console.print(policy_table(samples))
    console.print(verifier_table(samples, scores))


@torch.inference_mode()
def score_documents(model: RewardModel, documents: Sequence[Document]) -> list[Tensor]:
    """The score of every step of each document, in their order."""
    scores: list[Tensor] = [torch.empty(0)] * len(documents)
    by_length = sorted(range(len(documents)), key=lambda index: len(documents[index].token_ids))
    for start in range(0, len(by_length), BATCH_SIZE):
        chosen = by_length[start : start + BATCH_SIZE]
        batch = model(collate([documents[index] for index in chosen]).token_ids)
        for row, index in enumerate(chosen):
            scores[index] = batch[row, list(documents[index].step_ends)]
    return scores


def policy_table(samples: Sequence[Sample]) -> Table:
    """Share of right answers by family and level."""
    levels = sorted({sample.level for sample in samples})
    table = Table("pass@1, %", *(f"level {level}" for level in levels), ALL, title=f"policy, {len(samples)} samples")
    for family, group in _by(samples, lambda sample: sample.family).items():
        by_level = _by(group, lambda sample: sample.level)
        table.add_row(str(family), *(_pass_at_1(by_level[level]) for level in (*levels, ALL)))
    return table


def verifier_table(samples: Sequence[Sample], scores: Sequence[Tensor]) -> Table:
    """Agreement of scores and labels by family.

    "First" counts steps up to the first error alone. A first error is found if it is the first step that scores
    below one half; a slip is an error of arithmetic.
    """
    title = f"reward model, {sum(map(len, scores))} steps"
    table = Table("family", "AUC", "AUC, first", "ECE", "errors found, %", "of method, %", "slips, %", title=title)
    for family, pairs in _by(zip(samples, scores, strict=True), lambda pair: pair[0].family).items():
        step_scores = torch.cat([each for _, each in pairs])
        labels = torch.tensor([label for sample, _ in pairs for label in sample.document.labels])
        first = torch.tensor([is_first for sample, _ in pairs for is_first in _until_error(sample.document.labels)])
        wrong = [pair for pair in pairs if not all(pair[0].document.labels)]
        table.add_row(
            str(family),
            _number(area_under_curve(step_scores, labels)),
            _number(area_under_curve(step_scores[first], labels[first])),
            _number(calibration_error(step_scores, labels)),
            _found(wrong),
            _found([pair for pair in wrong if not pair[0].is_slip]),
            _found([pair for pair in wrong if pair[0].is_slip]),
        )
    return table


def _by(items: Iterable[T], key: Callable[[T], Hashable]) -> dict[Hashable, list[T]]:
    groups: defaultdict[Hashable, list[T]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
        groups[ALL].append(item)
    groups[ALL] = groups.pop(ALL)  # the sum stands last
    return groups


def _pass_at_1(samples: Sequence[Sample]) -> str:
    return f"{100 * sum(sample.is_right for sample in samples) / len(samples):.1f}" if samples else "-"


def _until_error(labels: Sequence[bool]) -> list[bool]:
    first_error = labels.index(False) if False in labels else len(labels)
    return [index <= first_error for index in range(len(labels))]


def _found(pairs: Sequence[tuple[Sample, Tensor]]) -> str:
    if not pairs:
        return "-"
    found = 0
    for sample, scores in pairs:
        low = (scores < 0.5).nonzero()
        found += len(low) > 0 and int(low[0]) == sample.document.labels.index(False)
    return f"{100 * found / len(pairs):.1f} of {len(pairs)}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
