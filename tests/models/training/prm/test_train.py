"""Training on labels: a tiny model learns shares that it can read off a word, and the rest of a training around it."""

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import CheckpointError
from models.prm.reward_model import load_reward_model
from models.training import optimization
from models.training.demo.tokenizer import CONTEXT, train_tokenizer
from models.training.prm.agreement import score_documents
from models.training.prm.labels import LabelFile, LabelledResponse, LabelReader, LabelsError, is_held_out
from models.training.prm.train import TrainingPlan, train_prm

SHARES = {"good": 0.8, "bad": 0.3}
PLAN = TrainingPlan(epochs=8, batch_size=8, num_parts=2, learning_rate=1e-2, held_out=0.25)
KINDS: dict[str, tuple[Any, Any, bool]] = {
    "tied llama": (LlamaConfig, LlamaForCausalLM, True),
    "untied qwen2": (Qwen2Config, Qwen2ForCausalLM, False),
}


@pytest.fixture(scope="module", params=list(KINDS))
def learner(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config, kind, is_tied = KINDS[request.param]
    directory = tmp_path_factory.mktemp("learner")
    tokenizer = train_tokenizer(["What is good or bad?", "good\n\n", "bad\n\n"] * 20)
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = kind(
        config(
            vocab_size=len(tokenizer),
            max_position_embeddings=CONTEXT,
            num_key_value_heads=1,
            tie_word_embeddings=is_tied,
            **sizes,
        )
    )
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


@pytest.fixture
def labels(learner: Path, tmp_path: Path) -> Path:
    """Forty problems, two responses each; what a step is worth stands in it."""
    file, dice, tokenizer = LabelFile(tmp_path / "labels.jsonl", 2), Random(0), ChatTokenizer(learner)
    for number in range(40):
        words = [tuple(dice.choices(list(SHARES), k=3)) for _ in range(2)]
        file.append([response(tokenizer, f"What is good or bad? {number}", each) for each in words])
    return tmp_path / "labels.jsonl"


def response(tokenizer: ChatTokenizer, problem: str, words: tuple[str, ...]) -> LabelledResponse:
    steps = tuple(f"{word}\n\n" for word in words)
    token_ids, shares = tuple(map(tokenizer.encode, steps)), tuple(SHARES[word] for word in words)
    return LabelledResponse(problem, "1", steps, token_ids, shares, is_complete=False, family=words[0])


def test_scores_come_to_be_the_shares_on_problems_held_out(learner: Path, labels: Path, tmp_path: Path) -> None:
    train_prm(learner, [labels], tmp_path / "prm", PLAN)
    reader = LabelReader(PromptBuilder(ChatTokenizer(tmp_path / "prm")), 10_000, CONTEXT)
    held_out = [each for each in reader.read([labels]) if is_held_out(each.problem, PLAN.held_out)]
    scores = score_documents(load_reward_model(tmp_path / "prm"), [reader.document(each) for each in held_out])
    wanted = torch.tensor([label for each in held_out for label in each.labels])
    for share in SHARES.values():
        assert torch.cat(scores)[wanted == share].mean() == pytest.approx(share, abs=0.08)


def test_a_report_and_a_plot_of_the_problems_held_out_are_left(
    learner: Path, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_prm(learner, [labels], tmp_path / "prm", replace(PLAN, epochs=0.1))
    report = json.loads((tmp_path / "prm" / "report.json").read_text())
    held_out = sum(is_held_out(f"What is good or bad? {number}", PLAN.held_out) for number in range(40))
    assert report["all"]["num_steps"] == held_out * 2 * 3
    assert f"trained on {80 - held_out * 2} responses; {held_out * 2} held out" in capsys.readouterr().out
    assert set(report) == {"good", "bad", "all"}
    assert (tmp_path / "prm" / "reliability.png").stat().st_size > 1000


def test_an_interrupted_training_ends_where_an_uninterrupted_one_does(
    learner: Path, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, save, saves = replace(PLAN, epochs=0.6), optimization._save, iter(range(2))
    monkeypatch.setattr(optimization, "_save", lambda *state: (save(*state), next(saves)))
    with pytest.raises(StopIteration):
        train_prm(learner, [labels], tmp_path / "prm", plan, checkpoint_every=1)
    monkeypatch.setattr(optimization, "_save", save)
    assert not (tmp_path / "prm" / "model.safetensors").exists()
    for out in ("prm", "other"):
        train_prm(learner, [labels], tmp_path / out, plan)
    weights = [(tmp_path / out / "model.safetensors").read_bytes() for out in ("prm", "other")]
    assert weights[0] == weights[1]


def test_another_training_in_the_same_folder_is_refused(learner: Path, labels: Path, tmp_path: Path) -> None:
    train_prm(learner, [labels], tmp_path / "prm", replace(PLAN, epochs=0.1))
    with pytest.raises(LabelsError, match=r"training\.json: another training .* with another learning_rate, seed"):
        train_prm(learner, [labels], tmp_path / "prm", replace(PLAN, epochs=0.1, seed=1, learning_rate=0.1))


def test_labels_of_one_problem_leave_nothing_to_measure_on(learner: Path, tmp_path: Path) -> None:
    LabelFile(tmp_path / "one.jsonl", 1).append([response(ChatTokenizer(learner), "What?", ("good",))])
    with pytest.raises(LabelsError, match=r"label more problems, or hold out another share than 0\.25"):
        train_prm(learner, [tmp_path / "one.jsonl"], tmp_path / "prm", PLAN)


def test_a_policy_of_another_kind_is_refused_by_file_and_field(learner: Path, labels: Path, tmp_path: Path) -> None:
    fields = json.loads((learner / "config.json").read_text()) | {
        "model_type": "mamba",
        "architectures": ["MambaForCausalLM"],
    }
    (tmp_path / "config.json").write_text(json.dumps(fields))
    (tmp_path / "model.safetensors").write_bytes((learner / "model.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match=r"config\.json: model_type 'mamba' is a state-space model"):
        train_prm(tmp_path, [labels], tmp_path / "prm", PLAN)
