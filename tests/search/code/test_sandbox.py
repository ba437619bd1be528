"""The sandbox holds: every attack of the table finds nothing, leaves nothing, and is called by its name."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from search.answers.answer import TrialOutcome
from search.code.runner import MAX_DETAIL
from search.code.sandbox import Sandbox, SandboxError, open_sandbox
from tests.sandboxes import LIMITS, files, mounts, running
from tests.search.code.attacks import ENDED, HELD, LIES, ROOT, formatted
from tests.waiting import until

ADD = "assert add(1, 2) == 3\nassert abs(add(1, 2) - 3) == 0\nassert all([add(2, 2) == 4])\n"


@pytest.mark.parametrize("attack", HELD)
async def test_a_program_reaches_nothing(
    sandbox: Sandbox, attack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINNOW_API_KEYS", "secret")
    (secret := tmp_path / "secret").write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0winnow-{os.getpid()}")
        abstract.listen()
        program = formatted(
            HELD[attack],
            port=server.getsockname()[1],
            abstract=f"winnow-{os.getpid()}",
            pid=os.getpid(),
            home=str(Path.home()),
            secret=str(secret),
        )
        trial = await sandbox.run(program, "assert not reached, reached")
    assert (trial.outcome, trial.detail) == (TrialOutcome.PASSED, None)
    assert secret.read_text() == "secret"


@pytest.mark.parametrize("attack", ENDED)
async def test_a_program_is_ended(sandbox: Sandbox, hasty: Sandbox, attack: str) -> None:
    expected, program = ENDED[attack]
    trial = await (hasty if expected is TrialOutcome.TIMEOUT else sandbox).run(program, "assert True")
    assert trial.outcome is expected, trial
    assert len((trial.detail or "").encode()) <= MAX_DETAIL + 100


@pytest.mark.parametrize("lie", LIES)
async def test_a_wrong_program_does_not_pass_by_lying(sandbox: Sandbox, lie: str) -> None:
    assert (await sandbox.run(LIES[lie], ADD)).outcome is TrialOutcome.FAILED


@pytest.mark.parametrize(
    ("tests", "outcome", "detail"),
    [
        ("assert add(1, 2) == 3", "passed", None),
        (
            "assert add(1, 2) == 4, 'no'",
            "failed",
            "AssertionError: no at line 1 of the tests: assert add(1, 2) == 4, 'no'",
        ),
        ("def test_it():\n    assert add(1, 2) == 3", "passed", None),
        ("def test_it():\n    assert add(1, 2) == 4", "failed", "at line 2 of the tests"),
        ("def tester(x): assert x == 3\ntester(add(1, 2))", "passed", None),
        ("async def test_it():\n    assert add(1, 2) == 4", "failed", "at line 2 of the tests"),
        ("async def test_it():\n    assert add(1, 2) == 3", "passed", None),
        ("def check(candidate):\n    assert candidate(1, 2) == 3\ncheck(add)", "passed", None),
        ("def check(candidate):\n    assert candidate(1, 2) == 3", "failed", "the tests asserted nothing"),
        ("from solution import add as plus\nassert plus(1, 2) == 3", "passed", None),
        ("import math\nassert math.isclose(add(0.1, 0.2), 0.3)", "passed", None),
        ("assert 2 < add(1, 2) <= 3 != 4 and add(1, 1) in [2] and 5 not in (add(1, 1),)", "passed", None),
        ("assert Point(1, 2) == Point(1, 2) != Point(2, 1)", "passed", None),
        ("assert [Point(1, 2)] == [Point(1, 2)] and Point(1, 2) in [Point(1, 2)]", "passed", None),
        ("assert Pair(1, 2) == (1, 2) and Colour(1) is Colour.RED and Level.LOW < 2", "passed", None),
        ("assert Point(1, 2) == 5", "failed", "AssertionError"),
        ("assert 3 in Bag() and 4 not in [Bag()]", "passed", None),
        (
            "from collections import Counter\nassert count('aab') == Counter(a=2, b=1) == {'a': 2, 'b': 1}",
            "passed",
            None,
        ),
        ("from fractions import Fraction\nassert half() == Fraction(1, 2) == 0.5", "passed", None),
        ("assert {1: 2}.keys() == {1} and {}.items() == set()", "passed", None),
        (
            "try:\n    fail()\nexcept MyError as error:\n    assert str(error) == 'no'\nelse:\n    assert False",
            "passed",
            None,
        ),
        (
            "assert undefined",
            "failed",
            "NameError: name 'undefined' is not defined at line 1 of the tests: assert undefined",
        ),
        ("import requests", "failed", "ModuleNotFoundError: No module named 'requests'"),
        ("x = (y := 3)\nassert [add(i, 1) for i in range(3)] == [1, 2, y]", "passed", None),
    ],
)
async def test_what_tests_may_say(sandbox: Sandbox, tests: str, outcome: str, detail: str | None) -> None:
    trial = await sandbox.run(LIBRARY, tests)
    assert trial.outcome.value == outcome, trial.detail
    assert (detail or "") in (trial.detail or "")


LIBRARY = """\
from collections import Counter, namedtuple
from dataclasses import dataclass
from enum import Enum, IntEnum
from fractions import Fraction
Pair = namedtuple("Pair", "a b")
Colour = Enum("Colour", "RED")
Level = IntEnum("Level", "LOW")
class MyError(Exception): pass
class Bag:
    def __contains__(self, item): return item == 3
