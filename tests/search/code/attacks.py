"""Programs that attack their sandbox, and what has to come of each."""

from collections.abc import Mapping
from pathlib import Path

from search.answers.answer import TrialOutcome
from search.code.syscalls import REFUSED

ROOT = Path(__file__).parents[3]

TRY = """\
import os, sys
reached = []
def attempt(function, *args):
    try:
        reached.append(function(*args))
    except (OSError, MemoryError, RuntimeError, ValueError):
        pass
"""
"""Before a program that must reach nothing."""

HELD: Mapping[str, str] = {
    "fork": "attempt(os.fork)",
    "posix_spawn": "attempt(os.posix_spawn, sys.executable, [sys.executable], {{}})",
    "a shell": "import subprocess\nattempt(subprocess.run, ['/usr/bin/python3', '-c', ''])",
    "a thread": "import _thread\nattempt(_thread.start_new_thread, print, ())",
    "a daemon": "os.setsid() if os.getsid(0) != os.getpid() else None\nattempt(os.fork)",
    "TCP": "import socket\nattempt(lambda: socket.create_connection(('127.0.0.1', {port}), 1))",
    "TCP by IPv6": "import socket\nattempt(lambda: socket.socket(socket.AF_INET6).connect(('::1', {port})))",
    "UDP": "import socket\n"
    "attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port})))",
    "raw packets": "import socket\nattempt(socket.socket, socket.AF_PACKET, socket.SOCK_RAW)",
    "Unix sockets": "import socket\nattempt(socket.socket, socket.AF_UNIX)",
    "an abstract socket": "import socket\nattempt(lambda: socket.socket(socket.AF_UNIX).connect('\\0{abstract}'))",
    "netlink": "import socket\nattempt(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW)",
    "the environment": "reached += set(os.environ) - {{'PWD', 'LC_CTYPE'}}",
    "environments of others": "for p in (1, os.getppid(), 'self', {pid}): attempt(open, f'/proc/{{p}}/environ', 'rb')",
    "memory of others": "for p in (1, os.getppid(), 'self', {pid}): attempt(open, f'/proc/{{p}}/mem', 'rb')",
    "a list of processes": "attempt(os.listdir, '/proc')",
    "accounts": "attempt(open, '/etc/passwd')\nattempt(open, '/etc/shadow')\nattempt(open, '/etc/hostname')",
    "homes": "for p in ('/home', '/root', os.path.expanduser('~'), {home!r}): attempt(os.listdir, p)",
    "the checkout": "attempt(os.listdir, {root!r})\nattempt(open, {root!r} + '/search/code/runner.py')",
    "the file of the test": "attempt(open, {secret!r})",
    "packages": "reached += [p for p in sys.path if 'packages' in p and os.path.isdir(p) and os.listdir(p)]\n"
    "reached += [d for d in os.listdir(os.path.dirname(os.__file__)) if d.endswith('-packages')"
    " and os.listdir(os.path.join(os.path.dirname(os.__file__), d))]",
    "devices": "reached += set(os.listdir('/dev')) - {{'null'}}",
    "kernel settings": "attempt(os.listdir, '/sys')\nattempt(os.listdir, '/run')\nattempt(os.listdir, '/var')",
    "writing outside": "for p in ('/x', '/usr/x', '/dev/x', '/tmp/x', os.__file__, sys.executable, {secret!r}):\n"
    "    attempt(open, p, 'a')",
    "moving and removing": "attempt(os.remove, os.__file__)\nattempt(os.rename, sys.executable, '/scratch/x')\n"
    "attempt(os.mkdir, '/x')\nattempt(os.chmod, '/', 0o777)\nattempt(os.rmdir, '/scratch')",
    "a symbolic link": "os.symlink('/etc/passwd', 'a')\nos.symlink('/proc/1/root', 'b')\nos.symlink({secret!r}, 'c')\n"
    "os.symlink('../../../../../../etc/passwd', 'd')\nfor p in 'abcd': attempt(open, p)",
    "a hard link": "attempt(os.link, os.__file__, 'x')",
    "a huge file": "f = open('x', 'wb')\nf.seek(1 << 30)\nattempt(lambda: (f.write(b'x'), f.flush()))",
    "a device file": "import stat\nattempt(os.mknod, 'x', 0o600 | stat.S_IFBLK, os.makedev(8, 0))",
    "a root of its own": "attempt(os.chroot, '/scratch')",
    "another user": "attempt(os.setuid, 0)\nattempt(os.setgroups, [0])",
    "its limits": "import resource\nfor l in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_NPROC,\n"
    "    resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE): attempt(resource.setrlimit, l, (-1, -1))",
    "limits of others": "import resource\nattempt(resource.prlimit, {pid}, resource.RLIMIT_AS, (1, 1))",
    "priority": "attempt(os.nice, -5)",
    "many descriptors": "attempt(lambda: [os.open('/dev/null', 0) for _ in range(100)])",
    "much memory": "attempt(bytearray, 1 << 30)\nimport mmap\nattempt(mmap.mmap, -1, 1 << 30)",
    "standard input": "reached += filter(None, [sys.stdin.read(), sys.stdin.readline(), os.read(0, 1)])",
    "the host's name": "import socket\nreached += [n for n in (os.uname().nodename,) if n != 'sandbox']",
    "init": "attempt(lambda: os.kill(1, 0) and None)\nreached.clear()\nos.kill(1, 9)\nos.kill(1, 15)",
    "outliving the service": "import ctypes\nreached += [1] if ctypes.CDLL(None).prctl(1, 0, 0, 0, 0) != -1 else []",
    "system calls": "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
    "for name, number in {syscalls}.items():\n"
    "    reached += [name] if libc.syscall(number, 0, 0, 0, 0, 0, 0) != -1 or ctypes.get_errno() != 1 else []",
}
"""By what they reach for; each must find nothing, and live to tell."""

