"""The processes of one service on one machine (`workers`): what each counts is shown together.

Whoever asks for `/metrics` reaches one of them by chance. That one asks all of them, itself included, each on a Unix
socket of its own, and says by a label what came from whom. prometheus_client's own mode for processes was weighed:
it must be chosen by a variable before the first import, and can neither read a value when it is asked for, as the
queue's length, nor keep collectors of our own, as those of engines.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

WITHIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Siblings:
    """The processes of a service.

    Attributes:
        listener: On which this one is asked for its metrics.
        paths: Where each listens.
    """

    listener: socket
    paths: Sequence[Path]

    @asynccontextmanager
    async def telling(self, exposition: Callable[[], bytes]) -> AsyncIterator[None]:
        """Tell the others what this process counts, while the context lasts."""

        async def tell(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(exposition())
            writer.close()

        server = await asyncio.start_unix_server(tell, sock=self.listener)
        try:
            yield
        finally:
            server.close()

    async def exposition(self) -> bytes:
        """Return the metrics of all processes in Prometheus' text format."""
        texts = await asyncio.gather(*map(_ask, self.paths))
        whole = {str(number): text for number, text in enumerate(texts, 1)}
        return await asyncio.to_thread(merged, whole)  # 20 ms for each


async def _ask(path: Path) -> str | None:
    """Return what a process counts; None where it does not answer."""
    try:
        async with asyncio.timeout(WITHIN_S):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                return (await reader.read()).decode() or None
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None


def merged(texts: Mapping[str, str | None]) -> bytes:
    """Return metrics of several processes as one text, in which the label `worker` says whose they are."""
    up = GaugeMetricFamily("winnow_worker_up", "Whether a process of the service answers.", labels=("worker",))
    families: dict[str, Metric] = {}
    for worker, text in texts.items():
        up.add_metric((worker,), text is not None)
        for family in text_string_to_metric_families(text or ""):
            whole = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            whole.samples += [each._replace(labels={**each.labels, "worker": worker}) for each in family.samples]
    registry = CollectorRegistry()
    registry.register(_Read([*families.values(), up]))
    return generate_latest(registry)


class _Read(Collector):
    """Metrics that were read."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families
