"""Training of a policy on chosen responses: what is read, what is learnt, and what is served afterwards."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.system_prompt import suggest_system_prompt
from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import CheckpointError
from models.interfaces import Problem, Turn
from models.training.documents import Document
from models.training.policy import (
    Example,
    ExampleReader,
    PolicyPlan,
    example_of,
    measure_loss,
    train_policy,
)
from models.training.runs import CHECKPOINT_FOLDER, DataError
from server.settings import DEMO

POLICY = DEMO / "policy"
RESPONSE = "## Step 1: Add\n{a} + {b} = {c}\n\nThe final answer is: $\\boxed{{{c}}}$"
PLAN = PolicyPlan(epochs=2, batch_size=8, num_parts=2, learning_rate=2e-3, held_out=0.25)


def rows(number: int) -> list[dict[str, Any]]:
    return [
        {"prompt": f"Add {a} to {a + 1}.", "completion": RESPONSE.format(a=a, b=a + 1, c=2 * a + 1)}
        for a in range(number)
    ]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    file = tmp_path / "chosen.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows(32)))
    return file


def test_texts_and_messages_are_the_same_example() -> None:
    messages = {
        "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1 + 1"}],
        "completion": [{"role": "assistant", "content": "2"}],
    }
    assert example_of({"prompt": "1 + 1", "completion": "2"}) == Example(Problem("1 + 1"), "2")
    assert example_of(messages) == Example(Problem("1 + 1", "Be brief."), "2")
    said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}, *messages["prompt"][1:]]
    history = (Turn("user", "Hi"), Turn("assistant", "Hello"))
    assert example_of({"prompt": said, "completion": "2"}).problem == Problem("1 + 1", None, history)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "1"}, "no field completion; it has prompt"),
        ({"prompt": "1", "completion": " "}, "completion is blank"),
        ({"prompt": 1, "completion": "2"}, "prompt is neither a text nor a list"),
        ({"prompt": [{"role": "tool", "content": "1"}], "completion": "2"}, "no list of messages with a role"),
        ({"prompt": [{"role": "assistant", "content": "1"}], "completion": "2"}, "last message of prompt is not"),
        ({"prompt": [], "completion": "2"}, "no list of messages"),
        ({"prompt": "1", "completion": [{"role": "assistant", "content": None}]}, "no list of messages"),
    ],
)
def test_a_row_that_is_no_example_is_named(row: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        example_of(row)


def test_a_document_is_the_policys_prompt_the_response_and_the_end(tmp_path: Path) -> None:
    prompts = PromptBuilder(ChatTokenizer(POLICY))
    file = tmp_path / "chosen.jsonl"
    file.write_text(
        '{"prompt": "1 + 1", "completion": "2"}\nnonsense\n{"prompt": "1", "completion": "' + "9" * 4000 + '"}\n'
    )
    reader = ExampleReader(prompts, 512)
    ((_, document),) = reader.read([file])
    prompt = prompts.build(Problem("1 + 1"))
    expected = (*prompt, *prompts.tokenizer.encode("2"), prompts.tokenizer.end_id)
    assert (document.token_ids, document.num_prompt_tokens) == (expected, len(prompt))
    assert "line 2: not JSON" in reader.skipped[0]
    assert "line 3: " in reader.skipped[1]
    assert "at most 512 do" in reader.skipped[1]


def test_the_loss_is_that_of_the_responses_tokens_alone() -> None:
    model = AutoModelForCausalLM.from_pretrained(POLICY, dtype=torch.float32)
    prompts = PromptBuilder(ChatTokenizer(POLICY))
    documents, expected, number = [], 0.0, 0
    for row in rows(5):
        prompt = prompts.build(Problem(row["prompt"]))
        ids = (*prompt, *prompts.tokenizer.encode(row["completion"]))
        documents.append(Document(ids, len(prompt), (len(ids) - 1,), (1.0,)))
        logits = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        expected -= sum(logits[place - 1, ids[place]].item() for place in range(len(prompt), len(ids)))
        number += len(ids) - len(prompt)
    assert measure_loss(model, documents) == pytest.approx(expected / number, rel=1e-4)


def test_it_learns_and_leaves_a_checkpoint_that_can_be_served(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    trained = train_policy(POLICY, [data], out, PLAN)
    assert trained.loss_after < 0.8 * trained.loss_before
    assert not (out / CHECKPOINT_FOLDER).exists()
    report = json.loads((out / "report.json").read_text())
    assert report == {"loss_before": trained.loss_before, "loss_after": trained.loss_after, "system_prompt": None}
    assert train_policy(POLICY, [data], out, PLAN) == trained
    prompts = PromptBuilder(ChatTokenizer(out))
    assert prompts.build(Problem("?")) == PromptBuilder(ChatTokenizer(POLICY)).build(Problem("?"))
    model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)
    reader = ExampleReader(prompts, 512)
    assert measure_loss(model, [document for _, document in reader.read([data])]) < trained.loss_before


def test_an_adapter_learns_and_the_weights_stay(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    out = tmp_path / "adapter"
    trained = train_policy(POLICY, [data], out, PolicyPlan(2, 8, 2, 5e-3, 0.25, lora_rank=8))
    assert trained.loss_after < 0.9 * trained.loss_before
    assert (out / "adapter_model.safetensors").stat().st_size < 1 << 20
    assert json.loads((out / "adapter_config.json").read_text())["r"] == 8


def test_another_training_in_the_folder_is_refused(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    train_policy(POLICY, [data], out, PolicyPlan(epochs=0.1, batch_size=4, held_out=0.25))
    with pytest.raises(DataError, match="another training is in this folder, with another epochs"):
        train_policy(POLICY, [data], out, PolicyPlan(epochs=0.2, batch_size=4, held_out=0.25))


def test_a_finished_training_is_not_repeated(data: Path, tmp_path: Path) -> None:
    plan, out = PolicyPlan(epochs=0.1, batch_size=4, held_out=0.25), tmp_path / "out"
    first = train_policy(POLICY, [data], out, plan)
    weights = (out / "model.safetensors").stat().st_mtime_ns
    assert train_policy(POLICY, [data], out, plan) == first
    assert (out / "model.safetensors").stat().st_mtime_ns == weights


def test_too_few_problems_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "one.jsonl"
    file.write_text(json.dumps(rows(1)[0]) + "\n")
    with pytest.raises(DataError, match="bring more problems"):
        train_policy(POLICY, [file], tmp_path / "out", PLAN)


def test_a_policy_that_is_none_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        train_policy(tmp_path / "nothing", [data], tmp_path / "out", PLAN)


def test_what_all_rows_were_told_is_kept_for_those_who_serve_it(tmp_path: Path) -> None:
    told = [{"role": "system", "content": "Solve it."}]
    rows_of = [{**row, "prompt": [*told, {"role": "user", "content": row["prompt"]}]} for row in rows(24)]
    file, plan = tmp_path / "rows.jsonl", PolicyPlan(1, 8, 2, 1e-3, 0.25)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows_of))
    train_policy(POLICY, [file], tmp_path / "one", plan)
    assert suggest_system_prompt(tmp_path / "one") == ("Solve it.", "as it was trained")
    file.write_text("".join(json.dumps(row) + "\n" for row in [*rows_of, *rows(24)]))
    train_policy(POLICY, [file], tmp_path / "many", plan)
    assert suggest_system_prompt(tmp_path / "many").origin != "as it was trained"
