"""What the README shows is what the service does."""

import json
import re
import shlex
from pathlib import Path

import httpx

README = (Path(__file__).parents[2] / "README.md").read_text()


async def test_the_curl_of_the_readme_gets_the_reply_of_the_readme(client: httpx.AsyncClient) -> None:
    command = re.search(r"^curl .*?\n```", README, re.DOTALL | re.MULTILINE)
    shown = re.search(r"```json\n(.*?)```", README, re.DOTALL)
    assert command is not None
    assert shown is not None
    arguments = shlex.split(command[0].removesuffix("```"))
    request, expected = json.loads(arguments[arguments.index("-d") + 1]), json.loads(shown[1])
    reply = (await client.post("/solve", json=request)).json()
    assert reply.keys() == expected.keys()
    assert (reply["answer"], reply["status"]) == (expected["answer"], expected["status"])


def test_every_command_of_the_readme_exists() -> None:
    from server.cli.main import app

    used = set(re.findall(r"winnow ([a-z-]+)", README.split("```", 1)[1])) - {"is"}
    assert used <= set(app.commands), used - set(app.commands)
