"""TTT-Linear: a layer whose state is a linear model that learns from the tokens while it reads them.

Each head holds weights W. A token's views K and V are a lesson: W takes a gradient step on how badly f(K) reconstructs
V, with f(x) = x + LN(W x) and a step size of the token's own; its view Q is then read through the weights so far, f(Q).
Gradients are taken in mini-batches of 16 tokens, at the weights with which the mini-batch began, so within one they
need no loop (the dual form). The state does not grow with the text, and a text read in pieces, cut anywhere, gives
what it gives in one.

Source: Sun et al. 2024 (2407.04620), sections 2.3 to 2.7: TTT-Linear with mini-batches of 16, the dual form, a learned
W_0 and a learned step size; positions turned within a mini-batch, and a norm of the output, as in the authors' code.
Beyond the source: heads in groups, as in grouped-query attention. Queries that would share keys and values share
their weights, so the layer has attention's projections, and W is what attention keeps keys and values for.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.prm.blocks import rotate, split_heads

MINI_BATCH = 16
BASE_RATE = 1 / MINI_BATCH
"""So that a whole mini-batch moves W by a mean of its gradients: the first one, far from anything learnt, is steep."""
START_STD = 0.02
NORM_EPS = 1e-6


@dataclass(frozen=True, slots=True)
class Adaptation:
    """How weights fared that learnt while a model was in use.

    Attributes:
        losses: One a mini-batch or step, in order; what came after a loss that is not finite is left out.
        drift: Norm of the change of the weights, relative to that of the weights; None where it is not finite.
        is_finite: False where NaN or infinity appeared.
    """

    losses: tuple[float, ...]
    drift: float | None
    is_finite: bool


@dataclass(frozen=True, slots=True)
class TTTState:
    """What a TTT layer knows of the tokens read.

    Attributes:
        anchor: Weights with which the mini-batch began, at which its gradients are taken, (B, G, D, D).
        weights: Weights after the last token, (B, G, D, D).
        num_pending: Tokens that the mini-batch has so far, below 16.
        losses: Of the tokens of the last call, before they were learnt from: mean square error over heads and
            dimensions, (B, T).
    """

    anchor: Tensor
    weights: Tensor
    num_pending: int
    losses: Tensor


class TTTLinear(nn.Module):
    """The layer, in place of attention.

    Args:
        hidden_size: H, a multiple of `num_heads`.
        num_heads: Of the queries, a multiple of `num_kv_heads`.
        num_kv_heads: G, of keys and values, and so of weights W.
    """

    def __init__(self, hidden_size: int, num_heads: int, num_kv_heads: int) -> None:
        super().__init__()
        head_dim = hidden_size // num_heads
        kv_size = head_dim * num_kv_heads
        self._num_heads, self._num_kv_heads, self._head_dim = num_heads, num_kv_heads, head_dim
        self.q_proj = nn.Linear(hidden_size, hidden_size)
        self.k_proj = nn.Linear(hidden_size, kv_size)
        self.v_proj = nn.Linear(hidden_size, kv_size)
        self.o_proj = nn.Linear(hidden_size, hidden_size)
        self.rate_proj = nn.Linear(hidden_size, num_kv_heads)
        self.start = nn.Parameter(START_STD * torch.randn(num_kv_heads, head_dim, head_dim))
        self.norm_weight = nn.Parameter(torch.ones(num_kv_heads, 1, head_dim))
        self.norm_bias = nn.Parameter(torch.zeros(num_kv_heads, 1, head_dim))
        self.output_norm = nn.LayerNorm(hidden_size, eps=NORM_EPS)

    def forward(self, inputs: Tensor, state: TTTState | None = None) -> tuple[Tensor, TTTState]:
        """Read tokens and learn from them.

        Args:
            inputs: (B, T, H).
            state: Of the tokens before, which is carried on; None begins anew, with the learned start.

        Returns:
            Outputs, (B, T, H), and the state after the tokens. No output depends on a later token.
        """
        start = self.start.float().expand(len(inputs), -1, -1, -1)
        state = state or TTTState(start, start, 0, start.new_empty(len(inputs), 0))
        anchor, weights, num_pending = state.anchor, state.weights, state.num_pending
        sizes = _sizes(num_pending, inputs.shape[1])
        views = [torch.split(view, sizes, dim=-2) for view in self._views(inputs, num_pending)]
        outputs, losses = [], []
        with torch.autocast(inputs.device.type, enabled=False):  # sums of many small steps need float32
            for queries, keys, values, rates in zip(*views, strict=True):
                gradients, loss = self._lesson(keys @ anchor, keys, values)
                steps = rates * gradients
                overlap = (queries @ keys.mT.unsqueeze(2)).tril()  # (B, G, R, t, t)
                read = queries @ weights.unsqueeze(2) - overlap @ steps.unsqueeze(2)  # each by the weights at its token
                outputs.append(queries + self._norm(read))
                losses.append(loss)
                weights = weights - keys.mT @ steps
                num_pending = (num_pending + keys.shape[-2]) % MINI_BATCH
                anchor = anchor if num_pending else weights
        mixed = torch.cat(outputs, dim=-2).flatten(1, 2).transpose(1, 2).flatten(2)  # (B, T, H)
        state = TTTState(anchor, weights, num_pending, torch.cat(losses, dim=1))
        return self.o_proj(self.output_norm(mixed.to(inputs.dtype))), state

    def report(self, state: TTTState) -> Adaptation:
        """How the weights fared in the call that returned `state`, on average over the batch."""
        losses = tuple(piece.mean().item() for piece in torch.split(state.losses.detach(), MINI_BATCH, dim=1))
        change = state.weights.detach() - self.start.detach().float()
        drift = (change.norm() / len(change) ** 0.5 / self.start.detach().float().norm()).item()
        return adaptation(losses, drift)

    def _views(self, inputs: Tensor, num_pending: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Q, (B, G, R, T, D), K and V, (B, G, T, D), and the step sizes, (B, G, T, 1)."""
        positions = (num_pending + torch.arange(inputs.shape[1], device=inputs.device)) % MINI_BATCH
        queries = rotate(split_heads(self.q_proj(inputs), self._num_heads).float(), positions)
        keys = rotate(split_heads(self.k_proj(inputs), self._num_kv_heads).float(), positions)
        values = split_heads(self.v_proj(inputs), self._num_kv_heads).float()
        rates = split_heads(self.rate_proj(inputs).float().sigmoid(), self._num_kv_heads)
        return torch.unflatten(queries, 1, (self._num_kv_heads, -1)), keys, values, rates * (BASE_RATE / self._head_dim)

    def _lesson(self, learnt: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Gradient of half the square error of f(K) by W K, (B, G, t, D), and the mean square error, (B, t)."""
        variance, mean = torch.var_mean(learnt, dim=-1, correction=0, keepdim=True)
        deviation = (variance + NORM_EPS).sqrt()
        normed = (learnt - mean) / deviation
        error = keys + normed * self.norm_weight + self.norm_bias - values
        slope = error * self.norm_weight
        slope = slope - slope.mean(-1, keepdim=True) - normed * (slope * normed).mean(-1, keepdim=True)
        return slope / deviation, error.square().mean(dim=(1, 3))

    def _norm(self, read: Tensor) -> Tensor:
        """LN, of one weight and bias a group, of (B, G, R, t, D)."""
        normed = nn.functional.layer_norm(read, read.shape[-1:], eps=NORM_EPS)
        return normed * self.norm_weight.unsqueeze(1) + self.norm_bias.unsqueeze(1)


def adaptation(losses: tuple[float, ...], drift: float) -> Adaptation:
    """Say how weights fared, of numbers that may not be finite."""
    numbers = torch.tensor([*losses, drift])
    is_finite = numbers.isfinite()
    num_good = int(is_finite[:-1].cumprod(0).sum())
    return Adaptation(losses[:num_good], drift if is_finite[-1] else None, bool(is_finite.all()))


def _sizes(num_pending: int, num_tokens: int) -> list[int]:
    """Cut tokens where mini-batches end, the first of which has `num_pending` tokens already."""
    first = min(MINI_BATCH - num_pending, num_tokens)
    whole, rest = divmod(num_tokens - first, MINI_BATCH)
    return [first, *[MINI_BATCH] * whole, *[rest] * (rest > 0)]
