"""Whether the engines fit."""

from typing import Any

import pytest

from server.doctor.finding import Verdict
from server.doctor.machine import GIB
from server.doctor.memory import MIB, Size, check_memory
from server.settings import Settings
from tests.server.doctor.machines import machine, verdicts, with_gpus

FINE, CAUTION, STOPS = Verdict.FINE, Verdict.CAUTION, Verdict.STOPS
SMALL = [Size("policy", 4 * MIB, MIB, 2), Size("verifier", 4 * MIB, None, 2)]


@pytest.mark.parametrize(
    ("free_gib", "expected"),
    [(8, FINE), (3, CAUTION)],  # 0.5 for the service and twice 1 for an engine and 0.5 for its cache: 3.5 GiB
)
def test_memory_that_is_not_free_is_a_caution(free_gib: int, expected: Verdict) -> None:
    assert verdicts(check_memory(Settings(), machine(free_bytes=free_gib * GIB), SMALL)) == [expected]


def test_memory_that_is_not_there_stops() -> None:
    assert verdicts(check_memory(Settings(), machine(memory_bytes=3 * GIB, free_bytes=2 * GIB), SMALL)) == [STOPS]


def test_a_cache_that_cannot_hold_one_response_stops_and_the_remedy_says_how_large_it_must_be() -> None:
    sizes = [Size("policy", 4 * MIB, 600 * MIB + 1, 2)]
    cache, memory = check_memory(Settings(), machine(), sizes)
    assert (cache.verdict, memory.verdict) == (STOPS, FINE)
    assert "policy_kv_cache_mib to 601" in (cache.remedy or "")
    assert verdicts(check_memory(Settings(policy_kv_cache_mib=601), machine(), sizes)) == [FINE]


@pytest.mark.parametrize(
    ("settings", "num_gpus", "expected"),
    [({}, 1, STOPS), ({"policy_memory": 0.9}, 1, FINE), ({"tensor_parallel_size": 2}, 2, FINE)],
)
def test_a_model_must_fit_into_its_share_of_each_gpu(
    settings: dict[str, Any], num_gpus: int, expected: Verdict
) -> None:
    eight_billion = [Size("policy", 16 * GIB, GIB, 2)]
    assert verdicts(check_memory(Settings(**settings), with_gpus(num_gpus, gib=24), eight_billion)) == [expected]


def test_models_on_servers_elsewhere_take_no_memory_here() -> None:
    assert verdicts(check_memory(Settings(), machine(free_bytes=0), [])) == []
