"""What `tests.bench.load` has measured, as tables."""

import statistics
from collections.abc import Iterable, Sequence

from rich.table import Table

from tests.bench.running import NUM_WARM_UP, Footprint, still_busy
from tests.bench.traffic import Answer, Traffic
from tests.server.scraping import Samples, total

LOST = ("hung", "connection lost", "cut off")
NUM_WARM_UP_LOOKS = 2
"""Of the looks at the memory under load."""


def outcomes_table(traffic: Traffic) -> Table:
    """How many of whose requests had which outcome."""
    names = sorted(traffic.outcomes, key=lambda name: -traffic.outcomes[name])
    table = Table("whose", *names, title="what they got")
    for whose, answers in traffic.answers.items():
        table.add_row(whose, *(str(sum(answer.outcome == name for answer in answers)) for name in names))
    return table


def bars_table(
    traffic: Traffic,
    latencies: Sequence[float],
    samples: Samples,
    at_rest: tuple[Footprint, Footprint],
    looks: Sequence[Footprint],
) -> Table:
    """What has a bar."""
    table = Table("what", "measured", "bar")
    statuses = traffic.statuses
    table.add_row("5xx", str(sum(n for status, n in statuses.items() if status >= "5")), "0")
    table.add_row("hung, lost or cut off", str(sum(traffic.outcomes[name] for name in LOST)), "0")
    late = sorted(answer.late_s for answer in traffic.all if answer.late_s is not None)
    table.add_row(f"reply after its deadline, worst of {len(late)}", f"{late[-1]:+.2f} s" if late else "", "+0.5 s")
    table.add_row(f"/healthz of {len(latencies)}", milliseconds(latencies), "p99 under 200 ms")
    counted = total(samples, "winnow_http_requests_total", route="/solve") - NUM_WARM_UP
    table.add_row("requests sent, counted", f"{len(traffic.all)}, {counted:.0f}", "equal")
    table.add_row("by status, sent", told(statuses), "")
    table.add_row("by status, counted, with warm-up", told(by_status(samples)), "")
    table.add_row("gauges that are not 0 at the end", str(still_busy(samples) or "none"), "none")
    warm = looks[NUM_WARM_UP_LOOKS - 1]
    growth = looks[-1].service_mib / warm.service_mib - 1
    table.add_row("growth of the service's memory after warm-up", f"{growth:+.1%}", "under 5 %")
    growth = looks[-1].engines_mib / warm.engines_mib - 1
    table.add_row("growth of the engines' and workers' memory", f"{growth:+.1%}", "under 5 %")
    for name in ("processes", "descriptors", "tasks"):
        table.add_row(f"{name} at rest, before and after", ", ".join(str(getattr(f, name)) for f in at_rest), "equal")
    return table


def fairness_table(traffic: Traffic, half: float) -> Table:
    """What small requests take without and beside somebody's N = 256."""
    table = Table("whose", "N = 256 beside", "requests", "refused", "p50", "p99", title="seconds to a result")
    for name in ("crowd", "single", "heavy"):
        for is_beside in (False, True):
            asked = [a for a in traffic.answers[name] if (a.start >= half) == is_beside and a.outcome != "left"]
            if asked:
                table.add_row(name, "yes" if is_beside else "no", str(len(asked)), *seconds_of(asked))
    return table


def seconds_of(answers: Sequence[Answer]) -> tuple[str, str, str]:
    """Share refused; median and 99th percentile of the seconds to a result."""
    got = [answer.seconds for answer in answers if answer.http_status == 200]
    refused = f"{1 - len(got) / len(answers):.0%}"
    return (refused, f"{statistics.median(got):.1f}", f"{percentile(got, 99):.1f}") if got else (refused, "", "")


def memory_table(looks: Sequence[Footprint], seconds: float) -> Table:
    """What the service took while the load lasted."""
    table = Table("at", "service, MiB", "engines and workers, MiB", "descriptors", "processes", title="under load")
    for number, look in enumerate(looks, start=1):
        at = f"{seconds * number / len(looks):.0f} s"
        memory = f"{look.service_mib:.0f}", f"{look.engines_mib:.0f}"
        table.add_row(at, *memory, str(look.descriptors), str(look.processes))
    return table


def by_status(samples: Samples) -> dict[str, int]:
    """Requests to /solve that the service has counted."""
    return {
        dict(labels)["status"]: int(value)
        for (name, labels), value in sorted(samples.items(), key=lambda item: sorted(item[0][1]))
        if name == "winnow_http_requests_total" and dict(labels)["route"] == "/solve"
    }


def told(counts: dict[str, int]) -> str:
    """Counts in a line."""
    return ", ".join(f"{number} x {status}" for status, number in sorted(counts.items()))


def milliseconds(latencies: Sequence[float]) -> str:
    """Median, 99th percentile and worst."""
    values = statistics.median(latencies), percentile(latencies, 99), max(latencies)
    return ", ".join(
        f"{name} {1000 * value:.0f} ms" for name, value in zip(("p50", "p99", "worst"), values, strict=True)
    )


def percentile(values: Iterable[float], percent: int) -> float:
    """The value that so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)]
