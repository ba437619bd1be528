"""Which values are tried."""

from dataclasses import replace
from typing import Any

import pytest

from server.settings import Settings
from server.tuning.knobs import KNOBS, Place, changed, difference, words

SIZES = {
    "policy": {"max_num_seqs": 512, "max_num_batched_tokens": 1024, "block_size": 16},
    "verifier": {"max_num_seqs": 512, "max_num_batched_tokens": 1024, "block_size": 32},
}
PLACE = Place("cpu", num_cores=8, sizes=SIZES, cost=1000, in_flight=8, most_in_flight=12)


def values(knob: str, place: Place = PLACE, **fields: Any) -> list[dict[str, Any]]:
    (found,) = [each for each in KNOBS if each.name == knob]
    return [dict(change) for change in found.values(Settings(**fields), place)]


def test_searches_at_a_time_never_hold_more_than_the_caches() -> None:
    assert values("searches at a time") == [{"max_cost_in_flight": 4_000}]
    roomy = replace(PLACE, most_in_flight=16)
    assert values("searches at a time", roomy) == [{"max_cost_in_flight": 4_000}, {"max_cost_in_flight": 16_000}]
    assert values("searches at a time", roomy, max_cost_in_flight=2_500)[0] == {"max_cost_in_flight": 1_000}


@pytest.mark.parametrize("cores", [1, 2, 3, 4, 8, 64])
def test_threads_never_outnumber_the_cores(cores: int) -> None:
    tried = [tuple(change.values()) for change in values("threads", replace(PLACE, num_cores=cores))]
    assert (1, 1) in tried
    assert all(min(pair) >= 1 and sum(pair) <= max(cores, 2) for pair in tried)


def test_an_engine_that_is_alone_may_have_all_cores() -> None:
    alone = replace(PLACE, sizes={"policy": SIZES["policy"]})
    assert [change["policy_threads"] for change in values("threads", alone)] == [8, 7, 4, 1]
    assert values("memory of policy and verifier", alone) == []


def test_batches_are_doubled_and_halved_as_far_as_vllm_allows() -> None:
    name = "verifier_engine_args.max_num_batched_tokens"
    assert values("max_num_batched_tokens of the verifier") == [{name: 2048}, {name: 512}]
    given: dict[str, Any] = {"verifier_engine_args": {"max_num_batched_tokens": 600}}
    assert values("max_num_batched_tokens of the verifier", **given) == [{name: 1200}]  # 300 are fewer than sequences
    assert values("max_num_seqs of the verifier", **given) == [{"verifier_engine_args.max_num_seqs": 256}]


def test_blocks_become_larger_and_on_a_gpu_smaller_too() -> None:
    name = "verifier_engine_args.block_size"
    assert values("block_size of the verifier") == [{name: 64}]  # a CPU's kernels say how small they can be
    assert values("block_size of the verifier", replace(PLACE, device="cuda")) == [{name: 64}, {name: 16}]


def test_memory_moves_between_the_engines_and_none_is_added() -> None:
    for place, names, whole in (
        (PLACE, ("policy_kv_cache_mib", "verifier_kv_cache_mib"), 1024),
        (replace(PLACE, device="cuda"), ("policy_memory", "verifier_memory"), 0.9),
    ):
        tried = values("memory of policy and verifier", place)
        assert len(tried) == 2
        assert all(set(change) == set(names) and sum(change.values()) == pytest.approx(whole) for change in tried)


def test_engines_elsewhere_have_nothing_that_could_be_turned() -> None:
    remote = replace(PLACE, sizes={})
    assert [knob.name for knob in KNOBS if [*knob.values(Settings(), remote)]] == ["searches at a time"]


def test_a_change_is_what_it_makes_different() -> None:
    before = Settings(policy_engine_args={"kv_cache_dtype": "auto"})
    change = {"policy_engine_args.block_size": 32, "policy_threads": 2}
    after = changed(before, change)
    assert after.policy_engine_args == {"kv_cache_dtype": "auto", "block_size": 32}
    assert difference(before, after, PLACE) == change
    assert difference(before, changed(after, {"policy_engine_args.block_size": 16}), PLACE) == {"policy_threads": 2}
    assert words(before, change, PLACE) == "policy_engine_args.block_size 16 -> 32, policy_threads 1 -> 2"
