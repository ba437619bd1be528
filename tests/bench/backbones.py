"""Attention, TTT and the two in turn: the same size, the same data, the same number of steps, in one table.

    python -m tests.bench.backbones [--steps 600] [--documents 600] [--seed 0]

Each backbone is trained from random weights on the generator's solutions, as the demo verifier is in its first phase,
and judges held-out ones: as they are (about a hundred tokens), and behind so many other documents that they end at
2,048 tokens, which none was trained for. Speed and memory are of reading eight sequences at once, with one thread:
tokens per second, the rise of the process's peak memory, and what has to be kept of a sequence to read on behind it.
Intervals are bootstrapped over documents, the same resamples for all.
"""

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from models.labels.response import RIGHT_FROM
from models.prm.test_time_compute import BACKBONES, TestTimeCompute
from models.training.demo.documents import encode_solution, judged_document
from models.training.demo.tasks.corruption import corrupt
from models.training.demo.tasks.solution import solve
from models.training.demo.tasks.stream import held_out_tasks
from models.training.documents import (
    Batch,
    Batches,
    Document,
    collate,
    encode_prompt,
)
from models.training.losses import judgement_loss, language_loss
from models.training.optimization import Schedule, fit
from models.training.prm.metrics import area_under_curve
from models.training.prm.reward import LANGUAGE_WEIGHT, LEARNING_RATE
from tests.conftest import DEMO

HIDDEN_SIZE = 128
NUM_LAYERS = 4
BATCH_SIZE = 16
NUM_PARTS = 1
LENGTHS = (128, 2_048)
NUM_LONG = 100
NUM_SEQUENCES = 8
RESAMPLES = 500
MIB = 1 << 20

Judgement = tuple[Tensor, Tensor]
"""Scores and labels of a document's steps."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of reading `NUM_SEQUENCES` at once; the state is of one."""

    tokens_per_s: float
    peak_bytes: int
    state_bytes: int


def build(backbone: str, vocab_size: int) -> TestTimeCompute:
    """The same seed for all; they differ in the mixers alone."""
    torch.manual_seed(0)
    return TestTimeCompute(
        embed_dim=HIDDEN_SIZE,
        hidden_size=HIDDEN_SIZE,
        num_layers=NUM_LAYERS,
        dropout=0.0,
        vocab_size=vocab_size,
        backbone=backbone,
    )


def train(model: TestTimeCompute, tokenizer: PreTrainedTokenizerBase, num_steps: int, seed: int) -> None:
    """Train on the batches of `seed`, judging and predicting tokens as the demo verifier does."""

    def draw(rng: Random, step: int) -> Document:
        return judged_document(tokenizer, rng)

    def losses(batch: Batch) -> dict[str, Tensor]:
        hidden = model.encode(batch.token_ids)
        language = language_loss(hidden, model.get_parameter("model.embed_tokens.weight"), batch.next_tokens)
        return {
            "judge": judgement_loss(model.judge(hidden), batch.verdicts, batch.is_first),
            "language": LANGUAGE_WEIGHT * language,
        }

    batches = Batches(draw, BATCH_SIZE, NUM_PARTS, num_steps, f"backbones {seed}")
    with TemporaryDirectory() as directory:
        fit(model, batches, losses, Schedule(num_steps, LEARNING_RATE), Path(directory) / model.options.backbone)


def held_out_documents(tokenizer: PreTrainedTokenizerBase, count: int) -> list[Document]:
    """Solutions as in training, of held-out problems."""
    rng = Random("held-out documents")
    documents = []
    for task in islice(held_out_tasks(0), count):
        solution = solve(task.exercise, rng, is_careful=rng.random() < 0.5)
        if rng.random() < 0.4:
            solution = corrupt(task.exercise, solution, rng)
        documents.append(encode_solution(tokenizer, encode_prompt(tokenizer, task.problem), solution))
    return documents


def behind_others(documents: Sequence[Document], index: int, length: int) -> Document:
    """Document `index` at the end of a text of `length` tokens that the documents before it fill."""
    document = documents[index]
    filler: list[int] = []
    while len(filler) < length - len(document.token_ids):
        index -= 1
        filler = [*documents[index].token_ids, *filler]
    filler = filler[len(filler) + len(document.token_ids) - length :]
    ends = tuple(end + len(filler) for end in document.step_ends)
    return Document((*filler, *document.token_ids), len(filler), ends, document.labels)


