"""Training on labels: a tiny model learns shares that it can read off a word, and the rest of a training around it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from transformers import AutoModel, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import CheckpointError
from models.labels.response import LabelledResponse
from models.prm.reward_model import load_reward_model
from models.training import optimization
from models.training.demo.tokenizer import CONTEXT, train_tokenizer
from models.training.prm import scorer
from models.training.prm.agreement import score_documents
from models.training.prm.labels import LabelFile, LabelReader, LabelsError, is_held_out
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


@pytest.mark.parametrize("num_layers", [0, 1])
def test_layers_below_those_trained_are_the_policys(
    learner: Path, labels: Path, tmp_path: Path, num_layers: int
) -> None:
    train_prm(learner, [labels], tmp_path / "prm", replace(PLAN, epochs=1, num_layers=num_layers))
    trained = load_reward_model(tmp_path / "prm").model.state_dict()
    policy = AutoModel.from_pretrained(learner).bfloat16().float().state_dict()
    changed = {name for name, weight in trained.items() if not weight.equal(policy[name])}
    upper = {name for name in policy if name.startswith("layers.1.")}
    assert upper >= changed
    assert bool(changed) == (num_layers == 1)


def test_a_scorer_alone_learns_to_tell_right_from_wrong(learner: Path, labels: Path, tmp_path: Path) -> None:
    assert train_prm(learner, [labels], tmp_path / "prm", replace(PLAN, num_layers=0)).fault is None


def test_an_interrupted_training_of_a_scorer_goes_on_with_the_states_it_has(
    learner: Path, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, encode, chunks = replace(PLAN, num_layers=0), scorer._encode, iter(range(2))
    monkeypatch.setattr(scorer, "_encode", lambda *given: (next(chunks), encode(*given))[1])
    with pytest.raises(StopIteration):
        train_prm(learner, [labels], tmp_path / "prm", plan)
    kept = len(list((tmp_path / "prm" / "checkpoint").glob("states-*.pt")))
    monkeypatch.setattr(scorer, "_encode", encode)
    for out in ("prm", "other"):
        train_prm(learner, [labels], tmp_path / out, plan)
    weights = [(tmp_path / out / "model.safetensors").read_bytes() for out in ("prm", "other")]
    assert (kept, weights[0] == weights[1]) == (2, True)


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


def write_labels(learner: Path, file: Path, draw: Callable[[Random], tuple[str, ...]], **fields: Any) -> Path:
    """Forty problems, two responses each."""
    labels, dice, tokenizer = LabelFile(file, 2), Random(0), ChatTokenizer(learner)
    for number in range(40):
        responses = [response(tokenizer, f"What is good or bad? {number}", draw(dice)) for _ in range(2)]
        labels.append([replace(each, **fields) for each in responses])
    return file


@pytest.mark.parametrize("word", ["good", "bad"])
def test_labels_of_one_kind_are_refused_before_anything_is_trained(learner: Path, tmp_path: Path, word: str) -> None:
    labels = write_labels(learner, tmp_path / "labels.jsonl", lambda _: (word,) * 3)
    with pytest.raises(
        LabelsError, match=r"of one kind teach nothing: .* right steps .* wrong ones .*; label (easier|harder)"
    ):
        train_prm(learner, [labels], tmp_path / "prm", PLAN)
    assert not (tmp_path / "prm").exists()


def test_a_few_steps_of_one_kind_are_too_little_to_learn_from(learner: Path, tmp_path: Path) -> None:
    labels = write_labels(
        learner, tmp_path / "labels.jsonl", lambda dice: ("good", "good", "bad")[dice.random() < 0.9 :]
    )
    few = tmp_path / "few.jsonl"
    lines = [json.loads(line) for line in labels.read_text().splitlines()]
    for number, line in enumerate(lines):
        line["labels"] = [0.8 if number > 8 else each for each in line["labels"]]
    few.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(LabelsError, match=r"too little to learn from: .*; needed are 20 of each, in 5 problems"):
        train_prm(learner, [few], tmp_path / "prm", PLAN)


def test_labels_that_leave_a_handful_to_measure_on_are_refused(learner: Path, labels: Path, tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match=r"AUC would not be measurable on what is held out: .* than 0\.04"):
        train_prm(learner, [labels], tmp_path / "prm", replace(PLAN, held_out=0.04))


def test_labels_of_responses_whose_answers_were_not_read_are_refused(learner: Path, tmp_path: Path) -> None:
    def draw(dice: Random) -> tuple[str, ...]:
        return tuple(dice.choices(list(SHARES), k=3))

    labels = write_labels(learner, tmp_path / "labels.jsonl", draw, states_answer=False)
    with pytest.raises(LabelsError, match=r"responses state no answer that is read \(\d+ were cut off"):
        train_prm(learner, [labels], tmp_path / "prm", PLAN)


def test_what_an_interrupted_training_goes_on_from_is_removed_when_it_is_done(
    learner: Path, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, save = replace(PLAN, epochs=0.6), optimization._save
    monkeypatch.setattr(optimization, "_save", lambda *state: (save(*state), 1 / 0))
    with pytest.raises(ZeroDivisionError):
        train_prm(learner, [labels], tmp_path / "prm", plan, checkpoint_every=1)
    assert (tmp_path / "prm" / "checkpoint").exists()
    monkeypatch.setattr(optimization, "_save", save)
    train_prm(learner, [labels], tmp_path / "prm", plan)
    assert not (tmp_path / "prm" / "checkpoint").exists()


def test_a_finished_training_is_measured_again_and_not_repeated(learner: Path, labels: Path, tmp_path: Path) -> None:
    plan = replace(PLAN, epochs=0.1)
    train_prm(learner, [labels], tmp_path / "prm", plan)
    first, weights = ((tmp_path / "prm" / name).stat().st_mtime_ns for name in ("report.json", "model.safetensors"))
    train_prm(learner, [labels], tmp_path / "prm", plan)
    assert (tmp_path / "prm" / "model.safetensors").stat().st_mtime_ns == weights
    assert (tmp_path / "prm" / "report.json").stat().st_mtime_ns > first


def test_a_model_that_learnt_nothing_is_not_called_good(learner: Path, tmp_path: Path) -> None:
    dice = Random(0)
    labels = write_labels(learner, tmp_path / "labels.jsonl", lambda _: ("good",) * 3)
    lines = [json.loads(line) for line in labels.read_text().splitlines()]
    for line in lines:
        line["labels"] = [dice.choice((0.1, 0.9)) for _ in line["labels"]]
    labels.write_text("".join(json.dumps(line) + "\n" for line in lines))
    trained = train_prm(learner, [labels], tmp_path / "prm", replace(PLAN, epochs=0.1))
    assert str(trained.fault).startswith("no better than chance: AUC 0.")


def test_a_model_that_learnt_is(learner: Path, labels: Path, tmp_path: Path) -> None:
    assert train_prm(learner, [labels], tmp_path / "prm", PLAN).fault is None


def test_weights_that_no_training_left_there_are_trained_over(learner: Path, labels: Path, tmp_path: Path) -> None:
    (tmp_path / "prm").mkdir()
    (tmp_path / "prm" / "model.safetensors").write_bytes(b"somebody else's")
    assert train_prm(learner, [labels], tmp_path / "prm", replace(PLAN, epochs=0.1)).num_skipped == 0
    assert (tmp_path / "prm" / "model.safetensors").stat().st_size > 1000
