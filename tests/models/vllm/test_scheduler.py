"""The prefix cache with the ends of requests: what is found in it, and that it is what PyTorch computes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
import torch
from transformers import AutoModelForCausalLM

from models.generation import Generation
from models.interfaces import Meter
from models.policy.engine_policy import EnginePolicy
from models.prm.winnow import WinnowPRM
from models.vllm.engine import Engine, start_engine
from models.vllm.launch import block_size
from models.vllm.settings import EngineSettings
from tests.models.problems import PROBLEM, respond, sampling, visible
from tests.models.tiny import NUM_TOKENS

BLOCK = block_size()
BYTES_A_TOKEN, NUM_BLOCKS = 512, 40
"""In the cache of the tiny Llama: it holds a few of the requests of a tree at a time."""
IDS = list(range(20, 40))
SOME = Generation(max_tokens=1, temperature=0, logprob_ids=tuple(IDS))


@pytest.fixture
async def cramped(tiny_llama: Path) -> AsyncIterator[Engine]:
    """An engine with a small cache."""
    size = BYTES_A_TOKEN * BLOCK * NUM_BLOCKS
    settings = EngineSettings(tiny_llama, "tiny", dtype="float32", kv_cache_bytes=size, max_model_len=8 * BLOCK)
    async with start_engine(settings, "generate") as engine:
        yield engine


async def test_a_request_goes_on_behind_the_last_token_that_was_computed(tiny_engine: Engine) -> None:
    dice = Random(0)
    for length in range(1, 2 * BLOCK + 2):
        prompt, new = (dice.choices(range(20, NUM_TOKENS), k=number) for number in (length, length % 3))
        begun = await tiny_engine.complete(prompt, Generation(max_tokens=5))
        continued = await tiny_engine.complete([*prompt, *begun.token_ids, *new], Generation(max_tokens=1))
        assert continued.num_cached_tokens == length + len(begun.token_ids) - 1


async def test_a_request_that_comes_again_costs_its_last_token_or_a_whole_block(tiny_engine: Engine) -> None:
    dice = Random(1)
    for length in range(2, 2 * BLOCK + 2):
        prompt = dice.choices(range(20, NUM_TOKENS), k=length)
        told = [await tiny_engine.complete(prompt, SOME) for _ in range(2)]
        assert [each.num_cached_tokens for each in told] == [0, length - (1 if length % BLOCK else BLOCK)]
        assert told[1].logprobs == pytest.approx(told[0].logprobs, abs=0.1)


async def test_requests_that_come_at_once_do_not_copy_what_is_not_computed_yet(cramped: Engine) -> None:
    """vLLM lists a full block when it is to be computed: a copy at the beginning of the same step would be empty."""
    dice = Random(4)
    for length in (BLOCK, 2 * BLOCK, 3 * BLOCK, 3 * BLOCK - 1, 3 * BLOCK + 1):
        prompt = dice.choices(range(20, NUM_TOKENS), k=length)
        alone = await cramped.complete(prompt, SOME)
        assert await cramped.llm.reset_prefix_cache()
        for told in await asyncio.gather(*(cramped.complete(prompt, SOME) for _ in range(4))):
            assert told.logprobs == pytest.approx(alone.logprobs, abs=1e-4)


async def test_a_step_is_judged_without_the_tokens_before_it(policy: EnginePolicy, verifier: WinnowPRM) -> None:
    steps, known = visible(await respond(policy, sampling(11))), Meter()
    await verifier.score(PROBLEM, (), steps[:1], known)
    for number in range(1, len(steps)):
        meter = Meter()
        await verifier.score(PROBLEM, steps[:number], steps[number : number + 1], meter)
        assert meter.verifier_tokens <= len(steps[number].token_ids)


async def test_a_seed_draws_the_same_behind_an_end_from_the_cache(cramped: Engine) -> None:
    """In float32: in bfloat16 what was generated and what is read again as a prompt differ in the last bit."""
    dice = Random(3)
    for seed in range(20):
        prompt = dice.choices(range(20, NUM_TOKENS), k=dice.randint(1, 3 * BLOCK))
        begun = await cramped.complete(prompt, Generation(max_tokens=9, seed=seed))
        ids, step = [*prompt, *begun.token_ids], Generation(max_tokens=2 * BLOCK, seed=seed)
        continued = await cramped.complete(ids, step)
        assert await cramped.llm.reset_prefix_cache()
        alone = await cramped.complete(ids, step)
        assert (continued.num_cached_tokens, alone.num_cached_tokens) == (len(ids) - 1, 0)
        assert continued.token_ids == alone.token_ids


async def test_what_the_cache_gives_is_what_pytorch_computes(cramped: Engine, tiny_llama: Path) -> None:
    """Of a random tree, of which the cache holds a part: siblings share an end, and blocks are used again."""
    dice, grown = Random(2), [[20, 21, 22]]
    reference = AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.float32)
    num_within = 0
    for _ in range(25):
        parents = [dice.choice(grown[-20:]) for _ in range(3)]
        asked = [[*parent, *dice.choices(range(20, 60), k=dice.randint(0, 25))] for parent in parents * 2]
        asked = [ids if len(ids) < 7 * BLOCK else grown[0] for ids in asked]
        told = await asyncio.gather(*(cramped.complete(ids, SOME) for ids in asked))
        for ids, each in zip(asked, told, strict=True):
            expected = reference(torch.tensor([ids])).logits[0, -1].log_softmax(-1)[IDS].detach()
            logprobs = torch.tensor([(each.logprobs or {})[token_id] for token_id in IDS])
            torch.testing.assert_close(logprobs, expected, atol=1e-3, rtol=0)
        num_within += sum((each.num_cached_tokens or 0) % BLOCK > 0 for each in told)
        grown += asked
    assert num_within > 50
