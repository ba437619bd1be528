"""What the README shows works as it stands."""

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx

README = (Path(__file__).parents[3] / "server" / "README.md").read_text()


async def test_the_snippet_of_the_readme_runs(client: httpx.AsyncClient) -> None:
    snippet = re.search(r"```python\n(from openai.*?)```", README, re.DOTALL)
    assert snippet is not None
    names: dict[str, Any] = {}
    code = snippet[1].replace("http://127.0.0.1:8000", str(client.base_url))
    await asyncio.to_thread(exec, code, names)
    assert names["plain"].choices[0].message.content
    ran = [names[reply].search["strategy"] for reply in ("searched", "by_name")]
    assert [(strategy["name"], strategy["n"]) for strategy in ran] == [("auto", 16), ("beam_search", 16)]
