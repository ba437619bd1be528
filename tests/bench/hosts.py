"""Network hosts on one machine: a network namespace each, joined to the benchmark's own by a cable that can be cut.

Needs no root where the kernel lets its users make namespaces: the benchmark starts itself anew in namespaces of its
own, and the kernel removes them, and all that is in them, with the last process there. Linux; iproute2, util-linux.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

Way = Literal["silent", "unplugged"]
WAYS: tuple[Way, ...] = get_args(Way)
"""How a cable is cut: packets vanish both ways and nobody is told, or the host's interface is down."""
UNSHARE = ("unshare", "--user", "--map-root-user", "--net", "--mount")
ISOLATED = "--isolated"
"""The argument of a benchmark that was started anew."""
NOBODY = "02:00:00:00:00:01"
"""An Ethernet address that no interface has; netem, which loses packets too, is a module that not every kernel has."""


@dataclass(frozen=True, slots=True)
class Host:
    """A network host.

    Attributes:
        name: Of its namespace, and of the cable's end here.
        number: Of its network.
    """

    name: str
    number: int

    @property
    def address(self) -> str:
        """Where it is reached from here."""
        return f"10.77.{self.number}.2"

    @property
    def prefix(self) -> tuple[str, ...]:
        """What makes a command one that runs there."""
        return "nsenter", f"--net=/run/netns/{self.name}"

    @contextmanager
    def cut(self, way: Way) -> Iterator[None]:
        """Cut it off while the context lasts."""
        if way == "unplugged":
            _ip("-n", self.name, "link", "set", "eth0", "down")
        else:
            for end, far in self._ends():
                _ip(*end, "neigh", "replace", *far, "lladdr", NOBODY, "nud", "permanent")
        try:
            yield
        finally:
            if way == "unplugged":
                _ip("-n", self.name, "link", "set", "eth0", "up")
            else:
                for end, far in self._ends():
                    _ip(*end, "neigh", "del", *far)

    def join(self) -> None:
        """Make it, and lay the cable."""
        _ip("netns", "add", self.name)
        _ip("link", "add", self.name, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        _ip("addr", "add", f"{self._here}/24", "dev", self.name)
        _ip("-n", self.name, "addr", "add", f"{self.address}/24", "dev", "eth0")
        _ip("link", "set", self.name, "up")
        for interface in ("lo", "eth0"):
            _ip("-n", self.name, "link", "set", interface, "up")

    @property
    def _here(self) -> str:
        return f"10.77.{self.number}.1"

    def _ends(self) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
        """Each end of the cable, and what it calls the other."""
        here: tuple[str, ...] = ()
        return (here, (self.address, "dev", self.name)), (("-n", self.name), (self._here, "dev", "eth0"))


def isolate(module: str) -> None:
    """Start this program anew in namespaces of its own, with one more argument.

    Args:
        module: That `python -m` runs.
    """
    trial = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False)
    if trial.returncode:
        raise SystemExit(f"needs root, or a kernel that lets users make namespaces: {trial.stderr.strip()}")
    os.execvp(UNSHARE[0], [*UNSHARE, sys.executable, "-m", module, ISOLATED, *sys.argv[1:]])


def join(*names: str) -> list[Host]:
    """Make hosts, each on a cable of its own to this one."""
    subprocess.run(
        ["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True
    )  # where `ip netns` keeps names; seen here alone
    _ip("link", "set", "lo", "up")
    hosts = [Host(name, number) for number, name in enumerate(names, 1)]
    for host in hosts:
        host.join()
    return hosts


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
