"""Posts hostile and fuzzed answers to a running service, and watches it: `python -m tests.bench.hostile`.

Starts `winnow serve`, posts the hostile answers of `../shared/data`, and mutations of these and of real answers, to
`/v1/answers/equivalent` in batches of pairs, polls `/healthz` meanwhile, and prints the worst latency, the workers that
were replaced, memory before and after, and the processes that are left when the service is stopped.
"""

import argparse
import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Queue, get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from random import Random
from typing import Any

import httpx
import psutil
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from server.schemas import MAX_ANSWER_CHARS
from tests.search.answers.shared_data import FOLDER, hostile_answers, read_rows

WINNOW = str(Path(sys.executable).with_name("winnow"))
START_WITHIN_S = 300
PAIRS_A_BATCH, BATCHES_AT_ONCE = 64, 4
PIECES = (
    "{", "}", "(", ")", "[", "|", "^", "_", "\\", "$", "!", "%", "=", "<", ",", ".", "-", "/", "9", "e9", "^{9^9}",
    r"\frac", r"\sqrt{", r"\left(", r"\pm ", r"\sum_{k=1}^{200}", r"\binom{9}{", r"\begin{pmatrix}", r"\text{", "\0",
    "\u202e", "٣", "😀", "__import__('os')", "9" * 40, "x" * 20,
)  # fmt: skip


def fuzzed(count: int, seed: int, folder: Path) -> Iterator[str]:
    """Yield hostile answers, then mutations of these and of real ones, as long as the service takes them."""
    dice = Random(seed)
    hostile = [text for _, text in hostile_answers(folder) if _is_served(text)]
    real = sorted({row["answer"] for row in read_rows("math500.jsonl", folder)})
    yield from hostile[:count]
    for _ in range(count - len(hostile)):
        text = dice.choice(hostile if dice.random() < 0.2 else real)
        for _ in range(dice.randint(1, 4)):
            text = _mutate(text, dice)
        yield text


def _is_served(text: str) -> bool:
    return len(text) <= MAX_ANSWER_CHARS and text.encode(errors="ignore").decode() == text


def _mutate(text: str, dice: Random) -> str:
    start, stop = sorted(dice.choices(range(len(text) + 1), k=2))
    piece = dice.choice(PIECES)
    mutations = (
        text[:start] + piece + text[start:],
        text[:start] + text[stop:],
        text[:stop] + text[start:],
        text[:start] + piece * dice.randint(2, 30) + text[start:],
        rf"\frac{{{text}}}{{{text}}}",
        f"({text})^{{{text}}}",
    )
    return dice.choice(mutations)[:MAX_ANSWER_CHARS]


