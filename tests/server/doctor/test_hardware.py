"""Devices, cores, GPUs and limits."""

from typing import Any

import pytest

from models.vllm.devices import multiplies_16_bits
from server.doctor.finding import Verdict
from server.doctor.hardware import check_hardware, check_types
from server.doctor.machine import GIB, Machine
from server.doctor.memory import Size
from server.settings import Settings
from tests.server.doctor.machines import machine, verdicts, with_gpus

BOTH = ("policy", "verifier")
FINE, CAUTION, STOPS = Verdict.FINE, Verdict.CAUTION, Verdict.STOPS


@pytest.mark.parametrize(
    ("there", "settings", "expected"),
    [
        (machine(), {}, [FINE]),
        (machine(), {"device": "cuda"}, [STOPS]),
        (machine(num_cores=1), {}, [FINE, CAUTION]),
        (machine(num_cores=4), {"policy_threads": 2, "verifier_threads": 2}, [FINE]),
        (machine(num_cores=4), {"policy_threads": 2, "verifier_threads": 3}, [FINE, CAUTION]),
        (machine(num_files=256), {}, [FINE, CAUTION]),
        (machine(device=""), {}, [STOPS]),
        (with_gpus(1), {}, [FINE]),
        (with_gpus(0), {}, [STOPS]),
        (with_gpus(1), {"device": "cpu"}, [STOPS]),
        (with_gpus(1), {"tensor_parallel_size": 2}, [FINE, STOPS]),
        (with_gpus(2), {"tensor_parallel_size": 2}, [FINE]),
        (with_gpus(2, shared_bytes=64 << 20), {"tensor_parallel_size": 2}, [FINE, CAUTION]),
        (with_gpus(1), {"policy_memory": 0.5}, [FINE, CAUTION]),
        (with_gpus(1), {"policy_memory": 0.6}, [FINE, STOPS]),
    ],
)
def test_what_the_engines_cannot_run_on_is_found(
    there: Machine, settings: dict[str, Any], expected: list[Verdict]
) -> None:
    assert verdicts(check_hardware(Settings(**settings), there, BOTH)) == expected


def test_models_on_servers_elsewhere_need_no_device_here() -> None:
    assert verdicts(check_hardware(Settings(device="cuda"), machine(num_cores=1), ())) == [FINE]


def test_one_engine_may_have_all_of_a_gpu() -> None:
    assert verdicts(check_hardware(Settings(policy_memory=0.9), with_gpus(1), ("policy",))) == [FINE]


def test_threads_of_engines_that_run_elsewhere_do_not_count() -> None:
    settings = Settings(policy_threads=8, verifier_threads=2)
    assert verdicts(check_hardware(settings, machine(num_cores=2), ("verifier",))) == [FINE]


@pytest.mark.parametrize(
    ("there", "itemsize", "expected"),
    [
        (machine(multiplies_16_bits=False), 2, [CAUTION]),
        (machine(multiplies_16_bits=False), 4, []),
        (machine(), 2, []),
        (with_gpus(1, multiplies_16_bits=False), 2, []),
    ],
)
def test_weights_of_16_bits_are_slow_on_cores_that_do_not_multiply_them(
    there: Machine, itemsize: int, expected: list[Verdict]
) -> None:
    findings = list(check_types(there, [Size("policy", GIB, None, itemsize), Size("verifier", 1, None, 4)]))
    assert verdicts(findings) == expected
    for finding in findings:
        assert finding.seen == "this processor is slow with numbers of 16 bits, as in policy"
        assert finding.remedy == "set dtype to float32: several times as fast, and 1.0 GiB more memory"


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"architecture": "x86_64", "avx2": True, "avx512_bw": False, "avx_ne_convert": False}, False),
        ({"architecture": "x86_64", "avx2": True, "avx512_bw": True}, True),
        ({"architecture": "x86_64", "avx2": True, "avx_ne_convert": True}, True),
        ({"architecture": "aarch64"}, True),
    ],
)
def test_which_processors_multiply_16_bits(capabilities: dict[str, object], expected: bool) -> None:
    assert multiplies_16_bits(capabilities) is expected
