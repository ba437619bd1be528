"""The simulated fleet against queues that are worked out by hand, and laws that any fleet keeps."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest

from search.strategies import strategies
from tests.bench.fleet import costs
from tests.bench.fleet.clock import DeadlockError, simulate
from tests.bench.fleet.engine import Engine, EngineCosts, EngineLostError
from tests.bench.fleet.fleet import Fleet, GatewayCosts, Plan
from tests.bench.fleet.law import DrawnLaw, Record, RecordedLaw, Response, Shape
from tests.bench.fleet.load import Loss, Outcome, Work, run
from tests.bench.fleet.machine import Machine

SECOND = EngineCosts(1.0, 0.0, 0.0, block=1)
"""An engine whose iterations take a second, whatever is in them."""
TENTH = replace(SECOND, base_s=0.1)


async def ended(work: Coroutine[Any, Any, object]) -> float:
    """Return when work ends."""
    await work
    return asyncio.get_running_loop().time()


async def later(seconds: float, work: Coroutine[Any, Any, object]) -> float:
    await asyncio.sleep(seconds)
    return await ended(work)


def work(strategy: str = "beam_search", n: int = 8, **fields: Any) -> Work:
    return Work(strategies()[strategy].build(n), **{"num_searches": 40, "in_flight": 10, "has_end": True} | fields)


def demo(plan: Plan, asked: Work | None = None, *losses: Loss) -> Outcome:
    return run(plan, DrawnLaw(Shape(step_tokens=10)), asked or work(), losses)


def test_a_simulation_that_waits_for_nothing_ends_with_an_error() -> None:
    async def wait() -> None:
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError):
        simulate(wait())


def test_a_response_takes_an_iteration_a_token_and_reading_comes_with_the_first() -> None:
    async def main() -> float:
        return await ended(Engine(SECOND).run([("p", 5)], 7))

    assert simulate(main()) == pytest.approx(7)


def test_who_comes_within_an_iteration_waits_for_its_end() -> None:
    async def main() -> tuple[float, float]:
        engine = Engine(SECOND)
        return await asyncio.gather(ended(engine.run([("p", 5)], 10)), later(2.5, engine.run([("q", 5)], 2)))

    assert simulate(main()) == pytest.approx((10, 5))


def test_a_full_engine_serves_in_the_order_of_arrival() -> None:
    async def main() -> list[float]:
        engine = Engine(replace(SECOND, max_sequences=1))
        return await asyncio.gather(*(ended(engine.run([(f"{i}", 1)], 3)) for i in range(3)))

    assert simulate(main()) == pytest.approx([3, 6, 9])


def test_a_long_prompt_is_read_in_pieces_beside_what_decodes() -> None:
    costs = EngineCosts(0.0, 0.0, 0.1, block=1, max_batched_tokens=11, max_piece=10)

    async def main() -> tuple[float, float]:
        engine = Engine(costs)
        return await asyncio.gather(ended(engine.run([("a", 1)], 4)), later(0.05, engine.run([("b", 20)], 0)))

    # a: 1 token, then two iterations of 1 + 10 tokens, then 1: 0.1 + 1.1 + 1.1 + 0.1 s
    assert simulate(main()) == pytest.approx((2.4, 2.3))


def test_a_common_beginning_is_read_once() -> None:
    async def main() -> list[int]:
        engine = Engine(SECOND)
        first = await engine.run([("p", 50)], 10, "a")
        return [first, await engine.run([("p", 50), ("a", 10)], 10, "b"), await engine.run([("p", 50), ("c", 7)], 0)]

    assert simulate(main()) == [50, 1, 7]  # of what is known as a whole its last token is read again


def test_what_is_shared_counts_in_whole_blocks() -> None:
    async def main() -> list[int]:
        engine = Engine(replace(SECOND, block=16))
        return [await engine.run([("p", 40)], 0), await engine.run([("p", 40), ("a", 10)], 0)]

    assert simulate(main()) == [40, 50 - 32]


def test_a_sequence_without_room_is_preempted_and_ends_all_the_same() -> None:
    async def main() -> list[float]:
        engine = Engine(replace(SECOND, kv_tokens=20))
        ends = await asyncio.gather(*(ended(engine.run([(f"{i}", 2)], 12)) for i in range(2)))
        assert engine.counts.num_preempted == 1
        return ends

    # Both fit until they have 8 tokens each; the second begins again when the first has ended, with its 8 tokens.
    assert simulate(main()) == pytest.approx([12, 16])


def test_a_request_that_nobody_waits_for_makes_room() -> None:
    async def main() -> tuple[float, float]:
        engine, spent = Engine(replace(SECOND, max_sequences=1)), list[int]()
        task = asyncio.create_task(engine.run([("p", 1)], 1000, "a", spent.append))
        next_one = asyncio.create_task(ended(engine.run([("q", 1)], 3)))
        await asyncio.sleep(4.5)
        task.cancel()
        return await next_one, spent[0]

    assert simulate(main()) == pytest.approx((8, 4))


def test_two_engines_of_one_core_take_twice_as_long() -> None:
    async def main() -> list[float]:
        machine = Machine(1)
        engines = [Engine(SECOND, machine) for _ in range(2)]
        return await asyncio.gather(*(ended(engine.run([("p", 1)], 5)) for engine in engines))

    # The first one's first iteration began alone.
    assert simulate(main()) == pytest.approx([9, 10], abs=1)


def test_a_lost_engine_says_how_far_it_was() -> None:
    async def main() -> int:
        engine = Engine(SECOND)
        request = asyncio.create_task(engine.run([("p", 1)], 100))
        await asyncio.sleep(7.5)
        engine.lose()
        with pytest.raises(EngineLostError) as caught:
            await request
        return caught.value.num_generated

    assert simulate(main()) == 7


def test_an_iteration_takes_the_longer_of_host_and_device_or_both() -> None:
    costs = EngineCosts(1.0, 0.5, 0.25, weights_s=3.0, kv_s=0.125)
    assert costs.iteration_s(2, 2, 8) == 2 + (3 + 1)
    assert costs.iteration_s(2, 40, 8) == 2 + 10
    assert replace(costs, overlaps=True).iteration_s(2, 2, 8) == 4


@pytest.mark.parametrize("strategy", ["best_of_n", "beam_search", "dvts"])
def test_every_token_generated_is_in_the_bill_of_a_search(strategy: str) -> None:
    outcome = demo(Plan(TENTH, TENTH), work(strategy))
    assert outcome.done.num_generated == sum(each.num_tokens for each in outcome.answered)


def test_a_search_alone_takes_what_its_tokens_and_verdicts_take() -> None:
    steps = Response(("a", "b"), (3, 4), (0.5, 0.5), "42")
    law = RecordedLaw([Record("p", 10, (steps,))])
    gateway = GatewayCosts(token_s=0.01, request_s=0.1)
    outcome = run(Plan(SECOND, SECOND, gateway=gateway), law, work("best_of_n", 1, num_searches=1))
    assert outcome.mean_latency == pytest.approx(7 + 0.07 + 0.1 + 1 + 0.1)


def test_identical_steps_are_judged_once() -> None:
    steps = Response(("a",), (20,), (0.5,), "42")
    outcome = run(Plan(SECOND, SECOND), RecordedLaw([Record("p", 10, (steps,))]), work("beam_search", num_searches=1))
    assert (outcome.done.num_generated, outcome.done.num_judged) == (8 * 20, 30)


def test_more_engines_are_never_slower() -> None:
    seconds = [demo(Plan(TENTH, TENTH, number, number, routing="sticky")).done.seconds for number in (1, 2, 4)]
    assert seconds == sorted(seconds, reverse=True)


@pytest.mark.parametrize("model", ["policy", "verifier"])
def test_a_lost_engine_loses_no_search_and_never_speeds_things_up(model: str) -> None:
    slow = replace(TENTH, sequence_s=0.01)
    plan = Plan(slow, slow, 2, 2)
    whole, broken = demo(plan), demo(plan, None, Loss(model, 5.0, 20.0))
    assert len(broken.answered) == len(whole.answered)
    assert broken.mean_latency > whole.mean_latency
    assert (broken.done.num_repeated > 0) == (model == "policy")


def test_affinity_shares_problems_out_evenly() -> None:
    async def main() -> list[int]:
        fleet = Fleet(Plan(SECOND, SECOND, 4, 4), DrawnLaw(Shape()))
        homes = [await fleet.policies.choose(f"problem {number}") for number in range(400)]
        return [homes.count(engine) for engine in fleet.policies.engines]

    assert all(70 < number < 130 for number in simulate(main()))


def test_searches_wait_while_no_engine_is_up() -> None:
    outcome = demo(Plan(TENTH, TENTH), work(num_searches=1), Loss("policy", 0.35, 100.0))
    assert 100 < outcome.mean_latency < 120


def test_admission_lets_so_many_run_at_a_time() -> None:
    free, bounded = demo(Plan(TENTH, TENTH)), demo(Plan(TENTH, TENTH), work(running=1))
    assert bounded.done.seconds > 2 * free.done.seconds


def test_affinity_reads_less_than_spreading() -> None:
    read = {routing: demo(Plan(TENTH, TENTH, 4, 4, routing=routing)).done for routing in ("affinity", "spread")}
    assert read["affinity"].num_judged < read["spread"].num_judged
    assert read["affinity"].num_read < read["spread"].num_read


def test_the_same_simulation_says_the_same() -> None:
    assert demo(Plan(TENTH, TENTH, 2, 2)) == demo(Plan(TENTH, TENTH, 2, 2))


def test_every_cost_has_a_source() -> None:
    def check(node: dict[str, Any]) -> None:
        for name, each in node.items():
            if isinstance(each, dict) and "value" not in each:
                check(each)
            else:
                assert each["source"], name

    check(costs.sources())
    assert costs.engine("8b", costs.Assumptions()).kv_tokens * 131072 < 80e9
