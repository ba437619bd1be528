"""Token documents: a prompt, a response, and what is known of its steps, batched for training.

A document's prompt is the policy's own (chat template and generation prompt), for the policy and the reward model
alike. Batches are pure functions of a seed and a step number, so a run that was interrupted goes on with the batches
that it would have had.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from models.labels.response import RIGHT_FROM

IGNORED = -100


@dataclass(frozen=True, slots=True)
class Document:
    """One prompt and response.

    Attributes:
        token_ids: All of them; the end of sequence too, if the response is complete.
        num_prompt_tokens: Of these, how many are the prompt.
        step_ends: Index of the last token of each step.
        labels: Of each step, in [0, 1]: 1 if it is right, all before it included; between them if that is not certain.
    """

    token_ids: tuple[int, ...]
    num_prompt_tokens: int
    step_ends: tuple[int, ...]
    labels: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """Documents side by side, padded on the right.

    Attributes:
        token_ids: (B, T).
        next_tokens: Token to predict at each position, `IGNORED` in prompt and padding, (B, T).
        verdicts: At step ends the labels, elsewhere `IGNORED`, (B, T).
        is_first: True at step ends up to the first error, (B, T).
    """

    token_ids: Tensor
    next_tokens: Tensor
    verdicts: Tensor
    is_first: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same batch on a device."""
        return Batch(
            self.token_ids.to(device), self.next_tokens.to(device), self.verdicts.to(device), self.is_first.to(device)
        )


def first_error(labels: Sequence[float]) -> int | None:
    """Index of the first step that is more likely wrong than right."""
    return next((index for index, label in enumerate(labels) if label < RIGHT_FROM), None)


def encode_prompt(
    tokenizer: PreTrainedTokenizerBase, problem: str, system_prompt: str | None = None, **variables: Any
) -> list[int]:
    """Token ids of the chat that asks `problem`; for texts of our own, which spell no special token.

    Args:
        tokenizer: Has the chat template.
        problem: Asked.
        system_prompt: Instruction before it.
        variables: Of the template, such as `enable_thinking`.
    """
    chat = [{"role": "user", "content": problem}]
    if system_prompt is not None:
        chat.insert(0, {"role": "system", "content": system_prompt})
    text = str(tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False, **variables))
    token_ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return token_ids


class Batches(Dataset[list[Batch]]):
    """The batches of a training run, each a list of parts of similar length to be accumulated.

    Args:
        draw: Makes document `step` times `batch_size` plus its place in the batch.
        batch_size: Documents a step.
        num_parts: Parts a step.
        num_steps: Of the run.
        seed: Of the run.
    """

    def __init__(
        self, draw: Callable[[Random, int], Document], batch_size: int, num_parts: int, num_steps: int, seed: str
    ) -> None:
        self._draw = draw
        self._batch_size = batch_size
        self._num_parts = num_parts
        self._num_steps = num_steps
        self._seed = seed

    def __len__(self) -> int:
        return self._num_steps

    def __getitem__(self, step: int) -> list[Batch]:
        rng = Random(f"{self._seed} {step}")
        documents = [self._draw(rng, step) for _ in range(self._batch_size)]
        documents.sort(key=lambda document: len(document.token_ids))
        size = self._batch_size // self._num_parts
        return [collate(documents[start : start + size]) for start in range(0, self._batch_size, size)]


def collate(documents: Sequence[Document]) -> Batch:
    """Pad `documents` to the longest of them."""
    shape = (len(documents), max(len(document.token_ids) for document in documents))
    token_ids = torch.zeros(shape, dtype=torch.long)
    next_tokens = torch.full(shape, IGNORED)
    verdicts = torch.full(shape, float(IGNORED))
    is_first = torch.zeros(shape, dtype=torch.bool)
    for row, document in enumerate(documents):
        length = len(document.token_ids)
        ids = torch.tensor(document.token_ids)
        token_ids[row, :length] = ids
        next_tokens[row, document.num_prompt_tokens - 1 : length - 1] = ids[document.num_prompt_tokens :]
        for end, label in zip(document.step_ends, document.labels, strict=True):
            verdicts[row, end] = float(label)
        if length > document.step_ends[-1] + 1:  # the end of sequence belongs to the last step
            verdicts[row, length - 1] = float(document.labels[-1])
        error = first_error(document.labels)
        last_judged = length if error is None else document.step_ends[error] + 1
        is_first[row, :last_judged] = True
    return Batch(token_ids, next_tokens, verdicts, is_first & (verdicts != IGNORED))
