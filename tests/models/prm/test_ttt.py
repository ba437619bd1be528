"""TTT-Linear against a naive reading of the paper: one token after the other, gradients by autograd."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from models.prm.ttt import BASE_RATE, MINI_BATCH, NORM_EPS, Adaptation, TTTLinear, TTTState, adaptation

SIZE, NUM_HEADS, NUM_KV_HEADS, HEAD_DIM = 32, 4, 2, 8
TOLERANCE = 1e-4


@pytest.fixture
def layer() -> TTTLinear:
    torch.manual_seed(0)
    layer = TTTLinear(SIZE, NUM_HEADS, NUM_KV_HEADS)
    torch.nn.init.normal_(layer.norm_weight, mean=1.0, std=0.3)
    torch.nn.init.normal_(layer.norm_bias, std=0.3)
    return layer


@pytest.fixture
def inputs() -> Tensor:
    return torch.randn(3, 53, SIZE, generator=torch.Generator().manual_seed(1))


def turned(vector: Tensor, position: int) -> Tensor:
    """Rotary position by complex multiplication."""
    half = len(vector) // 2
    angles = position * 10_000 ** (-torch.arange(half) / half)
    return torch.view_as_real(
        torch.complex(vector[:half], vector[half:]) * torch.polar(torch.ones(half), angles)
    ).T.flatten()


def naive_head(layer: TTTLinear, inputs: Tensor, head: int) -> tuple[list[Tensor], Tensor]:
    """Outputs of one query head for inputs (T, H), before the output's norm, and its last weights W."""
    group = head // (NUM_HEADS // NUM_KV_HEADS)
    own, shared = (slice(index * HEAD_DIM, (index + 1) * HEAD_DIM) for index in (head, group))

    def f(weights: Tensor, view: Tensor) -> Tensor:
        weight, bias = layer.norm_weight[group, 0], layer.norm_bias[group, 0]
        return view + functional.layer_norm(weights.T @ view, (HEAD_DIM,), weight, bias, NORM_EPS)

    weights = anchor = layer.start[group].detach()
    outputs = []
    for index, token in enumerate(inputs):
        if index % MINI_BATCH == 0:
            anchor = weights.detach().requires_grad_()
        key = turned(layer.k_proj(token)[shared], index % MINI_BATCH)
        loss = (f(anchor, key) - layer.v_proj(token)[shared]).square().sum() / 2
        rate = BASE_RATE / HEAD_DIM * layer.rate_proj(token)[group].sigmoid()
        weights = weights - rate.detach() * torch.autograd.grad(loss, anchor)[0]
        outputs.append(f(weights, turned(layer.q_proj(token)[own], index % MINI_BATCH)))
    return outputs, weights


def naive(layer: TTTLinear, inputs: Tensor) -> Tensor:
    heads = [torch.stack(naive_head(layer, inputs, head)[0]) for head in range(NUM_HEADS)]
    output: Tensor = layer.o_proj(layer.output_norm(torch.cat(heads, dim=-1)))
    return output


def test_the_dual_form_is_the_sequential_form(layer: TTTLinear, inputs: Tensor) -> None:
    expected = torch.stack([naive(layer, row) for row in inputs])
    torch.testing.assert_close(layer(inputs)[0], expected, atol=TOLERANCE, rtol=0.0)


def test_the_state_is_what_the_sequential_form_has_learnt(layer: TTTLinear, inputs: Tensor) -> None:
    state: TTTState = layer(inputs)[1]
    for group, head in enumerate((0, 2)):
        learnt = naive_head(layer, inputs[1], head)[1]
        torch.testing.assert_close(state.weights[1, group], learnt, atol=TOLERANCE, rtol=0.0)


@pytest.mark.parametrize("sizes", [(53,), (16, 37), (1, 15, 16, 21), (5, 3, 20, 24, 1)])
def test_a_carried_state_reads_on_as_if_there_were_no_cut(
    layer: TTTLinear, inputs: Tensor, sizes: tuple[int, ...]
) -> None:
    state, outputs = None, []
    for piece in inputs.split(sizes, dim=1):  # type: ignore[no-untyped-call]  # torch leaves it untyped
        output, state = layer(piece, state)
        outputs.append(output)
    torch.testing.assert_close(torch.cat(outputs, dim=1), layer(inputs)[0], atol=TOLERANCE, rtol=0.0)


def test_without_a_state_the_layer_begins_anew(layer: TTTLinear, inputs: Tensor) -> None:
    first, state = layer(inputs)
    assert torch.equal(layer(inputs)[0], first)
    assert not torch.allclose(layer(inputs, state)[0], first, atol=0.1)


def test_a_later_token_changes_no_earlier_output(layer: TTTLinear, inputs: Tensor) -> None:
    changed = inputs.clone()
    changed[:, 20] += 1
    before, after = layer(inputs)[0], layer(changed)[0]
    torch.testing.assert_close(before[:, :20], after[:, :20], atol=1e-6, rtol=0.0)
    assert (before[:, 20:] - after[:, 20:]).abs().amax(dim=-1).min() > 1e-6


def test_a_text_that_repeats_is_reconstructed_better_and_better(layer: TTTLinear, inputs: Tensor) -> None:
    repeated = inputs[:, :MINI_BATCH].repeat(1, 6, 1)
    report = layer.report(layer(repeated)[1])
    assert len(report.losses) == 6
    assert report.losses[-1] < 0.8 * report.losses[0]
    assert report.is_finite


def test_drift_is_the_relative_change_of_the_weights(layer: TTTLinear, inputs: Tensor) -> None:
    state = layer(inputs[:1])[1]
    expected = (state.weights[0] - layer.start).norm() / layer.start.norm()
    assert layer.report(state).drift == pytest.approx(expected.item())


def test_nan_is_reported(layer: TTTLinear, inputs: Tensor) -> None:
    inputs[0, 20] = torch.nan
    report = layer.report(layer(inputs)[1])
    assert (len(report.losses), report.drift, report.is_finite) == (1, None, False)


def test_a_report_of_finite_numbers_keeps_them_all() -> None:
    assert adaptation((0.5, 0.25), 0.125) == Adaptation((0.5, 0.25), 0.125, is_finite=True)
    assert adaptation((0.5, float("inf"), 0.25), 0.125) == Adaptation((0.5,), 0.125, is_finite=False)
