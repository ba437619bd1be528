"""Trains a reward model for any policy on step labels that somebody brought, and says how well it judges.

The reward model is the policy's backbone and a new scorer. A share of the problems, by a hash of their text, is kept
out of the training and measured on. Labels that cannot teach to tell right from wrong, or leave nothing to measure, are
refused before anything is trained. `out` holds the checkpoint that is served, the report and the reliability plot, and
until the training is done what it goes on from if it is interrupted.

Run on a CPU only; on CUDA it takes the first device.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import Any

import torch
from rich.console import Console
from transformers import AutoModelForCausalLM, AutoTokenizer

from models.checkpoints.checkpoint import CONFIG_FILE, check_causal_model, read_config
from models.checkpoints.fingerprint import REPORT_FILE, TRAINING_FILE
from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import CheckpointError
from models.labels.response import LabelledResponse
from models.prm.reward_model import WEIGHTS_FILE, RewardModel, load_reward_model, save_reward_model
from models.training.documents import Batches, Document
from models.training.optimization import Schedule
from models.training.prm.agreement import ALL, Judged, agreement_table, by_family, score_documents, steps_of
from models.training.prm.evidence import Evidence
from models.training.prm.labels import LabelReader, LabelsError, add_evidence, is_held_out
from models.training.prm.reliability import plot_reliability
from models.training.prm.reward import fit_reward_model, freeze_below, from_policy, unembedding_of
from models.training.prm.scorer import fit_scorer
from models.vllm.backbones import require_backbone

PLOT_FILE = "reliability.png"
WARMUP_SHARE = 0.1
MAX_WARMUP_STEPS = 50
CHECKPOINT_FOLDER = "checkpoint"
NUM_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of a training.

    Attributes:
        num_skipped: Lines of labels that were left out.
        fault: Why the reward model cannot be called good; None if it judges better than chance.
    """

    num_skipped: int
    fault: str | None


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How the reward model is trained.

    Attributes:
        epochs: How often each response is seen, on average.
        batch_size: Responses a step.
        num_parts: Parts that a batch is computed in, one after the other; more take less memory.
        learning_rate: At its peak.
        held_out: Share of problems that are measured on, in (0, 1).
        seed: Of the scorer's first weights and of the batches.
        num_layers: Upper layers of the backbone that are trained with the scorer; None for all of it.
    """

    epochs: float = 4.0
    batch_size: int = 64
    num_parts: int = 4
    learning_rate: float = 1e-4
    held_out: float = 0.1
    seed: int = 0
    num_layers: int | None = None

    def schedule(self, num_documents: int) -> Schedule:
        """Learning rate over the whole training."""
        num_steps = max(1, round(self.epochs * num_documents / self.batch_size))
        return Schedule(num_steps, self.learning_rate, min(MAX_WARMUP_STEPS, round(WARMUP_SHARE * num_steps)))


def train_prm(
    policy: Path,
    label_files: Sequence[Path],
    out: Path,
    plan: TrainingPlan,
    checkpoint_every: int = 100,
    format_name: str | None = None,
) -> Trained:
    """Train a reward model, write it to `out` and print how well it judges the problems held out.

    Args:
        policy: Checkpoint of the policy whose responses were labelled: of any backbone that can be served.
        label_files: In one of `models.labels.formats`. Lines that cannot be used are named and left out.
        out: A training that was interrupted there goes on, and a finished one is measured again.
        plan: How it is trained.
        checkpoint_every: Steps after which an interrupted training can go on.
        format_name: Of the files; None recognises the format of each.

    Raises:
        CheckpointError: The policy cannot be used.
        LabelsError: The labels cannot be used, or `out` holds another training.
    """
    console = Console(width=110, highlight=False)
    config = _check_policy(policy)
    prompts = PromptBuilder(ChatTokenizer(policy))
    reader = LabelReader(prompts, config["vocab_size"], config["max_position_embeddings"], format_name)
    responses = reader.read(label_files)
    _show_skipped(reader, console)
    training = [response for response in responses if not is_held_out(response.problem, plan.held_out)]
    held_out = [response for response in responses if is_held_out(response.problem, plan.held_out)]
    check_labels(training, held_out, plan.held_out)
    is_begun = _claim(out, policy, label_files, plan)
    if not (is_begun and _is_done(out)):
        _train(policy, [reader.document(response) for response in training], out, plan, checkpoint_every)
    AutoTokenizer.from_pretrained(policy).save_pretrained(out)
    judged = judge_responses(load_reward_model(out), held_out, [reader.document(response) for response in held_out])
    agreements = by_family(judged)
    report = {family: asdict(agreement) for family, agreement in agreements.items()}
    (out / REPORT_FILE).write_text(json.dumps(report, indent=2) + "\n")
    plot_reliability(*steps_of(judged), out / PLOT_FILE)
    console.print(f"trained on {len(training)} responses; {len(held_out)} held out:")
    console.print(agreement_table(agreements))
    return Trained(len(reader.skipped), agreements[ALL].fault)


def check_labels(training: Sequence[LabelledResponse], held_out: Sequence[LabelledResponse], share: float) -> None:
    """Refuse labels that cannot teach, or leave nothing to measure.

    Args:
        training: What is learnt from.
        held_out: What is measured on.
        share: Of problems that are held out.

    Raises:
        LabelsError: They are refused; the message has the counts and says what to do.
    """
    more = f"label more problems, or hold out another share than {share}"
    if not training or not held_out:
        raise LabelsError(f"{len(training)} responses are to train on and {len(held_out)} to measure on: {more}")
    learnt, measured = Evidence(), Evidence()
    for responses, evidence in ((training, learnt), (held_out, measured)):
        for response in responses:
            add_evidence(evidence, response)
    if fault := learnt.unread or learnt.one_sided:
        raise LabelsError(fault)
    if fault := learnt.too_small:
        raise LabelsError(f"too little to learn from: {fault}: label more problems")
    if fault := measured.too_small:
        raise LabelsError(f"the AUC would not be measurable on what is held out: {fault}: {more}")


def judge_responses(
    model: RewardModel, responses: Sequence[LabelledResponse], documents: Sequence[Document]
) -> list[Judged]:
    """The responses as the reward model scores them."""
    scores = score_documents(model, documents)
    return [Judged(r.known_labels, each, r.family, r.error_kind) for r, each in zip(responses, scores, strict=True)]


def _check_policy(policy: Path) -> dict[str, Any]:
    require_backbone(policy)
    check_causal_model(policy)
    config = read_config(policy)
    for field in ("vocab_size", "max_position_embeddings"):
        if not isinstance(config.get(field), int):
            raise CheckpointError(f"{policy / CONFIG_FILE}: {field} is {config.get(field)!r}, not a whole number")
    return config


def _train(policy: Path, documents: Sequence[Document], out: Path, plan: TrainingPlan, checkpoint_every: int) -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    causal = AutoModelForCausalLM.from_pretrained(policy, dtype=torch.float32)
    unembedding = unembedding_of(causal, device)
    model = from_policy(causal, plan.seed).to(device)

    def draw(rng: Random, step: int) -> Document:
        return rng.choice(documents)

    schedule = plan.schedule(len(documents))
    work = out / CHECKPOINT_FOLDER
    if plan.num_layers == 0:
        fit_scorer(model, documents, schedule, plan.batch_size, plan.seed, work)
    else:
        if plan.num_layers is not None:
            freeze_below(model, plan.num_layers)
        batches = Batches(draw, plan.batch_size, plan.num_parts, schedule.num_steps, f"labels {plan.seed}")
        fit_reward_model(model, batches, schedule, work / "prm.pt", unembedding, checkpoint_every)
    save_reward_model(model, out)
    shutil.rmtree(work)


def _is_done(out: Path) -> bool:
    """Whether the training that was begun in `out` has ended: what it would go on from is removed last."""
    return (out / WEIGHTS_FILE).exists() and not (out / CHECKPOINT_FOLDER).exists()


def _claim(out: Path, policy: Path, label_files: Sequence[Path], plan: TrainingPlan) -> bool:
    """See that a training in `out` is this one, from which it can go on; or say there that it is.

    Returns:
        Whether it was begun before.
    """
    digests = [blake2b(file.read_bytes(), digest_size=8).hexdigest() for file in label_files]
    training = {"policy": str(policy), "labels": digests, **asdict(plan)}
    file = out / TRAINING_FILE
    if file.exists():
        other = json.loads(file.read_text())
        changed = sorted(name for name in training if other.get(name) != training[name])
        if changed:
            raise LabelsError(f"{file}: another training is in this folder, with another {', '.join(changed)}")
        return True
    out.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(training, indent=2) + "\n")
    return False


def _show_skipped(reader: LabelReader, console: Console) -> None:
    for line in reader.skipped[:NUM_SHOWN]:
        console.print(f"{line}; left out", style="yellow", markup=False)
    if len(reader.skipped) > NUM_SHOWN:
        console.print(f"and {len(reader.skipped) - NUM_SHOWN:,} more are left out", style="yellow")
