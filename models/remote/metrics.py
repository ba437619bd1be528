"""What Prometheus sees of servers elsewhere: which of them answer, and how busy this service keeps them."""

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from models.remote.replicas import Replicas


class ReplicaMetrics(Collector):
    """The servers of one engine.

    Args:
        name: Of the engine.
        replicas: Its servers.
    """

    def __init__(self, name: str, replicas: Replicas) -> None:
        self._name = name
        self._replicas = replicas

    def collect(self) -> Iterable[Metric]:
        """One sample a server."""
        labels = ("engine", "replica")
        up = GaugeMetricFamily("winnow_replica_up", "1 for a server that answers.", labels=labels)
        requests = GaugeMetricFamily("winnow_replica_requests", "Requests on their way to a server.", labels=labels)
        for replica in self._replicas.all:
            up.add_metric((self._name, replica.url), replica.is_up)
            requests.add_metric((self._name, replica.url), replica.num_requests)
        return up, requests
