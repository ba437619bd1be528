"""The engines alone, without a search between them: how fast the work of a search can be done at all.

Two yardsticks:

- *at once*: the policy's engine writes the tokens of each search in as many sequences as it had in flight, of the same
  lengths, while the verifier's engine reads each of its responses once, from its cache where they begin alike; as many
  problems at a time. Nothing waits but for the last sequence of a problem. This is the fair one: the same work on the
  same engines, which share the machine as they do in a search.
- *the policy alone*: its engine writes as many tokens, in sequences of equal length, as many at a time, and nothing is
  read. No search that judges can reach it where both engines share a processor.

Both send whole requests, take their outputs at the end and decode no text.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing

from vllm import SamplingParams
from vllm.sampling_params import RequestOutputKind

from tests.bench.engines import raw
from tests.bench.limit.pair import TEMPERATURE, Pair, Run
from tests.bench.limit.work import Work


async def at_once(pair: Pair, works: Sequence[Work], in_flight: int) -> Run:
    """Have both engines do the work of searches, each its own."""
    await pair.forget()
    places = asyncio.Semaphore(in_flight)

    async def one(index: int, work: Work) -> tuple[int, int]:
        async with places:
            room = pair.policy.context - len(work.prompt)
            lengths = [min(room, lane - start) for lane in work.lanes for start in range(0, lane, room)]
            written = asyncio.gather(*(_write(pair, work.prompt, n, 1000 * index + i) for i, n in enumerate(lengths)))
            read = asyncio.gather(*(_read(pair, [*work.prompt, *response]) for response in work.responses))
            return sum(await written), sum(await read)

    cpu, start = time.process_time(), time.perf_counter()
    done = await asyncio.gather(*(one(index, work) for index, work in enumerate(works)))
    seconds, cpu_s = time.perf_counter() - start, time.process_time() - cpu
    return Run(seconds, len(works), sum(tokens for tokens, _ in done), sum(tokens for _, tokens in done), cpu_s=cpu_s)


async def policy_alone(pair: Pair, works: Sequence[Work], in_flight: int, n: int) -> Run:
    """Have the policy's engine write the tokens of searches in N equal sequences a problem."""
    await pair.forget()
    places, length = (
        asyncio.Semaphore(in_flight * n),
        max(sum(work.num_tokens for work in works) // (n * len(works)), 1),
    )

    async def one(work: Work, seed: int) -> int:
        async with places:
            return await _write(pair, work.prompt, length, seed)

    start = time.perf_counter()
    written = await asyncio.gather(*(one(work, seed) for work in works for seed in range(n)))
    return Run(time.perf_counter() - start, len(works), sum(written))


async def _write(pair: Pair, prompt: Sequence[int], length: int, seed: int) -> int:
    params = SamplingParams(
        temperature=TEMPERATURE,
        max_tokens=length,
        ignore_eos=True,
        seed=seed,
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )
    async with aclosing(raw(pair.policy, prompt, params)) as outputs:
        return sum([len(output.outputs[0].token_ids) async for output in outputs])


async def _read(pair: Pair, token_ids: Sequence[int]) -> int:
    """Return how many were computed."""
    output = await pair.verifier.engine.score(token_ids, [len(token_ids) - 1])
    return len(token_ids) - output.num_cached_tokens
