"""A sandbox for programs that nobody has read: bubblewrap, a seccomp filter and resource limits around one process.

It does not know what a search is. Every run starts a sandbox of its own and ends it as a whole; `code.md` says which
part of it holds which attack. `open_sandbox` tries some of them and refuses to open one that does not hold.
"""

import asyncio
import errno
import json
import math
import os
import platform
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from search.answers.answer import Trial, TrialOutcome
from search.code.root import PYTHON, mounts
from search.code.runner import MAX_DETAIL
from search.code.syscalls import REFUSED, seccomp_filter

MIB = 1 << 20
SCRATCH = "/scratch"
MOUNT = f'mount -t tmpfs -o size={16 * MIB},nr_inodes=1024 scratch "$0" && exec "$@"'
"""In a namespace of its own: bwrap bounds the bytes of a folder in memory, not the number of its files."""

MAX_VERDICT_BYTES = 16_384
"""Of a line that a program may have written in the runner's place."""

PROBE_S = 60.0
"""For the first run, on a machine that is busy with starting."""

ATTEMPT_S, MAX_ATTEMPTS = 0.002, 2_000

ISOLATION = (
    "--unshare-user",
    "--unshare-pid",
    "--unshare-net",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-cgroup-try",
    "--uid",
    "65534",
    "--gid",
    "65534",
    "--hostname",
    "sandbox",
    "--cap-drop",
    "ALL",
    "--new-session",
    "--die-with-parent",
    "--as-pid-1",  # a first process of bwrap's own would be left for whoever waits for orphans
    "--clearenv",
)
INTERPRETER = (PYTHON, "-I", "-S", "-B", "-X", "utf8")
INSTALL = "install bubblewrap (Debian, Ubuntu: apt-get install bubblewrap)"
ALLOW = (
    "allow unprivileged user namespaces (kernel.unprivileged_userns_clone, user.max_user_namespaces, on Ubuntu an "
    "AppArmor profile for bwrap); in a container see search/code.md"
)


class SandboxError(Exception):
    """This machine cannot give a sandbox that holds.

    Args:
        seen: Why.
        remedy: What to do.
    """

    def __init__(self, seen: str, remedy: str) -> None:
        super().__init__(f"{seen}; {remedy}")
        self.seen = seen
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """What one run may take.

    Attributes:
        timeout_s: Time on the clock.
        memory_bytes: Address space, of the interpreter too.
    """

    timeout_s: float = 10.0
    memory_bytes: int = 512 * MIB


class Sandbox:
    """Runs programs against tests, so many at a time.

    Args:
        confinement: The command that confines another, which follows its options.
        filter_file: The system calls that it refuses.
        limits: Of each run.
        num_workers: Runs at a time; others wait in the order in which they came.
    """

    def __init__(self, confinement: list[str], filter_file: Path, limits: SandboxLimits, num_workers: int) -> None:
        self.limits = limits
        self.num_workers = num_workers
        self._confinement = confinement
        self._filter_file = filter_file
        self._runner = [*INTERPRETER, "-c", Path(__file__).with_name("runner.py").read_text()]
        self._runner += [str(limits.memory_bytes), str(math.ceil(limits.timeout_s) + 1)]
        self._slots = asyncio.Semaphore(num_workers)

    async def run(self, program: str, tests: str) -> Trial:
        """Return what comes of running a program against tests. Cancelling it ends the run."""
        async with self._slots:
            return await self._timed({"code": program}, tests)

    async def flaw_of(self, tests: str) -> str | None:
        """Say why tests cannot be compiled; None where they can be."""
        async with self._slots:
            trial = await self._timed({"tests": tests}, None)
        return trial.detail if trial.outcome is TrialOutcome.FAILED else None

    async def _timed(self, request: dict[str, Any], tests: str | None) -> Trial:
        start, nonce = time.perf_counter(), secrets.token_hex(16)

        def trial(outcome: TrialOutcome, detail: str | None = None) -> Trial:
            return Trial(outcome, detail, time.perf_counter() - start)

        try:
            async with asyncio.timeout(self.limits.timeout_s), self._started() as process:
                verdict = await _converse(process, request, None if tests is None else {"tests": tests, "nonce": nonce})
        except TimeoutError:
            return trial(TrialOutcome.TIMEOUT, f"it took longer than {self.limits.timeout_s:g} s")
        except OSError as error:
            return trial(TrialOutcome.UNTESTED, f"no sandbox could be started: {error.strerror}")
        if verdict is None:
            return trial(
                TrialOutcome.FAILED, "it ended the process, or took more than its memory, before its tests did"
            )
        if verdict.get("failure") is None and (tests is None or verdict.get("nonce") == nonce):
            return trial(TrialOutcome.PASSED)
        return trial(TrialOutcome.FAILED, _plain(verdict.get("failure") or "it answered in the place of its tests"))

    @asynccontextmanager
    async def _started(self) -> AsyncIterator[Process]:
        """Start a sandbox, and end it with all that is in it, even if this is cancelled while it starts."""
        starting = asyncio.ensure_future(self._start())
        try:
            yield await asyncio.shield(starting)
        finally:
            await asyncio.shield(asyncio.ensure_future(_end(starting)))

    async def _start(self) -> Process:
        number = os.open(self._filter_file, os.O_RDONLY)
        try:
            return await asyncio.create_subprocess_exec(
                *self._confinement,
                "--seccomp",
                str(number),
                *self._runner,
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                pass_fds=(number,),
                start_new_session=True,  # an interrupt at the terminal is for the service
                limit=MAX_VERDICT_BYTES,
            )
        finally:
            os.close(number)


