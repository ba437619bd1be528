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
from pathlib import Path
from random import Random
from typing import Any

import torch
from rich.console import Console
from transformers import AutoModelForCausalLM, AutoTokenizer

from models.checkpoints.checkpoint import CONFIG_FILE, check_causal_model, read_config
from models.checkpoints.fingerprint import REPORT_FILE
from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import CheckpointError
from models.labels.response import LabelledResponse
from models.prm.reward_model import WEIGHTS_FILE, RewardModel, load_reward_model, save_reward_model
from models.training.documents import Batches, Document
from models.training.prm.agreement import ALL, Judged, agreement_table, by_family, score_documents, steps_of
from models.training.prm.evidence import Evidence
from models.training.prm.labels import LabelReader, LabelsError, add_evidence, is_held_out
from models.training.prm.reliability import plot_reliability
from models.training.prm.reward import fit_reward_model, freeze_below, from_policy, unembedding_of
from models.training.prm.scorer import fit_scorer
from models.training.runs import CHECKPOINT_FOLDER, Plan, claim, is_done, show_skipped
from models.vllm.backbones import require_backbone

PLOT_FILE = "reliability.png"


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
class TrainingPlan(Plan):
    """How the reward model is trained.

    Attributes:
        num_layers: Upper layers of the backbone that are trained with the scorer; None for all of it.
    """

    epochs: float = 4.0
    batch_size: int = 64
    num_layers: int | None = None


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
    show_skipped(reader.skipped, console)
    training = [response for response in responses if not is_held_out(response.problem, plan.held_out)]
    held_out = [response for response in responses if is_held_out(response.problem, plan.held_out)]
    check_labels(training, held_out, plan.held_out)
    is_begun = claim(out, plan, label_files, LabelsError, policy=str(policy))
    if not (is_begun and is_done(out, WEIGHTS_FILE)):
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
