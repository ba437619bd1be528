"""Processes that work, wait and are stopped, looked at as an engine's is."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from models.vllm.watch import LOOK_EVERY_S, MIN_CPU_S, SILENT_LOOKS, STILL_LOOKS, Watch, cpu_seconds

BUSY, IDLE = "print(flush=True)\nwhile True: sum(range(1000))", "print(flush=True)\nimport time; time.sleep(60)"


@contextmanager
def running(program: str) -> Iterator[psutil.Popen]:
    with psutil.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def used_in(process: psutil.Popen, seconds: float) -> float:
    before = cpu_seconds([process.pid])
    time.sleep(seconds)
    return cpu_seconds([process.pid]) - before


def test_a_process_at_work_uses_time_and_one_that_waits_or_is_stopped_does_not() -> None:
    with running(BUSY) as busy, running(IDLE) as idle:
        assert used_in(busy, 0.5) > MIN_CPU_S
        assert used_in(idle, 0.5) < MIN_CPU_S
        busy.send_signal(signal.SIGSTOP)
        assert used_in(busy, 0.5) < MIN_CPU_S


def test_the_time_of_children_counts() -> None:
    parent = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {BUSY!r}])\nimport time; time.sleep(60)"
    with running(parent) as process:
        (child,) = process.children()
        assert used_in(process, 0.5) > MIN_CPU_S
        child.kill()


def test_a_process_that_is_gone_uses_none() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert cpu_seconds([process.pid]) == 0


def test_an_engine_that_answers_is_in_no_trouble() -> None:
    watch = Watch(lambda: 0.0)
    for _ in range(2 * STILL_LOOKS):
        watch.look(has_answered=True)
    assert (watch.trouble, watch.is_still) == (None, False)


def test_an_engine_that_works_without_answering_is_busy() -> None:
    clock = iter(range(1000))
    watch = Watch(lambda: next(clock) * LOOK_EVERY_S)
    for _ in range(SILENT_LOOKS - 1):
        watch.look(has_answered=False)
    assert (watch.trouble, watch.is_still) == (None, False)


def test_an_engine_that_works_for_ever_without_answering_hangs() -> None:
    clock = iter(range(1000))
    watch = Watch(lambda: next(clock) * LOOK_EVERY_S)
    for _ in range(SILENT_LOOKS):
        watch.look(has_answered=False)
    assert watch.trouble == "has been in one step for 600 s"


def test_an_engine_that_neither_answers_nor_works_hangs() -> None:
    watch = Watch(lambda: 7.0)
    looks = 0
    while watch.trouble is None:
        watch.look(has_answered=False)
        looks += 1
    assert looks * LOOK_EVERY_S < 10
    assert watch.is_still


def test_silence_is_forgotten_when_the_engine_answers_again() -> None:
    watch = Watch(lambda: 7.0)
    for _ in range(3):
        for _ in range(STILL_LOOKS):
            watch.look(has_answered=False)
        watch.look(has_answered=True)
    assert (watch.trouble, watch.is_still) == (None, False)
