"""Writes down what the clients ask: `python -m tests.clients.record` runs every script against a server that notes it.

The bodies go to `recorded.json`, where `tests/server/openai/test_clients.py` takes them from, so that `make test` knows
what clients send without having them. Run it again when a client's version changes.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from tests.clients.scripts import HERE, POLICY, SCRIPTS, run
from tests.waiting import until

RECORDED = HERE / "recorded.json"
TEXT = "So it is \\boxed{90}."
USAGE = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
BILL = {
    "input_tokens": 9, "output_tokens": 9, "total_tokens": 18, "output_tokens_details": {"reasoning_tokens": 0},
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
}  # fmt: skip
PART = {"type": "output_text", "text": TEXT, "annotations": [], "logprobs": []}
MESSAGE = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [PART]}
RESPONSE = {
    "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "output": [MESSAGE], "usage": BILL,
    "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None, "incomplete_details": None,
    "instructions": None, "metadata": None, "temperature": 0.0, "top_p": 1.0,
}  # fmt: skip


def reply_to(path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the only reply, or the events of a streamed one."""
    common, is_streamed = {"id": "1", "created": 1, "model": body["model"]}, body.get("stream")
    if path == "chat/completions":
        said = {"role": "assistant", "content": TEXT}
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "delta" if is_streamed else "message": said}
        kind = "chat.completion.chunk" if is_streamed else "chat.completion"
    elif path == "completions":
        choice, kind = {"index": 0, "finish_reason": "stop", "text": TEXT, "logprobs": None}, "text_completion"
    else:
        return _events(RESPONSE | {"model": body["model"]}) if is_streamed else [RESPONSE | {"model": body["model"]}]
    reply = common | {"object": kind, "choices": [choice]}
    if not is_streamed:
        return [reply | {"usage": USAGE}]
    wants_usage = (body.get("stream_options") or {}).get("include_usage")
    return [reply, common | {"object": kind, "choices": [], "usage": USAGE}] if wants_usage else [reply]


def _events(response: dict[str, Any]) -> list[dict[str, Any]]:
    item, place = {"output_index": 0}, {"output_index": 0, "item_id": "msg_1", "content_index": 0}
    begun = response | {"status": "in_progress", "output": [], "usage": None}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "item": MESSAGE | {"content": [], "status": "in_progress"}} | item,
        {"type": "response.content_part.added", "part": PART | {"text": ""}} | place,
        {"type": "response.output_text.delta", "delta": TEXT, "logprobs": []} | place,
        {"type": "response.output_text.done", "text": TEXT, "logprobs": []} | place,
        {"type": "response.content_part.done", "part": PART} | place,
        {"type": "response.output_item.done", "item": MESSAGE} | item,
        {"type": "response.completed", "response": response},
    ]
    return [event | {"sequence_number": number} for number, event in enumerate(events)]


async def _written(events: list[dict[str, Any]]) -> AsyncIterator[str]:
    for event in events:
        yield (f"event: {event['type']}\n" if "type" in event else "") + f"data: {json.dumps(event)}\n\n"
    if "type" not in events[0]:
        yield "data: [DONE]\n\n"


def noting(notes: list[dict[str, Any]]) -> FastAPI:
    """An app that notes what it is asked, and answers as OpenAI does."""
    app = FastAPI()

    @app.post("/v1/{path:path}")
    async def answer(path: str, request: Request) -> Response:
        body = await request.json()
        notes.append({"path": f"/v1/{path}", "body": body})
        replies = reply_to(path, body)
        if not body.get("stream"):
            return JSONResponse(replies[0])
        return StreamingResponse(_written(replies), media_type="text/event-stream")

    return app


async def main() -> None:
    """Run the scripts one after the other, and write what they asked the policy itself, each body once."""
    recorded: dict[str, list[dict[str, Any]]] = {}
    notes: list[dict[str, Any]] = []
    config = uvicorn.Config(noting(notes), "127.0.0.1", 0, log_config=None)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    for script in SCRIPTS:
        notes.clear()
        code, said = await run(script, f"http://127.0.0.1:{port}")
        if code:
            raise SystemExit(f"{script.name} ends with {code}:\n{said}")
        of_policy = [note for note in notes if note["body"]["model"] == POLICY]
        recorded[script.name] = [note for place, note in enumerate(of_policy) if note not in of_policy[:place]]
    server.should_exit = True
    await serving
    RECORDED.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