@dataclass
class Point:
    x: int
    y: int
def add(a, b): return a + b
def count(text): return Counter(text)
def half(): return Fraction(1, 2)
def fail(): raise MyError("no")
if __name__ == "__main__":
    raise SystemExit("not here")
"""


async def test_a_program_sees_neither_tests_nor_nonce_while_it_is_imported(sandbox: Sandbox) -> None:
    program = "import sys\nf, seen = sys._getframe(), []\nwhile f: seen.append(str(f.f_locals)); f = f.f_back"
    trial = await sandbox.run(program, "marker = 'needle'\nassert not any(marker in each for each in seen)")
    assert trial.outcome is TrialOutcome.PASSED


async def test_nothing_is_left_of_attacks(hasty: Sandbox) -> None:
    before = mounts(), files()
    await asyncio.gather(*(hasty.run(program, "assert True") for _, program in list(ENDED.values())[:12]))
    assert running() == []
    assert (mounts(), files()) == before


async def test_a_run_that_is_cancelled_ends_at_once(sandbox: Sandbox) -> None:
    for delay_s in (0, 0.001, 0.01, 0.03, 0.1, 0.3):
        run = asyncio.create_task(sandbox.run("while True: pass", "assert True"))
        await asyncio.sleep(delay_s)
        run.cancel()
        await asyncio.wait([run])
        assert run.cancelled()
        assert running() == []


SERVICE = """\
import asyncio, sys, uvloop
from search.code.sandbox import SandboxLimits, open_sandbox
async def main():
    async with open_sandbox(SandboxLimits(60, int(sys.argv[1])), 2) as sandbox:
        runs = [asyncio.create_task(sandbox.run("import time; time.sleep(50)", "assert True")) for _ in range(2)]
        await asyncio.sleep(0.3)
        print("running", flush=True)
        await asyncio.wait(runs)
