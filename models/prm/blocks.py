"""What a causal backbone is built of: rotary positions, grouped-query attention, SwiGLU, and the block around them.

A block mixes positions with whatever layer it is given, attention or one of `models.prm.ttt`; each takes the state of
the tokens read before and returns the state after its own, so that a response can be read in pieces. Knows nothing of
tokens, scores or checkpoints.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

ROTARY_BASE = 10_000.0
NORM_EPS = 1e-6
INNER_RATIO = 2.667
INNER_MULTIPLE = 8


class Mixer(Protocol):
    """A layer through which positions see those before them."""

    def __call__(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Outputs, (B, T, H), of inputs (B, T, H) that follow `state`; None is the start. And the state after them."""


@dataclass(frozen=True, slots=True)
class AttentionState:
    """Keys and values of the tokens read, (B, G, T, D) each."""

    keys: Tensor
    values: Tensor


def rotate(vectors: Tensor, positions: Tensor) -> Tensor:
    """Turn vectors (..., T, D) by their positions (T,): dimension i together with i + D/2.

    Source: Su et al. 2021 (RoFormer, 2104.09864), in the half-split order of GPT-NeoX and Llama.
    """
    half = vectors.shape[-1] // 2
    frequencies = ROTARY_BASE ** (-torch.arange(half, device=vectors.device) / half)
    angles = positions[:, None] * frequencies  # (T, D/2)
    cosines, sines = angles.cos().to(vectors.dtype), angles.sin().to(vectors.dtype)
    first, second = torch.split(vectors, half, dim=-1)
    return torch.cat([first * cosines - second * sines, second * cosines + first * sines], dim=-1)


def split_heads(vectors: Tensor, num_heads: int) -> Tensor:
    """(B, T, heads x D) to (B, heads, T, D)."""
    return torch.unflatten(vectors, -1, (num_heads, -1)).transpose(1, 2)


class Attention(nn.Module):
    """Causal grouped-query attention with rotary positions.

    Args:
        hidden_size: H, a multiple of `num_heads`.
        num_heads: Of the queries, a multiple of `num_kv_heads`.
        num_kv_heads: G, of keys and values.

    Source: Ainslie et al. 2023 (GQA, 2305.13245).
    """

    def __init__(self, hidden_size: int, num_heads: int, num_kv_heads: int) -> None:
        super().__init__()
        kv_size = hidden_size // num_heads * num_kv_heads
        self._num_heads, self._num_kv_heads = num_heads, num_kv_heads
        self.q_proj = nn.Linear(hidden_size, hidden_size)
        self.k_proj = nn.Linear(hidden_size, kv_size)
        self.v_proj = nn.Linear(hidden_size, kv_size)
        self.o_proj = nn.Linear(hidden_size, hidden_size)

    def forward(self, inputs: Tensor, state: AttentionState | None = None) -> tuple[Tensor, AttentionState]:
        """Outputs, (B, T, H), of inputs (B, T, H) that follow `state`, and the state after them."""
        num_before = 0 if state is None else state.keys.shape[2]
        positions = torch.arange(num_before, num_before + inputs.shape[1], device=inputs.device)
        queries = rotate(split_heads(self.q_proj(inputs), self._num_heads), positions)  # (B, heads, T, D)
        keys = rotate(split_heads(self.k_proj(inputs), self._num_kv_heads), positions)  # (B, G, T, D)
        values = split_heads(self.v_proj(inputs), self._num_kv_heads)
        if state is not None:
            keys, values = torch.cat([state.keys, keys], dim=2), torch.cat([state.values, values], dim=2)
        mask = None
        if num_before:
            mask = torch.ones(inputs.shape[1], keys.shape[2], dtype=torch.bool, device=inputs.device).tril(num_before)
        mixed = functional.scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask, is_causal=mask is None, enable_gqa=True
        )
        return self.o_proj(mixed.transpose(1, 2).flatten(2)), AttentionState(keys, values)


class SwiGLU(nn.Module):
    """Gated feed-forward layer; 256 is widened to 688.

    Source: Shazeer 2020 (2002.05202).
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        inner = -(-round(INNER_RATIO * hidden_size) // INNER_MULTIPLE) * INNER_MULTIPLE
        self.gate_proj = nn.Linear(hidden_size, inner)
        self.up_proj = nn.Linear(hidden_size, inner)
        self.down_proj = nn.Linear(inner, hidden_size)

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs, (B, T, H), of inputs (B, T, H)."""
        outputs: Tensor = self.down_proj(functional.silu(self.gate_proj(inputs)) * self.up_proj(inputs))
        return outputs


class Block(nn.Module):
    """Pre-norm residual block: a mixer of positions, then SwiGLU.

    Args:
        mixer: An `nn.Module` that is a `Mixer`.
        hidden_size: H.
        dropout: Rate, of what is added to the residual, in [0, 1).
    """

    def __init__(self, mixer: nn.Module, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.mixer_norm = nn.RMSNorm(hidden_size, eps=NORM_EPS)
        self.mixer = mixer
        self.mlp_norm = nn.RMSNorm(hidden_size, eps=NORM_EPS)
        self.mlp = SwiGLU(hidden_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Outputs, (B, T, H), of inputs (B, T, H) that follow the mixer's `state`, and its state after them."""
        mixed, state = self.mixer(self.mixer_norm(inputs), state)
        hidden = inputs + self.dropout(mixed)
        return hidden + self.dropout(self.mlp(self.mlp_norm(hidden))), state
