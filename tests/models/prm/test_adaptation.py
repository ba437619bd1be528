"""Adaptation at test time: what it changes, what it never changes, and what it says of itself."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig

from models.prm.adaptation import AdaptationPlan, Judge, adapt, fast_weights
from models.prm.reward_model import RewardModel
from models.prm.test_time_compute import TestTimeCompute

NUM_TOKENS = 40
PROMPT = (1, 2, 3, 4, 5)
RESPONSES = ((7, 8, 9, 10, 11, 12), (7, 8, 9, 13), (7, 8, 14, 15, 16, 17, 18, 19))
PLAN = AdaptationPlan(steps=3, learning_rate=0.05)


def reward_model() -> RewardModel:
    config = LlamaConfig(
        vocab_size=NUM_TOKENS,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    config.scorer_hidden = 16
    return RewardModel(config)


def seed_model(backbone: str) -> TestTimeCompute:
    return TestTimeCompute(
        embed_dim=24, hidden_size=32, num_layers=2, scorer_hidden=16, vocab_size=NUM_TOKENS, backbone=backbone
    )


MODELS: dict[str, Callable[[], Judge]] = {
    "reward model": reward_model,
    "attention": lambda: seed_model("attention"),
    "ttt": lambda: seed_model("ttt"),
    "alternating": lambda: seed_model("alternating"),
}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> Judge:
    torch.manual_seed(0)
    return MODELS[request.param]().eval()


def weights_of(model: Judge) -> dict[str, Tensor]:
    return {name: weight.clone() for name, weight in model.state_dict().items()}


def test_the_model_itself_stays_as_it_is(model: Judge) -> None:
    before = weights_of(model)
    adapt(model, PROMPT, RESPONSES, PLAN)
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())


def test_the_fast_weights_change_and_no_others(model: Judge) -> None:
    adapted = adapt(model, PROMPT, RESPONSES, PLAN).model.state_dict()
    changed = {name for name, weight in model.state_dict().items() if not torch.equal(weight, adapted[name])}
    assert changed == set(fast_weights(model))


def test_slow_weights_are_shared_and_not_copied(model: Judge) -> None:
    adapted = dict(adapt(model, PROMPT, RESPONSES, PLAN).model.named_parameters())
    shared = {name for name, weight in model.named_parameters() if adapted[name] is weight}
    assert shared == {name for name, _ in model.named_parameters()} - set(fast_weights(model))


def test_each_step_lowers_the_loss(model: Judge) -> None:
    report = adapt(model, PROMPT, RESPONSES, AdaptationPlan(steps=5, learning_rate=0.01)).report
    assert len(report.losses) == 6
    assert all(later < earlier for earlier, later in zip(report.losses, report.losses[1:], strict=False))
    assert report.is_finite


def test_attention_learns_to_predict_the_responses_tokens() -> None:
    torch.manual_seed(0)
    model = reward_model().eval()
    losses: list[Tensor] = []
    for response in RESPONSES:
        token_ids = torch.tensor([*PROMPT, *response])
        logits = model.encode(token_ids[None])[0] @ model.model.embed_tokens.weight.T
        losses += [-logits[place - 1].log_softmax(-1)[token_ids[place]] for place in range(len(PROMPT), len(token_ids))]
    expected = sum(loss.item() for loss in losses) / len(losses)
    assert adapt(model, PROMPT, RESPONSES, PLAN).report.losses[0] == pytest.approx(expected, rel=1e-5)


def test_ttt_layers_learn_to_reconstruct_the_responses_tokens() -> None:
    torch.manual_seed(0)
    model = seed_model("ttt").eval()
    losses = []
    for response in RESPONSES:
        states = model(torch.tensor([[*PROMPT, *response]])).states
        losses += [state.losses[0, len(PROMPT) :] for state in states]
    assert adapt(model, PROMPT, RESPONSES, PLAN).report.losses[0] == pytest.approx(torch.cat(losses).mean().item())


def test_a_step_is_one_of_plain_gradient_descent() -> None:
    torch.manual_seed(0)
    model = seed_model("ttt").eval()
    rows = [model(torch.tensor([[*PROMPT, *response]])).states for response in RESPONSES]
    loss = torch.cat([state.losses[0, len(PROMPT) :] for states in rows for state in states]).mean()
    start = model.get_parameter("model.layers.1.mixer.start")
    expected = start - 0.1 * torch.autograd.grad(loss, start)[0]
    adapted = adapt(model, PROMPT, RESPONSES, AdaptationPlan(1, 0.1)).model
    torch.testing.assert_close(adapted.get_parameter("model.layers.1.mixer.start"), expected)


def test_drift_is_the_relative_change_of_the_fast_weights(model: Judge) -> None:
    adapted, report = (outcome := adapt(model, PROMPT, RESPONSES, PLAN)).model, outcome.report
    names = fast_weights(model)
    before = torch.cat([model.get_parameter(name).detach().flatten() for name in names])
    after = torch.cat([adapted.get_parameter(name).flatten() for name in names])
    assert report.drift == pytest.approx(((after - before).norm() / before.norm()).item())


def test_nan_falls_back_to_the_model_itself_and_says_so(model: Judge) -> None:
    broken = weights_of(model)
    broken["model.layers.0.mlp.up_proj.weight"].fill_(torch.inf)
    model.load_state_dict(broken)
    outcome = adapt(model, PROMPT, RESPONSES, PLAN)
    assert outcome.model is model
    assert not outcome.report.is_finite
    assert outcome.report.losses == ()


@pytest.mark.parametrize(
    ("steps", "learning_rate", "message"),
    [
        (0, 0.01, "steps is 0; allowed: 1 to 5"),
        (6, 0.01, "steps is 6; allowed: 1 to 5"),
        (1, 0.0, r"learning_rate is 0.0; allowed: 0.001 to 0.1"),
        (1, 0.2, r"learning_rate is 0.2; allowed: 0.001 to 0.1"),
    ],
)
def test_a_plan_out_of_range_is_refused(steps: int, learning_rate: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AdaptationPlan(steps, learning_rate)
