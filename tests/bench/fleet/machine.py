"""What processes share: the cores of a machine, or the one GPU that two engines run on."""

from collections.abc import Callable

Change = Callable[[], None]


class Machine:
    """Cores among which the processes that have something to do share the time.

    Attributes:
        num_cores: A process uses one at most.
    """

    def __init__(self, num_cores: float) -> None:
        self.num_cores = num_cores
        self._members: list[Change] = []
        self._active: set[Change] = set()

    def join(self, on_change: Change) -> None:
        """Take in a process.

        Args:
            on_change: Names it, and is called when another begins or ends its work.
        """
        self._members.append(on_change)

    @property
    def slowdown(self) -> float:
        """How many times longer everything takes than alone."""
        return max(len(self._active) / self.num_cores, 1.0)

    def enter(self, member: Change) -> None:
        """Note that a process has something to do."""
        if member not in self._active:
            self._active.add(member)
            self._tell(member)

    def leave(self, member: Change) -> None:
        """Note that a process waits."""
        if member in self._active:
            self._active.discard(member)
            self._tell(member)

    def _tell(self, member: Change) -> None:
        for other in self._members:
            if other != member:
                other()