uvloop.run(main())
"""


@pytest.mark.usefixtures("sandbox")
async def test_runs_end_with_a_service_that_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # a killed service removes no folder
    limits = replace(LIMITS, memory_bytes=LIMITS.memory_bytes + (1 << 22))
    command = [sys.executable, "-c", SERVICE, str(limits.memory_bytes)]
    service = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=ROOT)
    assert service.stdout is not None
    assert await service.stdout.readline() == b"running\n"
    await until(lambda: len(running(limits)) > 4)
    service.kill()
    await service.wait()
    await until(lambda: running(limits) == [])


DESCRIPTORS = """\
import asyncio, os, sys, uvloop
from search.code.sandbox import SandboxLimits, open_sandbox
PROGRAM = '''
import os
def is_open(number):
    try: return bool(os.fstat(number))
    except OSError: return False
found = [number for number in range(5, 10_000) if is_open(number)]
'''
async def main():
    secret = os.open("pyproject.toml", os.O_RDONLY)
    for number in 20, 29, 500:
        os.dup2(secret, number, inheritable=True)
    async with open_sandbox(SandboxLimits(60, int(sys.argv[1])), 2) as sandbox:
        print(await sandbox.run(PROGRAM, "assert not found, found"))
uvloop.run(main())
"""


@pytest.mark.usefixtures("sandbox")
def test_what_the_service_has_open_is_closed_to_programs_whatever_its_event_loop() -> None:
    command = [sys.executable, "-c", DESCRIPTORS, str(LIMITS.memory_bytes)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd=ROOT).stdout
    assert "PASSED" in told


ORPHANAGE = """\
import asyncio, ctypes, psutil, sys
from search.code.sandbox import SandboxLimits, open_sandbox
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: it gets all orphans
async def main():
    async with open_sandbox(SandboxLimits(2, int(sys.argv[1])), 2) as sandbox:
        for program in "x = 1", "import os; os._exit(0)", "while True: pass":
            await sandbox.run(program, "assert True")
        await asyncio.sleep(0.2)
        print([child.status() for child in psutil.Process().children(recursive=True)])
asyncio.run(main())
"""


@pytest.mark.usefixtures("sandbox")
def test_a_service_that_is_the_first_process_of_a_container_is_left_no_orphans() -> None:
    command = [sys.executable, "-c", ORPHANAGE, str(LIMITS.memory_bytes)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True, cwd=ROOT).stdout
    assert told == "[]\n"


async def test_no_more_run_at_a_time_than_there_are_workers(sandbox: Sandbox) -> None:
    start, program = time.perf_counter(), "import time; time.sleep(0.3)"
    await asyncio.gather(*(sandbox.run(program, "assert True") for _ in range(2 * sandbox.num_workers)))
    assert time.perf_counter() - start >= 0.6


async def test_a_sandbox_that_can_no_longer_be_started_refutes_nothing(tmp_path: Path) -> None:
    (tmp_path / "seccomp").touch()
    for command, why in (["false"], "bwrap ended at once"), (["/nowhere"], "No such file or directory"):
        trial = await Sandbox(command, tmp_path / "seccomp", LIMITS, 1).run("x = 1", "assert True")
        assert (trial.outcome, trial.detail) == (TrialOutcome.UNTESTED, f"no sandbox could be started: {why}")


async def test_a_machine_without_bubblewrap_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SandboxError, match=r"bwrap is missing; install bubblewrap \(Debian, Ubuntu: apt-get"):
        async with open_sandbox(LIMITS, 1):
            pass


async def test_a_bubblewrap_that_may_not_confine_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (bwrap := tmp_path / "bwrap").write_text(
        "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2; exit 1\n"
    )
    bwrap.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")  # noqa: TID251
    with pytest.raises(
        SandboxError, match="No permissions to create new namespace; allow unprivileged user namespaces"
    ):
        async with open_sandbox(LIMITS, 1):
            pass


async def test_a_sandbox_that_does_not_hold_is_not_opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Here `bwrap` drops its options and runs the command as it is, as a broken one might."""
    script = '#!/bin/sh\nwhile [ "$1" != -I ]; do shift; done\nexec python3 "$@"\n'
    (bwrap := tmp_path / "bwrap").write_text(script)
    bwrap.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")  # noqa: TID251
    with pytest.raises(SandboxError, match=r"the sandbox does not hold: AssertionError: the network is reached"):
        async with open_sandbox(LIMITS, 1):
            pass
