"""Requests as many clients send them at once, and what became of each."""

import asyncio
import json
import random
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx

from models.training.demo.tasks.stream import held_out_problems

STRATEGIES = ("auto", "majority", "best_of_n", "weighted_best_of_n", "beam_search", "dvts")
HANG_S = 180.0
"""Who waits for so long waits for ever."""
NEVER_SENT = "never sent"
"""The client lost its patience before it had a connection: nothing that the service could know of."""
MAX_PAUSE_S = 5.0
"""A client that was told to come back later comes back within so many seconds, whatever it was told."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request.

    Attributes:
        outcome: In a word or two: the status of a reply, of an error its code.
        http_status: 499 for a client that left or waited for nothing.
        start: When it was sent, by `time.perf_counter`.
        seconds: Until the last byte.
        late_s: How long after its deadline the reply came; None without a deadline or a result.
    """

    outcome: str
    http_status: int
    start: float
    seconds: float
    late_s: float | None = None


@dataclass(slots=True)
class Traffic:
    """Everything that was asked."""

    answers: defaultdict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))

    @property
    def all(self) -> list[Answer]:
        """Of all clients."""
        return [answer for answers in self.answers.values() for answer in answers]

    @property
    def outcomes(self) -> Counter[str]:
        """How many had which outcome."""
        return Counter(answer.outcome for answer in self.all)

    @property
    def statuses(self) -> Counter[str]:
        """How many had which HTTP status."""
        return Counter(str(answer.http_status) for answer in self.all)


@cache
def problems() -> tuple[str, ...]:
    """What is asked."""
    return tuple(record.problem for record in held_out_problems(3, 1000))


def draw(rng: random.Random, budgets: tuple[int, ...] = (4, 8, 16, 32)) -> dict[str, Any]:
    """Draw a request: any strategy, a quarter streamed, half with a deadline, a quarter with all of the evidence."""
    return {
        "problem": rng.choice(problems()),
        "strategy": rng.choice(STRATEGIES),
        "n": rng.choice(budgets),
        "stream": rng.random() < 0.25,
        "deadline_s": rng.choice((None, None, 5.0, 20.0)),
        "include": ["candidates", "tree"] if rng.random() < 0.25 else [],
    }


async def ask(client: httpx.AsyncClient, request: dict[str, Any], patience_s: float = HANG_S) -> Answer:
    """Send a request, leave when patience is at its end, and say what became of it."""
    start, is_sent = time.perf_counter(), False

    async def trace(event: str, _: Any) -> None:
        nonlocal is_sent
        is_sent = is_sent or event == "http11.send_request_body.complete"

    try:
        async with asyncio.timeout(patience_s):
            ways = _streamed if request.get("stream") else _whole
            outcome, status = await ways(client, request, {"trace": trace})
    except TimeoutError:
        outcome, status = ("left" if patience_s < HANG_S else "hung") if is_sent else NEVER_SENT, 499
    except httpx.TransportError:
        outcome, status = "connection lost", 499
    seconds = time.perf_counter() - start
    deadline_s = request.get("deadline_s")
    late_s = seconds - deadline_s if deadline_s and status == 200 else None
    return Answer(outcome, status, start, seconds, late_s)


async def keep_asking(
    client: httpx.AsyncClient,
    traffic: Traffic,
    name: str,
    rng: random.Random,
    until: float,
    *,
    leaves: float = 0.0,
    pause_s: float = 0.0,
) -> None:
    """Ask again and again.

    Args:
        client: That asks.
        traffic: Where the answers go.
        name: Whose they are.
        rng: Draws the requests.
        until: When to stop, by `time.perf_counter`.
        leaves: Share of the requests that are given up within 2 s.
        pause_s: At most, between an answer and the next request.
    """
    while time.perf_counter() < until:
        patience_s = rng.uniform(0.2, 2.0) if rng.random() < leaves else HANG_S
        answer = await ask(client, draw(rng), patience_s)
        if answer.outcome != NEVER_SENT:
            traffic.answers[name].append(answer)
        pause = rng.uniform(0, MAX_PAUSE_S if answer.http_status in (429, 503) else pause_s)
        await asyncio.sleep(min(pause, max(until - time.perf_counter(), 0)))


async def _whole(client: httpx.AsyncClient, request: dict[str, Any], tracing: dict[str, Any]) -> tuple[str, int]:
    response = await client.post("/solve", json=request, extensions=tracing)
    return _outcome(response.status_code, response.json()), response.status_code


async def _streamed(client: httpx.AsyncClient, request: dict[str, Any], tracing: dict[str, Any]) -> tuple[str, int]:
    """Read a stream to its end; the last event tells."""
    async with client.stream("POST", "/solve", json=request, extensions=tracing) as response:
        if response.status_code != 200:
            return _outcome(response.status_code, json.loads(await response.aread())), response.status_code
        event, outcome = "", "cut off"
        async for line in response.aiter_lines():
            kind, _, text = line.partition(": ")
            if kind == "event":
                event = text
            elif kind == "data" and event == "result":
                outcome = json.loads(text)["status"]
            elif kind == "data" and event == "error":
                outcome = f"error in the stream: {json.loads(text)['error']['code']}"
        return outcome, 200


def _outcome(status: int, body: dict[str, Any]) -> str:
    if status == 200:
        return str(body["status"])
    return f"{status} {body['error']['code'] or ''}".strip()