ENDED: Mapping[str, tuple[TrialOutcome, str]] = {
    "many links": (
        TrialOutcome.FAILED,
        "import os\nfor n in range(10**7): os.symlink('x' * 100, str(n))",
    ),
    "a fork bomb": (TrialOutcome.FAILED, "import os\nwhile True: os.fork()"),
    "a thread bomb": (TrialOutcome.FAILED, "import threading\nwhile True: threading.Thread(target=input).start()"),
    "spinning": (TrialOutcome.TIMEOUT, "while True: pass"),
    "spinning in C": (TrialOutcome.TIMEOUT, "10 ** 10 ** 9"),
    "a slow expression": (TrialOutcome.TIMEOUT, "import re\nre.match('(a+)+$', 'a' * 99 + 'b')"),
    "sleeping": (TrialOutcome.TIMEOUT, "import time\ntime.sleep(1000)"),
    "deaf to signals": (
        TrialOutcome.TIMEOUT,
        "import signal\nfor s in set(signal.Signals) - {9, 19}: signal.signal(s, signal.SIG_IGN)\nwhile True: pass",
    ),
    "endless output": (TrialOutcome.TIMEOUT, "while True: print('x' * 100_000)"),
    "endless errors": (TrialOutcome.TIMEOUT, "import sys\nwhile True: sys.stderr.write('x' * 100_000)"),
    "endless verdicts": (
        TrialOutcome.FAILED,
        "import os\nwhile True:\n    for n in range(3, 32):\n        try: os.write(n, b'x' * 100_000)\n"
        "        except OSError: pass",
    ),
    "a memory bomb": (TrialOutcome.FAILED, "x = ['x']\nwhile True: x += x"),
    "a memory bomb in pieces": (TrialOutcome.FAILED, "x = []\nwhile True: x.append(bytearray(100_000))"),
    "a full scratch folder": (
        TrialOutcome.FAILED,
        "for n in range(100):\n    with open(str(n), 'wb') as f: f.write(bytes(1 << 20))",
    ),
    "many files": (TrialOutcome.FAILED, "for n in range(10**7): open(str(n), 'w').close()\n"),
    "deep recursion": (TrialOutcome.FAILED, "f = lambda: f()\nf()"),
    "deeper recursion": (
        TrialOutcome.FAILED,
        "import sys\nsys.setrecursionlimit(10**9)\nf = lambda x: sorted([x], key=f)\nf(1)",
    ),
    "deep brackets": (TrialOutcome.FAILED, "(" * 100_000),
    "deep minus": (TrialOutcome.FAILED, "-" * 900_000 + "1"),
    "deep blocks": (TrialOutcome.FAILED, "".join(" " * n + "if 1:\n" for n in range(1_000))),
    "a NUL": (TrialOutcome.FAILED, "x = '\0'\n"),
    "half a character": (TrialOutcome.FAILED, "x = '\ud800'\n"),
    "another encoding": (TrialOutcome.FAILED, "# coding: none\nx = 1 +"),
    "killing itself": (TrialOutcome.PASSED, "import os\nos.kill(os.getpid(), 9)"),  # it is the first of its namespace
    "aborting": (TrialOutcome.FAILED, "import os\nos.abort()"),
    "killing all": (TrialOutcome.FAILED, "import os\nos.kill(-1, 9)\nos.kill(0, 9)"),
    "a crash": (TrialOutcome.FAILED, "import ctypes\nctypes.string_at(0)"),
    "an exit": (TrialOutcome.FAILED, "import sys\nsys.exit(0)"),
    "an exit at once": (TrialOutcome.FAILED, "import os\nos._exit(0)"),
    "an exit by quit": (TrialOutcome.FAILED, "raise SystemExit"),
    "another program": (TrialOutcome.FAILED, "import os\nos.execv('/usr/bin/python3', ['python3', '-c', 'pass'])"),
    "an error that hides": (
        TrialOutcome.FAILED,
        "class E(BaseException):\n    def __str__(self): raise self\nraise E",
    ),
    "a long error": (TrialOutcome.FAILED, "raise ValueError('x' * 10**7)"),
    "an error of no text": (TrialOutcome.FAILED, "raise ValueError('\\ud800')"),
    "nothing but a megabyte": (TrialOutcome.PASSED, "x = 1 #" + "x" * 1_000_000),
}
"""By what they do as they are imported."""

