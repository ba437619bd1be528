"""A server of HTTP that answers honestly but for one path, where it does whatever bytes can do; and the table of it."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Body = dict[str, Any]
Play = Callable[[Body], AsyncIterator[bytes]]
"""The bytes of a response to a request, its head too."""

NAN, INFINITY, DEEP = b"NaN", b"Infinity", b"[" * 200_000
BLOCK = b" " * 65_536
PLACE = "@"
"""Where raw JSON stands in a reply, which JSON cannot say."""


def head(media_type: str = "application/json", status: str = "200 OK", *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {media_type}", "Connection: close", *more]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


def says(
    *parts: bytes, media_type: str = "application/json", status: str = "200 OK", more: tuple[str, ...] = ()
) -> Play:
    async def play(body: Body) -> AsyncIterator[bytes]:
        yield head(media_type, status, *more)
        for part in parts:
            yield part

    return play


def answers(reply: Any, raw: bytes = b"") -> Play:
    return says(json.dumps(reply).encode().replace(f'"{PLACE}"'.encode(), raw))


def endless(*first: bytes, then: bytes, media_type: str = "application/json", pause_s: float = 0.0) -> Play:
    async def play(body: Body) -> AsyncIterator[bytes]:
        yield head(media_type)
        for part in first:
            yield part
        while True:
            yield then
            await asyncio.sleep(pause_s)

    return play


def silent(*first: bytes) -> Play:
    async def play(body: Body) -> AsyncIterator[bytes]:
        for part in first:
            yield part
        await asyncio.sleep(3600)

    return play


def raw(*parts: bytes, then: bytes = b"", pause_s: float = 0.0) -> Play:
    async def play(body: Body) -> AsyncIterator[bytes]:
        for part in parts:
            yield part
        while then:
            yield then
            await asyncio.sleep(pause_s)

    return play


def event(raw: bytes = b"", usage: Any = None, **fields: Any) -> bytes:
    """A streamed event of a completion, in which `fields` differ from an honest one."""
    choice = {"index": 0, "text": "", "token_ids": [20], "finish_reason": None, "stop_reason": None} | fields
    choice = {name: value for name, value in choice.items() if value != "missing"}
    data = json.dumps({"id": "1", "choices": [choice], "usage": usage}).encode()
    return b"data: " + data.replace(f'"{PLACE}"'.encode(), raw) + b"\n\n"


END, DONE = event(token_ids=[0], finish_reason="stop"), b"data: [DONE]\n\n"


def streams(*events: bytes, media_type: str = "text/event-stream") -> Play:
    return says(*events, media_type=media_type)


def floods(then: bytes, *first: bytes, pause_s: float = 0.0) -> Play:
    return endless(*first, then=then, media_type="text/event-stream", pause_s=pause_s)


def scores(rows: Any, num_cached: Any = 0, raw: bytes = b"") -> Play:
    """Rows may be made of the positions asked for."""

    async def play(body: Body) -> AsyncIterator[bytes]:
        made = rows(body["positions"]) if callable(rows) else rows
        data = json.dumps({"scores": made, "num_cached_tokens": num_cached}).encode()
        yield head() + data.replace(f'"{PLACE}"'.encode(), raw)

    return play


def rows_of(value: Any) -> Callable[[list[int]], Any]:
    return lambda positions: [[position, value] for position in positions]


def bomb() -> bytes:
    return gzip.compress(b" " * (64 << 20))


def error(code: Any, message: Any = "no", param: Any = None) -> bytes:
    return json.dumps({"error": {"message": message, "code": code, "param": param}}).encode()


STREAM_ROWS: dict[str, Play] = {
    "more tokens than asked for, in one event": streams(event(token_ids=[20] * 5000), END, DONE),
    "more tokens than asked for, without end": floods(event()),
    "tokens behind the end": streams(END, event(), END, DONE),
    "token ids that the model lacks": streams(event(token_ids=[10**6]), END, DONE),
    "token ids below 0": streams(event(token_ids=[-1]), END, DONE),
    "token ids with a fraction": streams(event(token_ids=[1.5]), END, DONE),
    "token ids in words": streams(event(token_ids=["20"]), END, DONE),
    "no token ids": streams(event(token_ids="missing"), END, DONE),
    "token ids null": streams(event(token_ids=None), END, DONE),
    "an id of 5,000 digits": streams(event(b"9" * 5000, token_ids=[PLACE]), END, DONE),
    "another choice": streams(event(index=7), END, DONE),
    "two choices": streams(
        b'data: {"choices": [{"text": "", "token_ids": []}, {"text": "", "token_ids": []}]}\n\n', DONE
    ),
    "nothing but the end": streams(DONE),
    "events without tokens, without end": floods(event(token_ids=[])),
    "an end for no reason that is known": streams(event(finish_reason="tired"), DONE),
    "no reason for the end": streams(event(), DONE),
    "no end": streams(event()),
    "a line without end": floods(BLOCK, b"data: "),
    "comments without end": floods(b": ping\n\n"),
    "comments now and then": floods(b": ping\n\n", pause_s=0.02),
    "what is no JSON": streams(b"data: {\n\n", DONE),
    "a list": streams(b"data: []\n\n", DONE),
    "deep JSON": streams(b"data: " + DEEP + b"\n\n", DONE),
    "broken UTF-8": streams(b'data: {"choices": "\xff\xfe"}\n\n', DONE),
    "fewer than no tokens from the cache": streams(
        event(usage={"prompt_tokens_details": {"cached_tokens": -1}}), END, DONE
    ),
    "more tokens from the cache than there were": streams(
        event(usage={"prompt_tokens_details": {"cached_tokens": 10**6}}), END, DONE
    ),
    "a bill in words": streams(event(usage={"prompt_tokens": "many"}), END, DONE),
    "a bill of NaN": streams(event(NAN, usage={"prompt_tokens": PLACE}), END, DONE),
    "an object for a stop": streams(event(stop_reason={}), END, DONE),
    "HTML": streams(event(), END, DONE, media_type="text/html"),
    "a gzip bomb": says(bomb(), media_type="text/event-stream", more=("Content-Encoding: gzip",)),
    "another address": says(status="302 Found", more=("Location: http://127.0.0.1:9/elsewhere",)),
    "its own address": says(status="307 Temporary Redirect", more=("Location: /v1/completions",)),
    "no content": says(status="204 No Content"),
    "an error event with a forged line": streams(b"data: " + error(10**9, "no\nERROR root: forged " * 9999) + b"\n\n"),
    "an error without end": raw(head(status="500 Oops"), then=BLOCK),
    "too many requests": says(error(429), status="429 Slow Down"),
    "a byte now and then": endless(then=b" ", media_type="text/event-stream", pause_s=0.02),
    "a head now and then": raw(b"HTTP/1.1 200 OK\r\nX: ", then=b"x", pause_s=0.02),
    "a head without end": raw(b"HTTP/1.1 200 OK\r\n", then=b"X: y\r\n" * 1000),
    "a header without end": raw(b"HTTP/1.1 200 OK\r\nX: ", then=BLOCK),
    "nothing behind the head": silent(head("text/event-stream")),
    "nothing": silent(),
    "an end without a word": raw(),
    "what is no HTTP": raw(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"),
    "less than it promised": says(event(), media_type="text/event-stream", more=("Content-Length: 9999",)),
    "chunks of no size": says(b"zz\r\nnone\r\n", media_type="text/event-stream", more=("Transfer-Encoding: chunked",)),
}

SCORE_ROWS: dict[str, Play] = {
    "a score of 1e9": scores(rows_of(1e9)),
    "a score below 0": scores(rows_of(-0.1)),
    "a score of NaN": scores(rows_of(PLACE), raw=NAN),
    "a score of infinity": scores(rows_of(PLACE), raw=INFINITY),
    "a score in words": scores(rows_of("0.5")),
    "a score null": scores(rows_of(None)),
    "a score that is true": scores(rows_of(True)),
    "scores for other positions": scores([[0, 0.5]]),
    "scores for more positions": scores(lambda positions: [[0, 0.5], *rows_of(0.5)(positions)]),
    "scores twice": scores(lambda positions: rows_of(0.5)(positions) * 2),
    "scores in another order": scores(lambda positions: rows_of(0.5)([*positions[::-1], 0])),
    "a position with a fraction": scores(lambda positions: [[position + 0.5, 0.5] for position in positions]),
    "no scores": scores([]),
    "ragged rows": scores(lambda positions: [[position] for position in positions]),
    "no rows": says(b'{"num_cached_tokens": 0}'),
    "rows that are none": scores({"0": 0.5}),
    "fewer than no tokens from the cache": scores(rows_of(0.5), num_cached=-1),
    "more tokens from the cache than there are": scores(rows_of(0.5), num_cached=10**6),
    "JSON without end": endless(b'{"scores": [', then=b"[1,0.5]," * 8000),
    "a byte now and then": endless(then=b" ", pause_s=0.02),
    "deep JSON": says(DEEP),
    "a gzip bomb": says(bomb(), more=("Content-Encoding: gzip",)),
    "another address": says(status="302 Found", more=("Location: http://127.0.0.1:9/elsewhere",)),
    "another key": says(error(401), status="401 Unauthorized"),
    "nothing behind the head": silent(head()),
}

CLASS_ROWS: dict[str, Play] = {
    "a score of 1e9": answers({"data": [{"probs": [1e9]}]}),
    "a score of NaN": answers({"data": [{"probs": [PLACE]}]}, NAN),
    "no score": answers({"data": [{"probs": []}]}),
    "two scores": answers({"data": [{"probs": [0.5, 0.5]}]}),
    "two texts": answers({"data": [{"probs": [0.5]}, {"probs": [0.5]}]}),
    "no text": answers({"data": []}),
    "null": answers(None),
}

PLAIN_ROWS: dict[str, Play] = {
    "no choices": answers({"id": "1"}),
    "more choices than asked for": answers({"choices": [{"index": 0}, {"index": 1}]}),
    "fewer choices than asked for": answers({"choices": []}),
    "another choice": answers({"choices": [{"index": 7}]}),
    "NaN": answers({"choices": [{"index": 0, "logprobs": PLACE}]}, NAN),
    "a bill below 0": answers({"choices": [{"index": 0}], "usage": {"prompt_tokens": -5}}),
    "a list": answers([]),
    "deep JSON": says(b'{"choices": [{"index": 0}], "x": ' + DEEP),
    "JSON without end": endless(b'{"choices": [', then=b'{"index": 0},' * 5000),
    "HTML": says(b"<html>", media_type="text/html"),
    "another address": says(status="302 Found", more=("Location: http://127.0.0.1:9/elsewhere",)),
    "an error whose field is an object": says(error(500, {"a": 1}, {"b": 2}), status="500 Oops"),
}

PLAIN_STREAM_ROWS: dict[str, Play] = {
    "what is no JSON": streams(b"data: {\n\n", DONE),
    "NaN": streams(b'data: {"choices": [], "x": NaN}\n\n', DONE),
    "a list": streams(b"data: []\n\n", DONE),
    "another choice": streams(event(index=7), DONE),
    "nothing but the end": streams(DONE),
    "a line without end": floods(BLOCK, b"data: "),
    "comments without end": floods(b": ping\n\n"),
    "no end": streams(event()),
    "an error in the middle": streams(event(), b"data: " + error(10**9, "no") + b"\n\n"),
    "NaN in the middle": streams(event(), b'data: {"choices": [], "x": NaN}\n\n', DONE),
}

RESPONSE = {"object": "response", "status": "completed", "output": []}


def told(kind: str, **fields: Any) -> bytes:
    """An event of a response."""
    return b"data: " + json.dumps({"type": kind} | fields).encode() + b"\n\n"


BEGUN = (told("response.created", response=RESPONSE), told("response.in_progress", response=RESPONSE))

OUTPUT_ROWS: dict[str, Play] = {
    "no output": answers({"object": "response", "status": "completed"}),
    "items in words": answers(RESPONSE | {"output": ["4"]}),
    "another object": answers(RESPONSE | {"object": "chat.completion"}),
    "NaN": answers(RESPONSE | {"temperature": PLACE}, NAN),
}

OUTPUT_STREAM_ROWS: dict[str, Play] = {
    "an event without a type": streams(b"data: {}\n\n"),
    "a type that forges lines": streams(told("response.created\n\ndata: {}")),
    "a chunk of a chat": streams(event(), DONE),
    "nothing but the end": streams(DONE),
    "no end": streams(*BEGUN),
    "deltas without end": floods(told("response.output_text.delta", delta="a" * 60_000), *BEGUN),
    "another error in the middle": streams(*BEGUN, told("response.output_text.delta"), told("error", message="no")),
    "NaN in the middle": streams(
        *BEGUN, told("response.output_text.delta"), b'data: {"type": "response.a", "x": NaN}\n\n'
    ),
}

ROWS: dict[str, tuple[str, dict[str, Play]]] = {
    "a response": ("/v1/completions", STREAM_ROWS),
    "scores": ("/v1/winnow/scores", SCORE_ROWS),
    "a class": ("/classify", CLASS_ROWS),
    "a plain chat": ("/v1/chat/completions", PLAIN_ROWS),
    "a plain stream": ("/v1/chat/completions", PLAIN_STREAM_ROWS),
    "an output": ("/v1/responses", OUTPUT_ROWS),
    "an output's stream": ("/v1/responses", OUTPUT_STREAM_ROWS),
}
"""By what is asked for: where, and what is said instead."""

MEETING_ROWS: dict[str, tuple[str, Play]] = {
    "no model": ("/v1/models", answers({"data": []})),
    "a length in words": ("/v1/models", answers({"data": [{"id": "m", "max_model_len": "long"}]})),
    "a length of 1e30": ("/v1/models", answers({"data": [{"id": "m", "max_model_len": 10**30}]})),
    "a length below 1": ("/v1/models", answers({"data": [{"id": "m", "max_model_len": -1}]})),
    "an object for a name": ("/v1/models", answers({"data": [{"id": {}, "max_model_len": 1024}]})),
    "models without end": ("/v1/models", endless(b'{"data": [', then=BLOCK)),
    "deep models": ("/v1/models", says(DEEP)),
    "models elsewhere": ("/v1/models", says(status="302 Found", more=("Location: http://127.0.0.1:9/",))),
    "health elsewhere": ("/health", says(status="302 Found", more=("Location: http://127.0.0.1:9/",))),
    "no HTTP": ("/health", raw(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")),
    "tokens in words": ("/tokenize", answers({"tokens": ["a"]})),
    "tokens without end": ("/tokenize", endless(b'{"tokens": [', then=BLOCK)),
    "other tokens": ("/tokenize", answers({"tokens": [1, 2]})),
}


@dataclass(slots=True)
class Rogue:
    """A server.

    Attributes:
        path: Where it misbehaves.
        play: How.
        token_ids: Of its response, where it is honest.
        asked: How often it was asked at `path`.
        url: Where it listens.
    """

    path: str
    play: Play
    token_ids: list[int] = field(default_factory=lambda: [20])
    asked: int = 0
    url: str = ""

    def honest(self, path: str, body: Body) -> Play:
        token_ids = [*self.token_ids, 0]
        honest = {
            "/health": says(),
            "/v1/models": answers({"data": [{"id": "theirs", "max_model_len": 1024}]}),
            "/v1/winnow/scores": says(status="404 Not Found") if self.path == "/classify" else scores(rows_of(0.5)),
            "/classify": answers({"data": [{"probs": [0.5]}]}),
            "/v1/completions": streams(event(token_ids=token_ids, finish_reason="stop"), DONE),
            "/v1/responses": answers(RESPONSE),
            "/v1/chat/completions": answers({"choices": [{"index": 0, "message": {"content": "4"}}]}),
        }
        return honest.get(path, says(status="404 Not Found"))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
            path = lines[0].split()[1]
            headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
            data = await reader.readexactly(int(headers.get("content-length", 0)))
            body = json.loads(data) if data else {}
            self.asked += path == self.path
            play = self.play if path == self.path else self.honest(path, body)
            async for part in play(body):
                writer.write(part)
                await writer.drain()
        writer.close()

    @asynccontextmanager
    async def playing(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield
        finally:
            server.close()
            for task in asyncio.all_tasks():
                if getattr(task.get_coro(), "__qualname__", "") == "Rogue._serve":
                    task.cancel()
