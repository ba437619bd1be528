"""The training loop: an interruption leaves no trace in the result."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig

from models.prm.reward_model import RewardModel
from models.training.documents import Batch, Batches, Document
from models.training.optimization import Schedule, _optimizers, fit
from models.training.prm.reward import blocks_of, freeze_below

SIZES = {
    "vocab_size": 8,
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "scorer_hidden": 4,
}
SCHEDULE = Schedule(num_steps=6, learning_rate=0.01, num_warmup_steps=2)


def draw(rng: Random, step: int) -> Document:
    return Document(tuple(rng.choices(range(8), k=6)), num_prompt_tokens=2, step_ends=(5,), labels=(True,))


def train(checkpoint: Path, check: Callable[[], None] = lambda: None) -> list[Tensor]:
    torch.manual_seed(0)
    model = RewardModel(AutoConfig.for_model("llama", **SIZES))

    def losses(batch: Batch) -> dict[str, Tensor]:
        check()
        return {"loss": model(batch.token_ids).square().mean()}

    fit(model, Batches(draw, 4, 2, SCHEDULE.num_steps, "seed"), losses, SCHEDULE, checkpoint, checkpoint_every=1)
    return list(model.parameters())


def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(tmp_path: Path) -> None:
    calls = iter(range(7))  # two a step: the fourth step is the last
    with pytest.raises(StopIteration):
        train(tmp_path / "interrupted.pt", lambda: [next(calls)].clear())
    resumed, uninterrupted = train(tmp_path / "interrupted.pt"), train(tmp_path / "other.pt")
    assert all(torch.equal(one, two) for one, two in zip(resumed, uninterrupted, strict=True))


def test_a_finished_run_is_not_run_again(tmp_path: Path) -> None:
    def fail() -> None:
        pytest.fail("a step was taken")

    finished = train(tmp_path / "run.pt")
    again = train(tmp_path / "run.pt", fail)
    assert all(torch.equal(one, two) for one, two in zip(finished, again, strict=True))


@pytest.mark.parametrize("kind", ["llama", "falcon", "gpt_neox"])
def test_the_matrices_of_blocks_are_muons_whatever_a_backbone_calls_them(kind: str) -> None:
    model = RewardModel(AutoConfig.for_model(kind, **SIZES | {"num_hidden_layers": 3}))
    muon, adam = _optimizers(model)
    matrices = sum(weight.ndim == 2 for weight in blocks_of(model).parameters())
    chosen = [weight for group in muon.param_groups for weight in group["params"]]
    rest = [weight for group in adam.param_groups for weight in group["params"]]
    assert (len(chosen), len(chosen) + len(rest)) == (matrices, len(list(model.parameters())))


@pytest.mark.parametrize("kind", ["llama", "falcon", "gpt_neox"])
def test_only_the_upper_blocks_are_trained_whatever_a_backbone_calls_them(kind: str) -> None:
    model = RewardModel(AutoConfig.for_model(kind, **SIZES | {"num_hidden_layers": 3}))
    freeze_below(model, 1)
    trained = {id(weight) for weight in model.parameters() if weight.requires_grad}
    assert trained == {id(weight) for part in (blocks_of(model)[2], model.scorer) for weight in part.parameters()}


def test_the_learning_rate_rises_to_its_peak_and_falls_to_a_tenth() -> None:
    schedule = Schedule(num_steps=100, learning_rate=1.0, num_warmup_steps=10)
    assert schedule.at(0) == pytest.approx(0.1)
    assert schedule.at(10) == pytest.approx(1.0)
    assert schedule.at(99) == pytest.approx(0.1, abs=0.001)


def test_a_run_of_any_length_is_the_same_until_it_cools_down_to_nothing() -> None:
    short, long = (Schedule(steps, 1.0, num_warmup_steps=10, num_cooldown_steps=20, horizon=200) for steps in (80, 120))
    plain = Schedule(200, 1.0, num_warmup_steps=10)
    assert [short.at(step) for step in range(61)] == [plain.at(step) for step in range(61)]
    assert [long.at(step) for step in range(101)] == [plain.at(step) for step in range(101)]
    assert short.at(70) == pytest.approx(plain.at(70) / 2)
    assert short.at(79) == pytest.approx(plain.at(79) / 20)
