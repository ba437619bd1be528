"""What the page offers to copy runs as it is, and asks for the same search."""

import ast
import asyncio
import json
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.clients import winnow_client
from tests.server.page.scripts import call

ODD = 'It\'s "1 + 1"\\n\n$HOME `ls` %s \u202e\u200b\U000e0041 é \U0001d499 </script>'
REQUEST = {
    "problem": "Compute 8 + 6 * 4 - 12.",
    "strategy": "weighted_best_of_n",
    "n": 4,
    "seed": 7,
    "temperature": 0.8,
}
MORE = {
    **REQUEST,
    "problem": ODD,
    "system_prompt": "",
    "steps": {"markers": ["Wait", ODD]},
    "early_stop": False,
    "max_tokens": 99,
}
CLIENT = Path(winnow_client.__file__)
SHELL = "/bin/sh"
WHERE = {"origin": "http://127.0.0.1:8000", "model": "winnow-demo", "hasKey": False}


def code(language: str, request: dict[str, Any], **where: Any) -> str:
    function = (
        "({ LANGUAGES }, language, request, where) => LANGUAGES.find(([name]) => name === language)[1](request, where)"
    )
    return str(call("snippets", function, language, request, WHERE | where))


def test_curl_sends_the_request() -> None:
    words = shlex.split(code("curl", {**MORE, "stream": True, "background": True, "deadline_s": None}))
    assert words[:3] == ["curl", "-sS", "http://127.0.0.1:8000/solve"]
    assert json.loads(words[words.index("-d") + 1]) == MORE


def called(program: str) -> ast.Call:
    """The one call of a program that asks for a search."""
    names = ("create", "solve")
    calls = [node for node in ast.walk(ast.parse(program)) if isinstance(node, ast.Call)]
    (found,) = [each for each in calls if isinstance(each.func, ast.Attribute) and each.func.attr in names]
    return found


def test_the_typed_client_is_asked_for_the_request() -> None:
    call = called(code("Python, typed client", MORE))
    fields = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
    assert {"problem": ast.literal_eval(call.args[0]), **fields} == MORE


def test_openais_client_is_asked_for_the_request() -> None:
    fields = {str(word.arg): ast.literal_eval(word.value) for word in called(code("Python, openai", MORE)).keywords}
    beyond = fields.pop("extra_body")
    assert fields.pop("messages") == [{"role": "system", "content": ""}, {"role": "user", "content": ODD}]
    assert fields == {"model": "winnow-demo", "seed": 7, "temperature": 0.8, "max_tokens": 99}
    asked = ("strategy", "n", "steps", "early_stop")
    assert beyond == {"search": {name: MORE[name] for name in asked}}


def test_javascript_sends_the_request() -> None:
    function = """async (_, program) => {
      const asked = [];
      globalThis.fetch = async (...given) => (asked.push(given), { ok: true, json: async () => ({ answer: "1" }) });
      console.log = () => {};
      await import(`data:text/javascript,${encodeURIComponent(program)}`);
      return [asked[0][0], JSON.parse(asked[0][1].body)];
    }"""
    if not shutil.which("node"):
        pytest.skip("no node")
    assert call("snippets", function, code("JavaScript", MORE)) == ["http://127.0.0.1:8000/solve", MORE]


def test_a_name_of_a_field_is_never_code() -> None:
    odd = {"x=1)\nimport os\nos.abort()\n#": 1, "Z": 2, "a b": 3}
    keywords = called(code("Python, typed client", REQUEST | odd)).keywords
    (whole,) = [word.value for word in keywords if word.arg is None]
    assert ast.literal_eval(whole) == odd


@pytest.mark.parametrize("language", ["curl", "Python, openai", "Python, typed client", "JavaScript"])
def test_no_key_is_written_out_and_nothing_that_cannot_be_seen(language: str) -> None:
    program = code(language, MORE, hasKey=True)
    assert "WINNOW_API_KEY" in program
    assert not {"\u202e", "\u200b", "\U000e0041"} & set(program)


@pytest.mark.parametrize("language", ["curl", "Python, openai", "Python, typed client"])
async def test_it_runs_as_it_is_copied(language: str, client: httpx.AsyncClient, tmp_path: Path) -> None:
    address = str(client.base_url).rstrip("/")
    program = code(language, REQUEST, origin=address)
    shutil.copy(CLIENT, tmp_path)
    (tmp_path / "program").write_text(program)
    command = [SHELL, "program"] if language == "curl" else [sys.executable, "program"]
    if language == "curl" and not shutil.which("curl"):
        pytest.skip("no curl")
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.defpath, "PYTHONPATH": str(tmp_path)},
    )
    printed, failed = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, failed.decode()
    answer = json.loads(printed)["answer"] if language == "curl" else printed.decode().split()[0]
    assert answer == "20"
