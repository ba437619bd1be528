"""Processes that work, wait and are stopped, looked at as an engine's is."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from models.vllm.watch import LOOK_EVERY_S, MIN_CPU_S, SILENT_LOOKS, STILL_LOOKS, Activity, Watch, activity

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
    before = activity([process.pid]).cpu_s
    time.sleep(seconds)
    return activity([process.pid]).cpu_s - before


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
    assert activity([process.pid]) == (0, False)


def test_a_process_that_gets_no_cpu_is_ready_and_one_that_is_stopped_or_sleeps_is_not() -> None:
    with running(BUSY) as starved, running(BUSY) as stopped, running(IDLE) as idle, running(BUSY) as greedy:
        for process in (starved, greedy):
            os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})
        os.sched_setscheduler(starved.pid, os.SCHED_IDLE, os.sched_param(0))
        stopped.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        assert all(activity([starved.pid]).is_ready for _ in range(20))
        assert not activity([stopped.pid, idle.pid]).is_ready


def test_an_engine_that_gets_no_cpu_is_left_alone() -> None:
    watch = Watch(lambda: Activity(7.0, is_ready=True))
    for _ in range(SILENT_LOOKS - 1):
        watch.look(has_answered=False)
    assert (watch.trouble, watch.is_still) == (None, False)


def test_an_engine_that_answers_is_in_no_trouble() -> None:
    watch = Watch(lambda: Activity(0.0, is_ready=False))
    for _ in range(2 * STILL_LOOKS):
        watch.look(has_answered=True)
    assert (watch.trouble, watch.is_still) == (None, False)


def test_an_engine_that_works_without_answering_is_busy() -> None:
    clock = iter(range(1000))
    watch = Watch(lambda: Activity(next(clock) * LOOK_EVERY_S, is_ready=False))
    for _ in range(SILENT_LOOKS - 1):
        watch.look(has_answered=False)
    assert (watch.trouble, watch.is_still) == (None, False)


def test_an_engine_that_works_for_ever_without_answering_hangs() -> None:
    clock = iter(range(1000))
    watch = Watch(lambda: Activity(next(clock) * LOOK_EVERY_S, is_ready=False))
    for _ in range(SILENT_LOOKS):
        watch.look(has_answered=False)
    assert watch.trouble == "has been in one step for 600 s"


def test_an_engine_that_neither_answers_nor_works_hangs() -> None:
    watch = Watch(lambda: Activity(7.0, is_ready=False))
    looks = 0
    while watch.trouble is None:
        watch.look(has_answered=False)
        looks += 1
    assert looks * LOOK_EVERY_S < 10
    assert watch.is_still


def test_silence_is_forgotten_when_the_engine_answers_again() -> None:
    watch = Watch(lambda: Activity(7.0, is_ready=False))
    for _ in range(3):
        for _ in range(STILL_LOOKS):
            watch.look(has_answered=False)
        watch.look(has_answered=True)
    assert (watch.trouble, watch.is_still) == (None, False)
