"""Records what a service of the demo pair replies to the examples of its document.

    python -m tests.server.recorded_examples http://127.0.0.1:8000

Ids and times are those of the recording; a test compares answers and fields with those of a real service.
"""

import json
import sys
from typing import Any

import httpx

from server.http.examples import EXAMPLES, POLICY, REPLIES


def main(url: str) -> None:
    replies: dict[str, dict[str, Any]] = {}
    with httpx.Client(base_url=url, timeout=120) as client:
        for example in EXAMPLES:
            reply = client.post(example.route, json=example.request(POLICY)).raise_for_status()
            if reply.headers["content-type"].startswith("application/json"):
                replies.setdefault(example.route, {})[example.name] = rounded(reply.json())
    REPLIES.write_text(json.dumps(replies, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def rounded(value: Any) -> Any:
    """Return a reply without the last digits of its scores, which differ from batch to batch."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    main(sys.argv[1])
