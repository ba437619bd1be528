"""Attention on a CPU in blocks of 16 tokens: what the prefix cache finds are whole blocks, and the ends of requests.

The rest is computed again: `scheduler.py` finds the end of what a search continues, but chats may part anywhere. vLLM
0.32 has kernels for blocks of 16, and refuses them.
"""

from vllm.v1.attention.backend import MultipleOf
from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend
from vllm.v1.kv_cache_interface import KVCacheSpec


class SmallBlockAttention(CPUAttentionBackend):
    """vLLM's own, for blocks of every size that it has kernels for."""

    @staticmethod
    def get_supported_kernel_block_sizes(kv_cache_spec: KVCacheSpec | None = None) -> list[int | MultipleOf]:
        """Multiples of 16 tokens."""
        return [MultipleOf(16)]
