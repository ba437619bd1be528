"""Trains a policy on responses that somebody chose: supervised, all of its weights or a LoRA adapter.

What a search elected is better than what its policy says at once; trained on it, the policy says it at once more
often. `out` holds what is served: a whole checkpoint, or an adapter for vLLM. A share of the problems, by a hash of
their text, is kept out of the training and measured on: the loss of their responses, before and after.

Source: Gulcehre et al. 2023 (ReST, 2308.08998) and Yuan et al. 2023 (RFT, 2308.01825), for training on what was found;
Hu et al. 2021 (LoRA, 2106.09685).
Beyond the source: one round; more are this command on searches of the new policy.

Run on a CPU only; on CUDA it takes the first device.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import torch
from rich.console import Console
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from models.checkpoints.checkpoint import check_causal_model, read_config
from models.checkpoints.fingerprint import REPORT_FILE
from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.system_prompt import TRAINED_WITH
from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import CheckpointError
from models.files import parse_object, read_lines
from models.interfaces import Problem, Turn
from models.training.documents import Batch, Batches, Document, collate
from models.training.losses import next_token_loss
from models.training.optimization import fit
from models.training.prm.labels import is_held_out
from models.training.runs import CHECKPOINT_FOLDER, DataError, Plan, claim, is_done, show_skipped

MEASURED_AT_ONCE = 8
ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class PolicyPlan(Plan):
    """How the policy is trained.

    Attributes:
        lora_rank: Of the adapter, at least 1; None trains all weights.
    """

    epochs: float = 2.0
    batch_size: int = 32
    held_out: float = 0.05
    lora_rank: int | None = None


class Example(NamedTuple):
    """A problem and the response that is to be said."""

    problem: Problem
    response: str


@dataclass(frozen=True, slots=True)
class TrainedPolicy:
    """What came of a training.

    Attributes:
        num_skipped: Lines that were left out.
        loss_before, loss_after: Mean cross-entropy of a token of the responses held out, in nats.
    """

    num_skipped: int
    loss_before: float
    loss_after: float


class ExampleReader:
    """Reads rows of prompts and completions, as TRL has them: texts, or messages.

    Args:
        prompts: Of the policy.
        context: Of the policy, in tokens.

    Attributes:
        skipped: Lines that cannot be used, and why.
    """

    def __init__(self, prompts: PromptBuilder, context: int) -> None:
        self._prompts = prompts
        self._context = context
        self.skipped: list[str] = []

    def read(self, files: Sequence[Path]) -> list[tuple[Example, Document]]:
        """Return the examples of files, and how the policy is to say them.

        Raises:
            UnreadableFileError: A file cannot be read.
        """
        return [pair for file in files for pair in self._read(file)]

    def _read(self, file: Path) -> Iterator[tuple[Example, Document]]:
        for number, line in read_lines(file):
            try:
                example = example_of(parse_object(line))
                yield example, self._document(example)
            except ValueError as error:
                self.skipped.append(f"{file}, line {number}: {error}")

    def _document(self, example: Example) -> Document:
        prompt = self._prompts.build(example.problem)
        end_id = self._prompts.tokenizer.end_id
        token_ids = (*prompt, *self._prompts.tokenizer.encode(example.response), *([] if end_id is None else [end_id]))
        if len(token_ids) > self._context:
            raise ValueError(f"{len(token_ids)} tokens do not fit: at most {self._context} do")
        return Document(token_ids, len(prompt), (len(token_ids) - 1,), (1.0,))


def example_of(row: dict[str, Any]) -> Example:
    """Read a row.

    Raises:
        ValueError: It is no prompt and completion.
    """
    for name in ("prompt", "completion"):
        if name not in row:
            raise ValueError(f"no field {name}; it has {', '.join(row) or 'none'}")
    *before, (role, problem) = _turns(row["prompt"], "prompt", "user")
    if role != "user":
        raise ValueError("the last message of prompt is not the user's")
    system = [text for role, text in before if role == "system"]
    history = tuple(Turn(role, text) for role, text in before if role != "system")  # type: ignore[arg-type]  # checked
    response = "".join(text for _, text in _turns(row["completion"], "completion", "assistant"))
    if not response.strip():
        raise ValueError("completion is blank")
    return Example(Problem(problem, system[0] if system else None, history), response)


def _turns(value: Any, name: str, role: str) -> list[tuple[str, str]]:
    if isinstance(value, str):
        return [(role, value)]
    try:
        turns = [(turn["role"], turn["content"]) for turn in value]
    except (TypeError, KeyError):
        raise ValueError(f"{name} is neither a text nor a list of messages") from None
    if not turns or not all(each in ROLES and isinstance(text, str) for each, text in turns):
        raise ValueError(f"{name} is no list of messages with a role ({', '.join(ROLES)}) and a text as content")
    return turns


def train_policy(
    policy: Path, files: Sequence[Path], out: Path, plan: PolicyPlan, system_prompt: str | None = None
) -> TrainedPolicy:
    """Train a policy and write it to `out`.

    Args:
        policy: Checkpoint to start from.
        files: JSON lines with `prompt` and `completion`. Lines that cannot be used are named and left out.
        out: A training that was interrupted there goes on, and a finished one is not repeated.
        plan: How it is trained.
        system_prompt: Of rows that have none.

    Raises:
        CheckpointError: The policy cannot be used, or LoRA needs a package that is missing.
        DataError: The rows cannot be used, or `out` holds another training.
    """
    console = Console(width=110, highlight=False)
    check_causal_model(policy)
    reader = ExampleReader(
        PromptBuilder(ChatTokenizer(policy), system_prompt), read_config(policy)["max_position_embeddings"]
    )
    examples = reader.read(files)
    show_skipped(reader.skipped, console)
    training = [document for example, document in examples if not is_held_out(example.problem.text, plan.held_out)]
    held_out = [document for example, document in examples if is_held_out(example.problem.text, plan.held_out)]
    if not training or not held_out:
        raise DataError(
            f"{len(training)} responses are to train on and {len(held_out)} to measure on: bring more problems, or "
            f"hold out another share than {plan.held_out}"
        )
    is_begun = claim(out, plan, files, policy=str(policy), system_prompt=system_prompt)
    if is_begun and is_done(out, REPORT_FILE):
        report = json.loads((out / REPORT_FILE).read_text())
    else:
        own = (example.problem.system_prompt for example, _ in examples)
        told = {(system_prompt if each is None else each) or None for each in own}
        report = _train(policy, training, held_out, out, plan)
        report |= {TRAINED_WITH: told.pop()} if len(told) == 1 else {}
        write_report(out, report)
    return TrainedPolicy(len(reader.skipped), report["loss_before"], report["loss_after"])


def write_report(out: Path, report: Mapping[str, Any]) -> None:
    """Write what came of a training, which ends it."""
    (out / REPORT_FILE).write_text(json.dumps(report, indent=2) + "\n")
    shutil.rmtree(out / CHECKPOINT_FOLDER)


def _train(
    policy: Path, training: Sequence[Document], held_out: Sequence[Document], out: Path, plan: PolicyPlan
) -> dict[str, Any]:
    """Train, write the policy, and return the report: the losses before and after."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(plan.seed)
    model: Any = AutoModelForCausalLM.from_pretrained(policy, dtype=torch.float32)
    model = model.to(device)
    before = measure_loss(model, held_out)
    trained: Any = model if plan.lora_rank is None else with_adapter(model, plan.lora_rank)

    def draw(rng: Random, step: int) -> Document:
        return rng.choice(training)

    def losses(batch: Batch) -> dict[str, Tensor]:
        logits = trained(input_ids=batch.token_ids, use_cache=False).logits
        return {"loss": next_token_loss(logits, batch.next_tokens)}

    schedule = plan.schedule(len(training))
    batches = Batches(draw, plan.batch_size, plan.num_parts, schedule.num_steps, f"responses {plan.seed}")
    fit(trained, batches, losses, schedule, out / CHECKPOINT_FOLDER / "policy.pt")
    after = measure_loss(trained, held_out)
    (trained.to(torch.bfloat16) if plan.lora_rank is None else trained).save_pretrained(out)
    if plan.lora_rank is None:
        AutoTokenizer.from_pretrained(policy).save_pretrained(out)
    return {"loss_before": before, "loss_after": after}


def with_adapter(model: PreTrainedModel, rank: int) -> Any:
    """Return a model whose weights stay, with a LoRA adapter on every linear layer that is trained.

    Raises:
        CheckpointError: peft is not installed.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError:
        raise CheckpointError('LoRA needs peft: pip install "winnow[lora]", or train all weights') from None
    return get_peft_model(model, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear"))


@torch.inference_mode()
def measure_loss(model: nn.Module, documents: Sequence[Document]) -> float:
    """Return the mean cross-entropy of a token of the responses, in nats."""
    device, total, number = next(model.parameters()).device, 0.0, 0
    model.eval()
    by_length = sorted(documents, key=lambda each: len(each.token_ids))
    for first in range(0, len(by_length), MEASURED_AT_ONCE):
        part = by_length[first : first + MEASURED_AT_ONCE]
        batch = collate(part).to(device)
        num_tokens = sum(len(each.token_ids) - each.num_prompt_tokens for each in part)
        logits = model(input_ids=batch.token_ids, use_cache=False).logits
        total += next_token_loss(logits, batch.next_tokens).item() * num_tokens
        number += num_tokens
    return total / number
