"""A search, rebuilt from the events of its stream as server/stream.md says."""

from collections.abc import Iterable
from typing import Any

from server.stream import EVENTS

Event = tuple[str, dict[str, Any]]


def parse(stream: bytes) -> list[Event]:
    """The events of a stream, each of which must be as it is documented, numbered from 1."""
    events = []
    fields = [
        dict(line.split(": ", 1) for line in event.splitlines() if not line.startswith(":"))
        for event in stream.decode().replace("\r\n", "\n").split("\n\n")
        if event.strip()
    ]
    for number, each in enumerate([each for each in fields if each], 1):
        assert int(each["id"]) == number
        model = EVENTS[each["event"]].model_validate_json(each["data"])
        events.append((each["event"], model.model_dump(mode="json")))
    return events


def rebuild(events: Iterable[Event]) -> dict[str, Any]:
    """What a reply says of a search, from all events before it: strategy, votes, usage, candidates and tree."""
    start: dict[str, Any] = {}
    decision: dict[str, Any] = {}
    votes: list[dict[str, Any]] = []
    usage: dict[str, Any] = {}
    nodes: dict[str, dict[str, Any]] = {}
    steps: dict[str, dict[int, dict[str, Any]]] = {}
    for name, data in events:
        match name:
            case "start":
                start = data
            case "decision":
                decision = data["values"]
            case "step":
                step = {field: data[field] for field in ("text", "score", "thinking")}
                steps.setdefault(data["node"], {})[data["index"]] = step
            case "candidate" if data["state"] == "lost":
                nodes.pop(data["id"], None)  # it may have been lost before it had a step
            case "candidate":
                nodes[data["id"]] = data
            case "votes":
                votes = data["votes"]
            case "usage":
                usage = data["usage"]
    parents = {node["parent"] for node in nodes.values()}
    ordered = sorted(nodes.values(), key=lambda node: [int(part) for part in node["id"].split(".")])

    def own(node: dict[str, Any]) -> list[dict[str, Any]]:
        return [step for _, step in sorted(steps.get(node["id"], {}).items())]

    def line(node: dict[str, Any]) -> list[dict[str, Any]]:
        return [*line(nodes[node["parent"]]), node] if node["parent"] else [node]

    return {
        "id": start["id"],
        "strategy": start["strategy"] | decision,
        "votes": votes,
        "usage": usage,
        "tree": [
            {"id": node["id"], "parent": node["parent"], "steps": own(node), "tokens": node["tokens"]}
            | {"score": node["score"], "state": "expanded" if node["id"] in parents else node["state"]}
            for node in ordered
        ],
        "candidates": [
            {field: node[field] for field in ("id", "answer", "verified", "score")}
            | {"finish": node["state"], "steps": [step for each in line(node) for step in own(each)]}
            | {"tokens": sum(each["tokens"] for each in line(node))}
            for node in ordered
            if node["state"] in ("complete", "truncated", "stopped")
        ],
    }


def told(reply: dict[str, Any]) -> dict[str, Any]:
    """The same from the reply."""
    fields = ("id", "answer", "verified", "score", "finish", "steps", "tokens")
    return {
        "id": reply["id"],
        "strategy": {name: value for name, value in reply["strategy"].items() if name != "reason"},
        "votes": reply["votes"],
        "usage": reply["usage"],
        "tree": sorted(reply["tree"]["nodes"], key=lambda node: [int(part) for part in node["id"].split(".")]),
        "candidates": [{field: candidate[field] for field in fields} for candidate in reply["candidates"]],
    }
