"""Devices, cores, GPUs and limits."""

from typing import Any

import pytest

from server.doctor.finding import Verdict
from server.doctor.hardware import check_hardware
from server.doctor.machine import Machine
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
