"""How well a reward model's scores agree with the labels: numbers, and the tables made of them.

Knows labels and scores of steps; does not know where either comes from. Labels may be shares, such as Monte-Carlo ones:
a step then counts as right from one half, and calibration is measured against the share itself.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

import torch
from rich.table import Table
from torch import Tensor
from tqdm import trange

from models.labels.response import RIGHT_FROM
from models.prm.reward_model import RewardModel
from models.training.documents import Document, collate, first_error
from models.training.prm.evidence import MIN_STEPS
from models.training.prm.metrics import area_error, area_under_curve, calibration_error

BATCH_SIZE = 16
CHANCE = 0.5
ALL = "all"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Judged:
    """A response, labelled and scored.

    Attributes:
        labels: Of its steps, in [0, 1].
        scores: Of its steps, (S,).
        family: Kind of its problem; None where nobody says.
        error_kind: Kind of its first error; None where it has none, or nobody says.
    """

    labels: tuple[float, ...]
    scores: Tensor
    family: str | None = None
    error_kind: str | None = None

    @property
    def is_wrong(self) -> bool:
        """Whether some step is wrong."""
        return first_error(self.labels) is not None

    @property
    def is_found(self) -> bool:
        """Whether the first step that is wrong is the first that scores so."""
        return first_error(self.labels) == first_error(self.scores.tolist())


@dataclass(frozen=True, slots=True)
class Detection:
    """How many first errors there were, and how many of them were found."""

    num_errors: int
    num_found: int

    def __str__(self) -> str:
        return f"{100 * self.num_found / self.num_errors:.1f} of {self.num_errors}" if self.num_errors else "-"


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of scores and labels.

    Attributes:
        num_steps: How many were judged.
        num_right: How many of them are right.
        auc: Probability that a right step scores above a wrong one; None where fewer than `MIN_STEPS` are of one kind.
        auc_error: Its standard error.
        auc_first: The same of the steps up to the first error alone: those behind it are easy.
        calibration_error: Expected calibration error.
        found: First errors found, of all and of each kind that the data names.
    """

    num_steps: int
    num_right: int
    auc: float | None
    auc_error: float | None
    auc_first: float | None
    calibration_error: float
    found: Mapping[str, Detection]

    @property
    def fault(self) -> str | None:
        """Why the model cannot be called good; None if it judges better than chance."""
        counts = f"{self.num_right:,} right and {self.num_steps - self.num_right:,} wrong steps"
        if self.auc is None or self.auc_error is None:
            return f"AUC not measurable: it rests on {counts}, and needs {MIN_STEPS} of each"
        if self.auc - 2 * self.auc_error <= CHANCE:
            return f"no better than chance: AUC {self.auc:.3f} ± {self.auc_error:.3f} on {counts}"
        return None


@torch.inference_mode()
def score_documents(model: RewardModel, documents: Sequence[Document]) -> list[Tensor]:
    """The score of every step of each document, in their order."""
    device = next(model.parameters()).device
    scores: list[Tensor] = [torch.empty(0)] * len(documents)
    by_length = sorted(range(len(documents)), key=lambda index: len(documents[index].token_ids))
    for start in trange(0, len(by_length), BATCH_SIZE, desc="judging", mininterval=2.0):
        chosen = by_length[start : start + BATCH_SIZE]
        batch = model(collate([documents[index] for index in chosen]).token_ids.to(device)).cpu()
        for row, index in enumerate(chosen):
            scores[index] = batch[row, list(documents[index].step_ends)]
    return scores


def by_family(judged: Sequence[Judged]) -> dict[str, Agreement]:
    """The agreement on each family that the data names, and on all at the end."""
    named = [each for each in judged if each.family is not None]
    groups = group_by(named, lambda each: str(each.family)) | {ALL: list(judged)}
    return {family: agreement_on(group) for family, group in groups.items()}


def agreement_on(judged: Sequence[Judged]) -> Agreement:
    """The agreement on some responses."""
    scores, labels = steps_of(judged)
    is_right, first = labels >= RIGHT_FROM, torch.tensor([*chain(*(_until_error(each.labels) for each in judged))])
    wrong = [each for each in judged if each.is_wrong]
    kinds = group_by([each for each in wrong if each.error_kind], lambda each: str(each.error_kind))
    auc, num_right = _auc(scores, is_right), int(is_right.sum())
    return Agreement(
        num_steps=len(scores),
        num_right=num_right,
        auc=auc,
        auc_error=None if auc is None else area_error(auc, num_right, len(scores) - num_right),
        auc_first=_auc(scores[first], is_right[first]),
        calibration_error=calibration_error(scores, labels),
        found={kind: _detection(group) for kind, group in ({ALL: wrong} | kinds).items()},
    )


def steps_of(judged: Sequence[Judged]) -> tuple[Tensor, Tensor]:
    """Scores and labels of all steps, (N,) each."""
    labels = torch.tensor([label for each in judged for label in each.labels], dtype=torch.float32)
    return torch.cat([each.scores for each in judged]), labels


def agreement_table(agreements: Mapping[str, Agreement]) -> Table:
    """One row a family, one column a kind of error. A first error is found if it is the first step below one half.

    Where an AUC would rest on a handful of right or wrong steps there is none.
    """
    kinds = sorted({kind for agreement in agreements.values() for kind in agreement.found} - {ALL})
    title = f"reward model, {agreements[ALL].num_steps} steps"
    columns = ("family", "right", "wrong", "AUC", "AUC, first", "ECE", "first errors found, %")
    table = Table(*columns, *(f"of {kind}, %" for kind in kinds), title=title)
    for family, agreement in agreements.items():
        found = [agreement.found.get(kind, Detection(0, 0)) for kind in (ALL, *kinds)]
        counts = (agreement.num_right, agreement.num_steps - agreement.num_right)
        numbers = (agreement.auc, agreement.auc_first, agreement.calibration_error)
        table.add_row(family, *map(str, counts), *map(_number, numbers), *map(str, found))
    return table


def group_by(items: Iterable[T], key: Callable[[T], str]) -> dict[str, list[T]]:
    """The items under their keys, the keys in order."""
    groups: defaultdict[str, list[T]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return dict(sorted(groups.items()))


def _auc(scores: Tensor, is_right: Tensor) -> float | None:
    num_right = int(is_right.sum())
    is_enough = min(num_right, len(scores) - num_right) >= MIN_STEPS
    return area_under_curve(scores, is_right) if is_enough else None


def _until_error(labels: Sequence[float]) -> list[bool]:
    error = first_error(labels)
    return [error is None or index <= error for index in range(len(labels))]


def _detection(wrong: Sequence[Judged]) -> Detection:
    return Detection(len(wrong), sum(each.is_found for each in wrong))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
