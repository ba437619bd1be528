"""What runs inside this service, and can be asked how it is: an engine, or a model in a thread or processes."""

from typing import Protocol

from prometheus_client import CollectorRegistry


class EmbeddedEngine(Protocol):
    """Something that runs a model.

    Attributes:
        name: What logs and metrics call it.
        metrics: Its own Prometheus metrics; an engine that is started again has new ones.
        num_restarts: How often it was started again.
    """

    name: str
    metrics: CollectorRegistry
    num_restarts: int

    async def check(self) -> None:
        """Return when it answers.

        Raises:
            EngineUnavailableError: It does not.
        """
