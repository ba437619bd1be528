"""What runs a model for this service, and can be asked how it is: an engine here or elsewhere, a thread, processes."""

from typing import Protocol

from prometheus_client import CollectorRegistry


class EmbeddedEngine(Protocol):
    """Something that runs a model.

    Attributes:
        name: What logs and metrics call it.
        metrics: Its own Prometheus metrics; an engine that is started again has new ones.
    """

    name: str
    metrics: CollectorRegistry

    @property
    def num_restarts(self) -> int:
        """How often it was started again, or a server of it came back."""

    async def check(self) -> None:
        """Return when it answers.

        Raises:
            EngineUnavailableError: It does not.
        """
