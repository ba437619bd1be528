"""Commands and a service whose connections break: a search goes on, one that nobody wants any more is stopped."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from server.cli.client import ServiceClient
from server.cli.main import app
from tests.server.processes import WINNOW
from tests.server.services import service, world_of
from tests.server.test_background import keeping
from tests.server.test_client_background import cutting
from tests.server.test_client_hostile import replying, server
from tests.server.test_queue import held
from tests.waiting import until

ONE = ("--n", "1", "--strategy", "majority")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with service(world_of("1", "2", "3")) as client:
        yield client


async def invoke(*arguments: str) -> Result:
    """The command, in a thread of its own, asks a service of this loop."""
    return await asyncio.to_thread(CliRunner().invoke, app, ["solve", *arguments, *ONE])


async def test_a_search_whose_connection_breaks_goes_on_and_is_forgotten_at_its_end() -> None:
    world = world_of("1", "2")
    async with keeping(world) as (client, background), cutting(client, 1_500, 1_000) as (url, heads):
        result = await invoke("?", "--url", url, "--json")
        assert (result.exit_code, json.loads(result.stdout)["answer"]) == (0, "1"), result.output
        assert [head.split(b" ")[0] for head in heads] == [b"POST", b"GET", b"GET", b"DELETE"]
        assert (world.policy.num_calls, len(background)) == (1, 0)


async def test_a_service_that_cannot_keep_a_search_runs_it_all_the_same() -> None:
    async with service(
        world_of("1"), workers=2, policy_url="http://127.0.0.1:9", verifier_url="http://127.0.0.1:9"
    ) as client:
        result = await invoke("?", "--url", str(client.base_url))
    assert (result.exit_code, "answer      1" in result.output) == (0, True), result.output


async def test_an_interrupt_stops_the_search_too() -> None:
    world, _ = held("1")
    async with service(world) as client:
        words = ["solve", "?", "--url", str(client.base_url), *ONE]
        listens = partial(
            signal.signal, signal.SIGINT, signal.SIG_DFL
        )  # tests may run as a background job, which does not
        process = await asyncio.create_subprocess_exec(
            WINNOW, *words, stderr=asyncio.subprocess.PIPE, preexec_fn=listens
        )
        await until(lambda: world.policy.num_in_flight, within_s=30)
        await asyncio.sleep(0.5)  # until the command knows of it
        process.send_signal(signal.SIGINT)
        _, said = await asyncio.wait_for(process.communicate(), 60)
        assert (process.returncode, b"Traceback" in said) == (130, False)
        assert (world.policy.num_in_flight, world.policy.num_cancelled) == (0, 1)


@pytest.mark.parametrize("words", [("?",), ("?", "--json"), ("--file", "problems", "--out", "results")])
async def test_where_nobody_answers_a_command_ends_at_once(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "problems").write_text('{"problem": "1"}\n')
    async with server(replying()) as (url, _):
        pass  # nobody listens there any more
    result = await asyncio.wait_for(invoke(*words, "--url", url), 10)
    assert (result.exit_code, url in result.output) == (1, True), result.output


async def test_a_file_goes_on_when_a_connection_breaks(client: httpx.AsyncClient, tmp_path: Path) -> None:
    file, out = tmp_path / "problems.jsonl", tmp_path / "results.jsonl"
    file.write_text('{"problem": "1"}\n' * 3)
    whole = 1_000_000
    async with cutting(client, whole, whole, 50) as (url, heads):  # what it serves, and the first line, arrive
        result = await invoke("--file", str(file), "--out", str(out), "--url", url, "--concurrency", "1")
    assert (result.exit_code, len(heads)) == (0, 5), result.output
    assert len({json.loads(line)["request_id"] for line in out.read_text().splitlines()}) == 3


async def test_a_line_too_large_for_the_service_is_named_and_is_not_the_end(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    file, out = tmp_path / "problems.jsonl", tmp_path / "results.jsonl"
    lines = [json.dumps({"problem": problem}) for problem in ("1", "x" * 12_000_000, "2")]
    file.write_text("\n".join(lines))
    words = ("--file", str(file), "--out", str(out), "--url", str(client.base_url))
    result = await asyncio.wait_for(invoke(*words), 30)
    assert (result.exit_code, "2 answered, 1 failed" in result.output) == (1, True), result.output
    assert "line 2: " in result.output


async def test_a_service_that_stays_away_is_given_up() -> None:
    async with server(replying()) as (url, _):
        away = ServiceClient(url, {}, resume_within_s=0.1, pause_s=0.01)
        assert (await away.get("/")).status_code == 200
    with pytest.raises(httpx.TransportError):
        await asyncio.wait_for(away.get("/"), 5)
    await away.aclose()


async def test_a_reply_of_another_version_is_one_sentence() -> None:
    result = b'event: result\ndata: {"id": "1", "status": "complete", "timing": {}}\n\n'
    async with server(replying(result, kind="text/event-stream")) as (url, _):
        told = await invoke("?", "--url", url)
    assert (told.exit_code, "the reply has no answer, diagnostics" in told.output) == (1, True), told.output


HOSTILE = "\x1b]0;owned\x07\x1b[2m\u202e"
SPELT = r"\x1b]0;owned\x07\x1b[2m\u202e"


async def test_a_refusal_moves_nothing_on_the_screen(tmp_path: Path) -> None:
    file, out = tmp_path / "problems.jsonl", tmp_path / "results.jsonl"
    file.write_text('{"problem": "1"}\n')
    refusal = json.dumps({"error": {"message": HOSTILE}}).encode()
    async with server(replying(refusal, "422 No")) as (url, _):
        one = await invoke("?", "--url", url)
        line = await invoke("--file", str(file), "--out", str(out), "--url", url)
    for result in (one, line):
        assert (SPELT in result.output.replace("\n", ""), "\x1b" in result.output) == (True, False), result.output


@pytest.mark.parametrize(
    "words",
    [
        ("eval", "--problems", "evil"),
        ("eval", "--problems", "mixed", "--url", "http://127.0.0.1:9"),
        ("grade", "--gold", "evil", "--pred", "evil"),
        ("grade", "--gold", "gold", "--pred", "mixed"),
        ("calibrate", "--problems", "evil"),
        ("label-steps", "--problems", "evil", "--out", "labels"),
    ],
)
def test_nor_does_a_file(words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    evil, good = json.dumps({HOSTILE: "1"}), json.dumps({"problem": "1 + 1", "answer": "2"})
    Path("evil").write_text(f"{evil}\n")
    Path("mixed").write_text(f"{good}\n{evil}\n")
    Path("gold").write_text(f"{good}\n{good}\n")
    result = CliRunner().invoke(app, list(words))
    assert (SPELT in result.output.replace("\n", ""), "\x1b" in result.output) == (True, False), result.output
