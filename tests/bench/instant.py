"""Servers that answer at once, in vLLM's words: policies whose steps have a length of their own, and verifiers.

What a response says depends on its seed and on what it continues, what a score is on the tokens that are judged, so
that the same searches meet the same trees. Each server is a process of its own.
"""

import asyncio
import json
import multiprocessing
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import Any, NamedTuple
from zlib import crc32

from aiohttp import web

from models.checkpoints.tokenizer import ChatTokenizer
from models.interfaces import DELIMITER
from tests.conftest import DEMO
from tests.server.processes import free_port

BLOCK = 16
"""Tokens of a block in the verifier's cache, which is taken to hold everything before the first step to be judged."""


class Shape(NamedTuple):
    """How a policy writes.

    Attributes:
        num_tokens: Of a response; requests for whole responses ask for as many.
        step_tokens: Of each step but the last.
        pause_s: Between two events of a stream.
    """

    num_tokens: int
    step_tokens: int
    pause_s: float = 0.0


class InstantPolicy:
    """Writes responses: words, delimiters, and an answer at the end."""

    def __init__(self, shape: Shape) -> None:
        tokenizer = ChatTokenizer(DEMO / "policy")
        self._shape = shape
        self._end_id = tokenizer.end_id or 0
        self._delimiter_id = tokenizer.id_of(DELIMITER)
        self._texts = {token: text for token, text in tokenizer.pieces.items() if isinstance(text, str)}
        self._words = [token for token, text in self._texts.items() if text.isascii() and text.strip().isalpha()]
        self._answers = [tokenizer.encode(f"\\boxed{{{number}}}") for number in range(5)]

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """Answer `POST /v1/completions`, streamed."""
        body = await request.json()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        for event in self._events(body):
            await response.write(f"data: {json.dumps(event, separators=(',', ':'))}\n\n".encode())
            await asyncio.sleep(self._shape.pause_s)
        await response.write(b"data: [DONE]\n\n")
        return response

    def _events(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        num_choices = body.get("n", 1)
        written = [self._write(body, body["seed"] + index) for index in range(num_choices)]
        num_tokens = len(written[0])
        places = [0, *range(1, num_tokens, body["stream_interval"]), num_tokens]  # the first token comes alone
        for place, end in pairwise(places):
            for index, token_ids in enumerate(written):
                new, is_last = token_ids[place:end], end == num_tokens
                choice = {"index": index, "text": "".join(self._texts.get(token, "") for token in new)}
                choice |= {"logprobs": None, "finish_reason": None, "stop_reason": None}
                if is_last:
                    is_step = new[-1] == self._delimiter_id
                    choice |= {"finish_reason": "stop", "stop_reason": DELIMITER if is_step else None}
                if not place:
                    choice["prompt_token_ids"] = body["prompt"]
                choice["token_ids"] = new
                yield {
                    "id": "cmpl-0123456789abcdef0123456789abcdef",
                    "object": "text_completion",
                    "created": 1_795_000_000,
                    "model": body["model"],
                    "choices": [choice],
                }

    def _write(self, body: dict[str, Any], seed: int) -> list[int]:
        """Go on to the end of the step, where requests stop there, or of the response."""
        dice, num_left, token_ids = random.Random(seed), body["max_tokens"], list[int]()
        while num_left:
            num_tokens = min(num_left, self._shape.step_tokens)
            num_left -= num_tokens
            ending = [self._delimiter_id] if num_left else [*dice.choice(self._answers), self._end_id]
            token_ids += [*dice.choices(self._words, k=num_tokens - len(ending)), *ending]
            if body["stop"]:
                break
        return token_ids


async def score(request: web.Request) -> web.Response:
    """Answer `POST /v1/winnow/scores`."""
    body = await request.json()
    token_ids, positions = body["token_ids"], body["positions"]
    rows = [(position, crc32(repr(token_ids[: position + 1]).encode()) / 2**32) for position in positions]
    return web.json_response({"scores": rows, "num_cached_tokens": positions[0] // BLOCK * BLOCK})


async def list_models(request: web.Request) -> web.Response:
    """Answer `GET /v1/models`."""
    return web.json_response({"data": [{"id": "theirs", "max_model_len": 1024}]})


async def say_well(request: web.Request) -> web.Response:
    """Answer `GET /health`."""
    return web.Response()


def serve(port: int, shape: Shape) -> None:
    """Run a server of both kinds until the process is stopped."""
    app = web.Application(client_max_size=1 << 24)
    app.router.add_get("/health", say_well)
    app.router.add_get("/v1/models", list_models)
    app.router.add_post("/v1/completions", InstantPolicy(shape).complete)
    app.router.add_post("/v1/winnow/scores", score)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


@contextmanager
def instant_servers(shape: Shape) -> Iterator[tuple[str, str]]:
    """URLs of a policy and of a verifier, each a process."""
    processes = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        urls = []
        for _ in range(2):
            port = free_port()
            process = processes.Process(target=serve, args=(port, shape), daemon=True)
            process.start()
            stack.callback(process.join)
            stack.callback(process.terminate)
            urls.append(f"http://127.0.0.1:{port}")
        yield urls[0], urls[1]