@torch.inference_mode()
def judge(model: TestTimeCompute, documents: Sequence[Document]) -> list[Judgement]:
    """Scores and labels of every document."""
    judgements = []
    for start in range(0, len(documents), NUM_SEQUENCES):
        chosen = documents[start : start + NUM_SEQUENCES]
        logits = model.judge(model.encode(collate(chosen).token_ids))
        for row, document in zip(logits, chosen, strict=True):
            judgements.append((row[list(document.step_ends)], torch.tensor(document.labels) >= RIGHT_FROM))
    return judgements


def auc(judgements: Sequence[Judgement]) -> float:
    """Of all their steps together."""
    scores, labels = (torch.cat(each) for each in zip(*judgements, strict=True))
    return area_under_curve(scores, labels) or 0.0


def interval(judgements: Sequence[Judgement], others: Sequence[Judgement] | None = None) -> str:
    """The AUC, or how much it is above that of `others`, with its 95 % interval."""
    rng = Random(0)

    def value(rows: Sequence[int]) -> float:
        own = auc([judgements[row] for row in rows])
        return own if others is None else own - auc([others[row] for row in rows])

    rows = range(len(judgements))
    resampled = sorted(value(rng.choices(rows, k=len(rows))) for _ in range(RESAMPLES))
    tail, sign = RESAMPLES // 40, "" if others is None else "+"
    return f"{value(rows):{sign}.3f} ({resampled[tail]:{sign}.3f} to {resampled[-1 - tail]:{sign}.3f})"


@torch.inference_mode()
def measure(backbone: str, vocab_size: int, length: int) -> Cost:
    """Read sequences in this process, which should be a fresh one."""
    torch.set_num_threads(1)
    model = build(backbone, vocab_size).eval()
    model(torch.zeros(1, 32, dtype=torch.long))  # what is set up once
    token_ids = torch.randint(vocab_size, (NUM_SEQUENCES, length), generator=torch.Generator().manual_seed(0))
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _memory("VmRSS")
    states = model(token_ids).states
    peak = _memory("VmHWM") - before
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        model(token_ids)
        seconds.append(time.perf_counter() - start)
    tensors = [getattr(state, field.name) for state in states for field in fields(state) if field.name != "losses"]
    kept = sum(tensor.nbytes for tensor in tensors if isinstance(tensor, Tensor)) // NUM_SEQUENCES
    return Cost(token_ids.numel() / statistics.median(seconds), peak, kept)


def _memory(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def main(num_steps: int, num_documents: int, seed: int) -> None:
    """Train and measure all, and print the table."""
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(DEMO / "prm")
    documents = held_out_documents(tokenizer, num_documents)
    long = [behind_others(documents, index, LENGTHS[1]) for index in range(min(NUM_LONG, num_documents))]
    table = Table("", *BACKBONES, title=f"{num_steps} steps of {BATCH_SIZE} documents, seed {seed}")
    columns: list[list[str]] = []
    first: list[Judgement] = []
    for backbone in BACKBONES:
        model = build(backbone, len(tokenizer))
        start = time.perf_counter()
        train(model, tokenizer, num_steps, seed)
        minutes = (time.perf_counter() - start) / 60
        judgements = judge(model, documents)
        first = first or judgements
        column = [f"{sum(weight.numel() for weight in model.parameters()):,}", f"{minutes:.1f}"]
        column += [interval(judgements), interval(judgements, first), interval(judge(model, long))]
        for length in LENGTHS:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                cost = pool.apply(measure, (backbone, len(tokenizer), length))
            column += [f"{cost.tokens_per_s:,.0f}", f"{cost.peak_bytes / MIB:.1f}", f"{cost.state_bytes / 1024:,.0f}"]
        columns.append(column)
    rows = ["parameters", "training, min", f"step AUC, {num_documents} documents", "above attention", "AUC at 2,048"]
    rows += [f"{name}, {length:,}" for length in LENGTHS for name in ("tokens/s", "peak, MiB", "state, KiB")]
    for name, *cells in zip(rows, *columns, strict=True):
        table.add_row(name, *cells)
    Console(width=120).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--documents", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    main(arguments.steps, arguments.documents, arguments.seed)