LIES: Mapping[str, str] = {
    "a result equal to all": "class A:\n    def __eq__(self, other): return True\ndef add(a, b): return A()",
    "a number equal to all": "class A(int):\n    def __eq__(self, other): return True\ndef add(a, b): return A(0)",
    "a class made late": "def add(a, b): return type('A', (), {'__eq__': lambda *_: True})()",
    "a class of another name": (
        "class A:\n    __module__ = 'builtins'\n    def __eq__(self, other): return True\n"
        "A.__name__ = A.__qualname__ = 'A'\ndef add(a, b): return A()"
    ),
    "an exit": "import sys\ndef add(a, b): sys.exit(0)",
    "an exit at once": "import os\ndef add(a, b): os._exit(0)",
    "an exit later": "import atexit, os\natexit.register(os._exit, 0)\ndef add(a, b): return 0",
    "another AssertionError": "import builtins\nbuiltins.AssertionError = StopIteration\ndef add(a, b): return 0",
    "other builtins": (
        "import builtins\nbuiltins.abs = lambda x: 0\nbuiltins.all = builtins.any = lambda x: True\n"
        "builtins.sorted = builtins.sum = builtins.len = builtins.isinstance = lambda *x: 3\ndef add(a, b): return 0"
    ),
    "other builtins, later": ("import builtins\ndef add(a, b):\n    builtins.abs = lambda x: 0\n    return 0"),
    "another import": "import builtins\nbuiltins.__import__ = lambda *a, **k: None\ndef add(a, b): return 0",
    "another compile": "import builtins\nbuiltins.compile = builtins.exec = lambda *a: None\ndef add(a, b): return 0",
    "another runner": (
        "import __main__\n__main__.compare = __main__.run_tests = lambda *a: True\ndef add(a, b): return 0"
    ),
    "a verdict of its own": (
        'import os\nfor n in range(32):\n    try: os.write(n, b\'{"failure": null, "nonce": ""}\\n\')\n'
        "    except OSError: pass\ndef add(a, b): return 0"
    ),
    "a verdict on its output": "print('{\"failure\": null}')\nprint('OK')\ndef add(a, b): return 0",
    "a trace": "import sys\nsys.settrace(lambda f, e, a: f.f_locals.clear())\ndef add(a, b): return 0",
    "tests of its own": "def test_add(): assert True\ndef add(a, b): return 0",
    "no function": "sub = 1",
}
"""By what they try; the tests want `add(1, 2) == 3`."""


def formatted(program: str, **values: object) -> str:
    import platform

    return TRY + program.format(root=str(ROOT), syscalls=dict(REFUSED[platform.machine()]), **values)
