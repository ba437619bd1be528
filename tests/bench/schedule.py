"""Requests at set times, the same in every run, and what became of each."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from models.training.demo.tasks.stream import held_out_problems
from tests.bench.traffic import HANG_S, STRATEGIES

CHAT = "chat"
DEADLINES_S = (None, None, 20.0, 5.0)
N = 8
CHAT_TOKENS = 600
"""All of them: seconds, so that a cut finds some chats half said."""
RETRY_LATER = "503 with Retry-After"
RETRY_LATER_STREAMED = "the same in a stream"


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked, and when.

    Attributes:
        at_s: Seconds after the start.
        kind: A strategy, or a chat with the policy itself.
        body: Of the request.
        answer: The right one.
    """

    at_s: float
    kind: str
    body: dict[str, Any]
    answer: str

    @property
    def path(self) -> str:
        """Of the service."""
        return "/v1/chat/completions" if self.kind == CHAT else "/solve"

    @property
    def is_streamed(self) -> bool:
        """Whether the reply comes as events."""
        return bool(self.body["stream"])


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a request.

    Attributes:
        request: That was asked.
        outcome: In a word or two.
        text: The answer, or what a chat said; None where there is none.
        ended_s: When its last byte came, in seconds after the start.
    """

    request: Request
    outcome: str
    text: str | None
    ended_s: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended_s - self.request.at_s


def schedule(seconds: float, rate: float) -> list[Request]:
    """Draw requests, so many a second: every strategy and plain chats in turn, half streamed, half with a deadline."""
    number = int(seconds * rate)
    kinds = (*STRATEGIES, CHAT)
    rng, requests = random.Random(0), []
    for index, record in enumerate(held_out_problems(5, number)):
        kind, fields = kinds[index % len(kinds)], {"seed": index, "stream": rng.random() < 0.5}
        if kind == CHAT:
            messages = [{"role": "user", "content": record.problem}]
            body = {"model": "winnow-demo", "messages": messages, "max_tokens": CHAT_TOKENS, "ignore_eos": True}
        else:
            body = {"problem": record.problem, "strategy": kind, "n": N, "deadline_s": rng.choice(DEADLINES_S)}
        requests.append(Request(index / rate, kind, body | fields, record.answer))
    return requests


async def play(client: httpx.AsyncClient, requests: Sequence[Request], start: float) -> list[Reply]:
    """Send each request at its time, however many are not answered yet."""

    async def send(request: Request) -> Reply:
        await asyncio.sleep(max(start + request.at_s - time.perf_counter(), 0))
        try:
            async with asyncio.timeout(HANG_S):
                outcome, text = await _ask(client, request)
        except TimeoutError:
            outcome, text = "hung", None
        except httpx.TransportError as error:
            outcome, text = f"connection lost: {type(error).__name__}", None
        return Reply(request, outcome, text, time.perf_counter() - start)

    return await asyncio.gather(*map(send, requests))


async def _ask(client: httpx.AsyncClient, request: Request) -> tuple[str, str | None]:
    async with client.stream("POST", request.path, json=request.body) as response:
        if response.status_code != 200:
            await response.aread()
            is_told = response.status_code == 503 and "Retry-After" in response.headers
            return RETRY_LATER if is_told else f"{response.status_code}: {response.text[:80]}", None
        if not request.is_streamed:
            body = json.loads(await response.aread())
            if request.kind == CHAT:
                return "complete", body["choices"][0]["message"]["content"]
            return body["status"], body["answer"]
        events = [event async for event in _events(response)]
    return _told(events) if request.kind == CHAT else _found(events)


async def _events(response: httpx.Response) -> AsyncIterator[tuple[str, str]]:
    name = ""
    async for line in response.aiter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, value


def _found(events: Sequence[tuple[str, str]]) -> tuple[str, str | None]:
    """What the last event of a search says."""
    name, data = events[-1] if events else ("", "{}")
    body = json.loads(data)
    if name == "result":
        return body["status"], body["answer"]
    return _failed(body) if name == "error" else "cut off", None


def _told(events: Sequence[tuple[str, str]]) -> tuple[str, str | None]:
    """What the events of a chat say together."""
    bodies = [json.loads(data) for _, data in events if data != "[DONE]"]
    errors = [_failed(body) for body in bodies if "error" in body]
    if errors or not events or events[-1][1] != "[DONE]":
        return errors[0] if errors else "cut off", None
    return "complete", "".join(_deltas(bodies))


def _failed(body: dict[str, Any]) -> str:
    message = body["error"]["message"]
    return RETRY_LATER_STREAMED if "try again in" in message else f"error event: {message}"


def _deltas(bodies: Sequence[dict[str, Any]]) -> Iterator[str]:
    for body in bodies:
        for choice in body["choices"]:
            yield choice["delta"].get("content") or ""
