"""A scheduler that also finds the end of an earlier request in the prefix cache, where it fills no block.

vLLM's cache holds whole blocks, of 16 or 32 tokens. A search continues where a request has ended, mostly within a
block, so that half a block on the average would be read again for every step. Here the last block of a request that has
ended stays in vLLM's own cache, under exactly the tokens that are in it. A request that continues behind them gets a
copy: vLLM 0.32 copies blocks on writing, though it asks for that only in models with Mamba layers.

Blocks are copied before the engine's step, so that only what an earlier step computed may be: a block that is full is
never the one, since vLLM lists it as soon as it is to be computed, and a request of the same step may fill it.

Models whose layers differ in what they keep (sliding windows) are left with whole blocks. Knows nothing of steps.
"""

from array import array
from typing import Any

from vllm.v1.core.kv_cache_manager import KVCacheBlocks
from vllm.v1.core.kv_cache_utils import (
    BlockHash,
    KVCacheBlock,
    generate_block_hash_extra_keys,
    make_block_hash_with_group_id,
)
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.core.single_type_kv_cache_manager import FullAttentionManager
from vllm.v1.request import Request

GROUP = 0
"""Of layers: the only one."""
TOKEN_BYTES = array("i").itemsize


class TailScheduler(Scheduler):
    """vLLM's own, for engines that run one step at a time, as they do on a CPU."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        managers = self.kv_cache_manager.coordinator.single_type_managers
        self._keeps_tails = (
            [type(manager) for manager in managers] == [FullAttentionManager]
            and self.cache_config.enable_prefix_caching
            and self.connector is None
            and self.num_spec_tokens == 0
        )

    def _get_local_prefix_cache_hit(self, request: Request) -> tuple[KVCacheBlocks, int, int, bool]:
        blocks, num_known, boundary, has_diverged = super()._get_local_prefix_cache_hit(request)
        if self._may_share(request) and (tail := self._tail_behind(request, num_known)):
            block, num_tokens = tail
            return KVCacheBlocks(([*blocks.blocks[GROUP], block],)), num_known + num_tokens, boundary, has_diverged
        return blocks, num_known, boundary, has_diverged

    def _free_request_blocks(self, request: Request) -> None:
        if request.is_finished() and self._may_share(request):
            self._keep_tail(request)
        super()._free_request_blocks(request)

    def _may_share(self, request: Request) -> bool:
        is_text = not request.mm_features and request.prompt_embeds is None
        return self._keeps_tails and is_text and self.kv_cache_manager.prefix_cache_lookup_enabled(request)

    def _tail_behind(self, request: Request, num_known: int) -> tuple[KVCacheBlock, int] | None:
        """Return the block with the most of the tokens behind the known ones, and how many; one is left to read."""
        num_left, pool = request.num_tokens - num_known, self.kv_cache_manager.block_pool
        if num_left == 1:
            return None
        lead, tokens = self._key(request, num_known, min(self.block_size - 1, num_left))
        for end in range(len(tokens), 0, -TOKEN_BYTES):
            if found := pool.get_cached_block(BlockHash(lead + tokens[:end]), [GROUP]):
                return found[GROUP], min(end // TOKEN_BYTES, num_left - 1)
        return None

    def _keep_tail(self, request: Request) -> None:
        """Have the cache keep the last block that was computed, if it is not full."""
        num_computed = min(request.num_computed_tokens, request.num_tokens)
        index, number = divmod(num_computed, self.block_size)
        (blocks,) = self.kv_cache_manager.get_blocks(request.request_id).blocks
        if number == 0 or index >= len(blocks) or blocks[index].block_hash is not None:
            return
        pool = self.kv_cache_manager.block_pool
        key = BlockHash(b"".join(self._key(request, index * self.block_size, number)))
        pool._insert_block_hash(make_block_hash_with_group_id(key, GROUP), blocks[index], num_computed)

    def _key(self, request: Request, start: int, number: int) -> tuple[bytes, bytes]:
        """Say what stands before the tokens behind `start`, a block's, and which they are."""
        extra, _ = generate_block_hash_extra_keys(request, start, start + number, 0)
        before = request.block_hashes[start // self.block_size - 1] if start else b""
        tokens = array("i", request.all_token_ids[start : start + number]).tobytes()
        return b"tail" + before + (repr(extra).encode() if extra else b""), tokens
