"""The events of a streamed response as they go over the wire.

Knows events as text; a text of several events has an empty line behind each.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

NUM_BEGUN = 3
"""Events before which nothing says that a response can be generated: two tell of the request alone."""


def event_text(event: Mapping[str, Any]) -> str:
    """Return the text of an event of `/v1/responses`."""
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"


async def begun(events: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    """Yield the first events as one text, so that a request that the engine refuses is not begun to be answered."""
    held: list[str] = []
    async with aclosing(events):
        async for event in events:
            held.append(event)
            if len(held) >= NUM_BEGUN:
                yield "".join(held)
                held = []
                break
        async for event in events:
            yield event
    if held:
        yield "".join(held)