async def _converse(process: Process, request: dict[str, Any], tests: dict[str, str] | None) -> dict[str, Any] | None:
    """Hand over a program, and its tests once it is loaded; return the verdict, None where there is none.

    Raises:
        OSError: No program was started.
    """
    stdin, stdout = cast(asyncio.StreamWriter, process.stdin), cast(asyncio.StreamReader, process.stdout)
    if await _read(stdout) != {}:
        raise OSError(errno.ECHILD, "bwrap ended at once")
    stdin.write(_line(request))
    said = await _read(stdout)
    if tests is None or said != {}:
        return said
    stdin.write(_line(tests))
    return await _read(stdout)


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


async def _read(stream: asyncio.StreamReader) -> dict[str, Any] | None:
    try:
        message = json.loads(await stream.readuntil())
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def _plain(detail: object) -> str:
    """Return bounded text that can be encoded, whatever a program has written."""
    return str(detail)[:MAX_DETAIL].encode("utf-8", "replace").decode()


async def _end(starting: asyncio.Future[Process]) -> None:
    """Wait until a sandbox is gone, and all that it may have left in its pipes is read.

    Its first process is killed, and with it the kernel ends all others; bwrap, which waits for it, ends then. Were
    bwrap killed instead, some might outlive it for a moment, and nobody would wait for them. One that is still starting
    has no such process yet, so that there may be several attempts.
    """
    try:
        process = await starting
    except OSError:
        return
    ending, attempts = asyncio.ensure_future(process.communicate()), 0
    while not ending.done():
        attempts += 1
        victims = [process.pid] if attempts > MAX_ATTEMPTS else _children(process.pid)
        for victim in victims:
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        await asyncio.wait([ending], timeout=ATTEMPT_S)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


@asynccontextmanager
async def open_sandbox(limits: SandboxLimits, num_workers: int) -> AsyncIterator[Sandbox]:
    """Yield a sandbox that has shown that it holds.

    Raises:
        SandboxError: This machine cannot give one.
    """
    if (machine := platform.machine()) not in REFUSED:
        raise SandboxError(f"the sandbox does not know the system calls of {machine}", f"use {' or '.join(REFUSED)}")
    with tempfile.TemporaryDirectory(prefix="winnow-sandbox-") as folder:
        file, scratch = Path(folder) / "seccomp", Path(folder) / "scratch"
        file.write_bytes(seccomp_filter(machine))
        scratch.mkdir()
        confinement = await asyncio.to_thread(_confinement, scratch)
        probed = Sandbox(confinement, file, replace(limits, timeout_s=PROBE_S), 1)
        trial = await probed.run(PROBE, PROBE_TESTS.format(outside=str(file), memory=limits.memory_bytes))
        if trial.outcome is not TrialOutcome.PASSED:
            raise SandboxError(f"the sandbox does not hold: {trial.detail}", ALLOW)
        yield Sandbox(confinement, file, limits, num_workers)


def _confinement(scratch: Path) -> list[str]:
    """Return the command that confines another.

    Args:
        scratch: An empty folder, over which every run mounts its own.

    Raises:
        SandboxError: It does not run here.
    """
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise SandboxError("bwrap is missing", INSTALL)
    try:
        mounting = ["unshare", "--user", "--map-root-user", "--mount", "--", "sh", "-c", MOUNT, str(scratch)]
        files = [*mounts(), "--bind", str(scratch), SCRATCH, "--chdir", SCRATCH, "--remount-ro", "/"]
        command = [*mounting, bwrap, *ISOLATION, *files]
        tried = subprocess.run(
            [*command, *INTERPRETER, "-c", ""], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SandboxError(f"the sandbox cannot be started: {error}", INSTALL) from error
    if tried.returncode:
        said = tried.stderr.strip()[-MAX_DETAIL:] or f"exit code {tried.returncode}"
        raise SandboxError(f"the sandbox does not start: {said}", ALLOW)
    return command


PROBE = """\
import os, socket, sys

def raises(error, function, *args):
    try:
        function(*args)
    except error:
        return True
    return False

def connects():
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            socket.socket(socket.AF_INET, kind).connect(("127.0.0.1", 9))
        except OSError:
            continue
        return True
    return False
"""
PROBE_TESTS = """\
assert not connects(), "the network is reached"
assert not os.path.exists({outside!r}), "a file outside is seen"
assert not os.path.exists("/proc") and not os.path.exists("/etc/passwd"), "files of the machine are seen"
assert raises(MemoryError, bytearray, {memory}), "memory is not bounded"
assert raises(OSError, os.fork), "it can start processes"
assert raises(OSError, open, "/written", "w"), "it can write outside its scratch folder"
assert not set(os.environ) - {{"PWD", "LC_CTYPE"}}, "it sees an environment"
"""
