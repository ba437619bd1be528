"""A Hub of the tests on loopback: what `huggingface_hub` asks of one to list and download models."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "5" * 40
TOKEN = "hf_of_the_licensee"


@dataclass
class Hub:
    """Its models, and what was asked of it.

    Attributes:
        models: Files by name, by the model's name.
        gated: Models that want `TOKEN`.
        broken: Files that cannot be read just now.
        url: Where it answers.
        downloaded: Files whose content was asked for.
        sizes: Sizes that are told instead of the right ones.
    """

    models: Mapping[str, Mapping[str, bytes]]
    gated: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    url: str = ""
    downloaded: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)


@contextmanager
def running(hub: Hub) -> Iterator[Hub]:
    """Let it answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(hub, self)

        def do_HEAD(self) -> None:
            _answer(hub, self)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def _answer(hub: Hub, request: BaseHTTPRequestHandler) -> None:
    match unquote(urlsplit(request.path).path).strip("/").split("/"):
        case ["api", "models", owner, model, "revision", revision]:
            _describe(hub, request, f"{owner}/{model}", revision)
        case ["api", "models", owner, model, "tree", _]:
            files = hub.models[f"{owner}/{model}"]
            entries = [
                {"type": "file", "path": name, "size": len(content), "oid": _digest(content)}
                for name, content in files.items()
            ]
            _send(request, 200, json.dumps(entries).encode())
        case [owner, model, "resolve", _, *path]:
            _give(hub, request, f"{owner}/{model}", "/".join(path))
        case _:
            _send(request, 404, b"")


def _describe(hub: Hub, request: BaseHTTPRequestHandler, name: str, revision: str) -> None:
    if name not in hub.models:
        _send(request, 401, b"", **{"X-Error-Code": "RepoNotFound"})
    elif revision not in ("main", COMMIT):
        _send(request, 404, b"", **{"X-Error-Code": "RevisionNotFound"})
    else:
        _send(request, 200, json.dumps({"id": name, "sha": COMMIT, "siblings": []}).encode())


def _give(hub: Hub, request: BaseHTTPRequestHandler, name: str, path: str) -> None:
    if name in hub.gated and request.headers["Authorization"] != f"Bearer {TOKEN}":
        _send(request, 401, b"", **{"X-Error-Code": "GatedRepo"})
        return
    content = hub.models[name][path]
    if request.command == "GET":
        if path in hub.broken:
            _send(request, 500, b"")
            return
        hub.downloaded.append(f"{name}/{path}")
    size = hub.sizes.get(path, len(content))
    _send(request, 200, content, ETag=f'"{_digest(content)}"', **{"X-Repo-Commit": COMMIT, "X-Linked-Size": str(size)})


def _send(request: BaseHTTPRequestHandler, status: int, content: bytes, **headers: str) -> None:
    request.send_response(status)
    for name, value in {"Content-Length": str(len(content)), **headers}.items():
        request.send_header(name, value)
    request.end_headers()
    if request.command == "GET":
        request.wfile.write(content)


def _digest(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def checkpoint_files(checkpoint: Path) -> dict[str, bytes]:
    """The files of a folder, as a model of the Hub."""
    return {file.name: file.read_bytes() for file in checkpoint.iterdir() if file.is_file()}