@contextmanager
def service() -> Iterator[tuple[psutil.Process, str]]:
    """Run `winnow serve`; its process and its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([WINNOW, "serve", "--port", str(port), "--log-level", "warning"])
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline and process.poll() is None and not _is_ready(url):
            time.sleep(0.5)
        yield psutil.Process(process.pid), url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


class Watch:
    """Polls `/healthz` and the memory of the service from a process of its own, so that no work here is measured."""

    def __init__(self, process: psutil.Process, url: str) -> None:
        context = get_context("spawn")
        self._is_over, self._seen = context.Event(), context.Queue()
        self._poller = context.Process(target=poll, args=(process.pid, url, self._is_over, self._seen))

    def __enter__(self) -> "Watch":
        self._poller.start()
        self._seen.get()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_over.set()
        self.latencies, self.peak_mib = self._seen.get()
        self._poller.join()


def poll(pid: int, url: str, is_over: Event, seen: "Queue[Any]") -> None:
    """Say when it begins, and at the end the latencies in seconds and the largest memory in MiB."""
    latencies, peak_mib, process = [], 0.0, psutil.Process(pid)
    with httpx.Client(base_url=url) as client:
        client.get("/healthz")
        seen.put("begun")
        while not is_over.wait(0.03):
            start = time.perf_counter()
            client.get("/healthz").raise_for_status()
            latencies.append(time.perf_counter() - start)
            peak_mib = max(peak_mib, sum(memory(process)))
    seen.put((latencies, peak_mib))


def answer_processes(process: psutil.Process) -> list[psutil.Process]:
    """Return the processes that read answers."""
    hosts = [child for child in process.children() if "search.answers.host" in " ".join(child.cmdline())]
    return [each for host in hosts for each in (host, *host.children(recursive=True))]


def memory(process: psutil.Process) -> tuple[float, float]:
    """Return the resident MiB of the service without its engines, and of the processes that read answers."""
    total = 0.0
    for each in answer_processes(process):
        try:
            total += each.memory_info().rss / 2**20
        except psutil.NoSuchProcess:
            continue  # a worker that was just replaced
    return process.memory_info().rss / 2**20, total


async def post_all(url: str, texts: list[str]) -> Counter[str]:
    """Post the texts in pairs, some batches at a time; count the verdicts, and the troubles they tell of."""
    pairs = [{"a": a, "b": b} for a, b in zip(texts[::2], texts[1::2], strict=True)]
    batches = [pairs[first : first + PAIRS_A_BATCH] for first in range(0, len(pairs), PAIRS_A_BATCH)]
    found: Counter[str] = Counter()
    places = asyncio.Semaphore(BATCHES_AT_ONCE)
    bar = tqdm(total=len(texts), unit=" answers")

    async def post(batch: list[dict[str, str]]) -> None:
        async with places:
            response = await client.post("/v1/answers/equivalent", json={"pairs": batch})
        response.raise_for_status()
        for result in response.json()["results"]:
            found["equivalent"] += result["equivalent"]
            found["timeouts"] += result["reason"].count("took longer")
            found["failures"] += result["reason"].count("could not be computed")
        bar.update(2 * len(batch))

    async with httpx.AsyncClient(base_url=url, timeout=600) as client:
        await asyncio.gather(*map(post, batches))
    bar.close()
    return found


def main(num_texts: int, seed: int, folder: Path) -> None:
    """Measure and print."""
    texts = list(fuzzed(num_texts - num_texts % 2, seed, folder))
    table = Table("what", "measured", title=f"{len(texts):,} hostile and fuzzed answers, {len(set(texts)):,} different")
    with service() as (process, url):
        family = process.children(recursive=True)
        before = memory(process)
        start = time.perf_counter()
        with Watch(process, url) as watch:
            found = asyncio.run(post_all(url, texts))
        elapsed = time.perf_counter() - start
        after, num_after = memory(process), len(process.children(recursive=True))
        leftovers = set(family) | set(process.children(recursive=True))
    _, alive = psutil.wait_procs(leftovers, timeout=10)
    ordered = sorted(watch.latencies)
    worst, high = (1000 * ordered[-1 - place] for place in (0, len(ordered) // 100))
    table.add_row("answers a second", f"{len(texts) / elapsed:,.0f}")
    table.add_row(f"/healthz, worst of {len(ordered):,}; 99th percentile", f"{worst:.0f} ms; {high:.0f} ms")
    table.add_row("answers over their time, each a worker replaced", str(found["timeouts"]))
    table.add_row("answers that failed otherwise", str(found["failures"]))
    table.add_row("pairs found equivalent", str(found["equivalent"]))
    table.add_row("service, MiB before, after", f"{before[0]:.0f}, {after[0]:.0f}")
    table.add_row("processes that read answers, MiB before, after", f"{before[1]:.0f}, {after[1]:.0f}")
    table.add_row("both, peak MiB", f"{watch.peak_mib:.0f}")
    table.add_row("processes before, after, left when stopped", f"{len(family)}, {num_after}, {len(alive)}")
    Console().print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=24_000, help="Answers to post.")
    parser.add_argument("--seed", type=int, default=0, help="Of the mutations.")
    parser.add_argument("--data", type=Path, default=FOLDER, help="Folder with the hostile and the real answers.")
    arguments = parser.parse_args()
    main(arguments.texts, arguments.seed, arguments.data)
