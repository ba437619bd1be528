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
    assert {names[reply].choices[0].finish_reason for reply in ("plain", "searched", "by_name")} == {"stop"}
    assert (names["searched"].search["answer"], names["by_name"].search["answer"]) == ("90", "90")
