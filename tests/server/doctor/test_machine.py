"""What the machine has: a container's memory is its own."""

from pathlib import Path

import psutil
import pytest

from server.doctor.machine import GIB, look_at_machine, memory_of


def group(folder: Path, limit: str, used: int) -> Path:
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    return folder


def test_a_container_has_the_memory_of_its_control_group(tmp_path: Path) -> None:
    memory, free = memory_of(group(tmp_path, str(GIB), GIB // 4))
    assert memory == GIB
    assert free <= GIB - GIB // 4


def test_a_control_group_that_is_full_has_nothing_free(tmp_path: Path) -> None:
    assert memory_of(group(tmp_path, str(GIB), 2 * GIB))[1] == 0


@pytest.mark.parametrize("limit", ["max", str(1 << 62)])
def test_without_a_limit_it_is_the_machines(tmp_path: Path, limit: str) -> None:
    assert memory_of(group(tmp_path, limit, 0))[0] == psutil.virtual_memory().total


def test_a_machine_without_control_groups_has_its_own(tmp_path: Path) -> None:
    assert memory_of(tmp_path)[0] == psutil.virtual_memory().total


def test_this_machine_can_be_looked_at() -> None:
    machine = look_at_machine()
    assert machine.device in ("cpu", "cuda")
    assert machine.num_cores >= 1
    assert 0 < machine.free_bytes <= machine.memory_bytes
