"""`winnow solve --file`: every line for itself, in order, and none is asked twice."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from click.testing import CliRunner, Result

from server.cli.client import RefusedError, post_solve
from server.cli.main import app
from server.solving.admission import Admission
from tests.models.test_files import room_for
from tests.server.services import queueing, service, world_of
from tests.waiting import until
from tests.worlds import World

KEY = "sk-0123456789abcdef"
ONE = {"n": 1, "strategy": "majority"}
LINES = [
    '{"problem": "1 + 1", "id": "first", "answer": "2", "n": 2}',
    "",
    "no JSON",
    '{"question": "1 + 1"}',
    '{"problem": "1 + 1", "n": 0}',
    '["1 + 1"]',
    '{"problem": "2 + 2"}',
]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "problems.jsonl").write_text("\n".join(LINES))
    return tmp_path / "problems.jsonl", tmp_path / "results.jsonl"


@pytest.fixture
def world() -> World:
    return world_of("7")


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with service(world, api_keys=KEY) as client:
        yield client


async def run(client: httpx.AsyncClient, files: tuple[Path, Path], *options: str) -> Result:
    """The command, in a thread of its own, asks the service of this loop."""
    arguments = ["solve", "--url", str(client.base_url), "--file", str(files[0]), "--out", str(files[1]), *options]
    return await asyncio.to_thread(
        CliRunner().invoke, app, [*arguments, "--strategy", "majority", "--n", "1"], env={"WINNOW_API_KEY": KEY}
    )


def written(files: tuple[Path, Path]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in files[1].read_text().splitlines()]


async def test_bad_lines_are_named_by_number_and_are_not_the_end(
    client: httpx.AsyncClient, files: tuple[Path, Path]
) -> None:
    result = await run(client, files)
    assert result.exit_code == 1, result.output
    found = written(files)
    assert [record["line"] for record in found] == [1, 3, 4, 5, 6, 7]
    assert [record.get("answer") for record in found] == ["7", None, None, None, None, "7"]
    assert "not JSON" in found[1]["error"]
    assert "allowed: 1 to 1,024" in found[3]["error"]
    assert all(f"line {number}: " in result.output for number in (3, 4, 5, 6))
    assert "2 answered, 4 failed" in result.output


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"problem": "1", "stream": true}', "stream: not supported in a file; omit it"),
        ('{"problem": "1", "stream": "yes"}', "stream: not supported in a file; omit it"),
        ('{"problem": "1", "temperature": NaN}', "NaN is not a number of JSON"),
        ('{"problem": "1", "temperature": 1e400}', "1e400 is too large"),
        ('{"problem": "\\ud800"}', "half of a surrogate pair"),
        ('{"problem": "1", "id": "\\udc00"}', "half of a surrogate pair"),
        ('{"problem": ' + "[" * 5_000, "nested too deeply"),
    ],
)
async def test_a_line_that_cannot_be_sent_is_named_and_is_not_the_end(
    client: httpx.AsyncClient, files: tuple[Path, Path], line: str, message: str
) -> None:
    files[0].write_text(f'{line}\n{{"problem": "2"}}\n')
    for _ in range(2):  # at a restart, too
        result = await run(client, files)
        assert (result.exit_code, "line 1: " in result.output, message in result.output) == (1, True, True)
        assert [record.get("answer") for record in written(files)] == [None, "7"]


async def test_all_lines_answered_is_a_success(client: httpx.AsyncClient, files: tuple[Path, Path]) -> None:
    files[0].write_text('{"problem": "2"}\n')
    assert (await run(client, files)).exit_code == 0


async def test_a_full_disk_ends_the_run_with_a_sentence_and_the_next_goes_on(
    client: httpx.AsyncClient, files: tuple[Path, Path]
) -> None:
    files[0].write_text('{"problem": "2"}\n' * 12)
    await run(client, files)
    whole, size = written(files), files[1].stat().st_size
    files[1].unlink()
    with room_for(size // 2):
        result = await run(client, files)
    assert (result.exit_code, "cannot be written: File too large" in result.output) == (1, True)
    assert 0 < len(written(files)) < 12
    assert (await run(client, files)).exit_code == 0
    assert [record["line"] for record in written(files)] == [record["line"] for record in whole]


async def test_an_address_may_end_as_openais_clients_want_it(
    client: httpx.AsyncClient, files: tuple[Path, Path]
) -> None:
    files[0].write_text('{"problem": "2"}\n')
    assert (await run(client, files, "--url", str(client.base_url).rstrip("/") + "/v1/")).exit_code == 0


async def test_a_missing_key_is_named_by_its_variable(client: httpx.AsyncClient) -> None:
    arguments = ["solve", "1 + 1", "--url", str(client.base_url)]
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    assert (result.exit_code, "WINNOW_API_KEY" in result.output) == (1, True)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"object": "list"}'])
async def test_another_service_is_one_sentence(body: bytes) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body))
    async with httpx.AsyncClient(transport=transport, base_url="http://elsewhere") as elsewhere:
        with pytest.raises(RefusedError, match="is not a winnow service"):
            await post_solve(elsewhere, {"problem": "1"})


@pytest.mark.parametrize("request_", [{"problem": "\ud800"}, {"problem": "1", "temperature": float("nan")}])
async def test_a_request_that_is_not_json_is_one_sentence(client: httpx.AsyncClient, request_: dict[str, Any]) -> None:
    with pytest.raises(RefusedError, match="cannot be sent as JSON"):
        await post_solve(client, request_)


async def test_fields_of_a_line_come_before_options_and_its_id_is_kept(
    client: httpx.AsyncClient, files: tuple[Path, Path]
) -> None:
    await run(client, files)
    first, last = written(files)[0], written(files)[-1]
    assert (first["id"], first["request"]["n"], last["request"]["n"]) == ("first", 2, 1)
    assert "id" not in last
    assert first["request_id"] != last["request_id"]


async def test_what_is_there_is_not_asked_for_again(
    client: httpx.AsyncClient, files: tuple[Path, Path], world: World
) -> None:
    await run(client, files)
    kept, num_calls = [r for r in written(files) if "error" not in r], world.policy.num_calls
    files[1].write_text("".join(json.dumps(record) + "\n" for record in kept[1:]) + '{"line": 1, "torn')
    result = await run(client, files)
    assert result.exit_code == 1, result.output
    assert world.policy.num_calls - num_calls == 2  # the two responses of line 1
    assert [record["line"] for record in written(files)] == [1, 3, 4, 5, 6, 7]
    assert written(files)[-1] == kept[1]


async def test_results_of_other_requests_are_not_taken_for_these(
    client: httpx.AsyncClient, files: tuple[Path, Path]
) -> None:
    await run(client, files)
    before = files[1].read_text()
    result = await run(client, files, "--temperature", "0.5")
    assert result.exit_code == 2
    assert "line 1, another request: choose another --out" in result.output
    assert files[1].read_text() == before


async def test_a_file_of_something_else_is_not_written_over(
    client: httpx.AsyncClient, files: tuple[Path, Path]
) -> None:
    files[1].write_text("my thesis\n")
    result = await run(client, files)
    assert (result.exit_code, files[1].read_text()) == (2, "my thesis\n")
    assert "line 1: not JSON" in result.output


async def test_a_service_that_goes_away_leaves_what_is_there(files: tuple[Path, Path]) -> None:
    async with httpx.AsyncClient(base_url="http://127.0.0.1:9") as nobody:
        result = await run(nobody, files)
    assert result.exit_code == 1
    assert [record["line"] for record in written(files)] == [3, 4, 6]  # those that need no service
    assert "no answer from http://127.0.0.1:9" in result.output


async def test_results_come_in_the_order_of_the_problems_whichever_ends_first(tmp_path: Path) -> None:
    world = world_of("1", "2", "3")
    gate = world.policy.gates[r"\boxed{1}"] = asyncio.Event()
    files = tmp_path / "problems.jsonl", tmp_path / "results.jsonl"
    files[0].write_text('{"problem": "1"}\n' * 3)
    async with service(world) as client:
        running = asyncio.create_task(run(client, files))
        await until(lambda: files[1].exists() and files[1].read_text().count("\n") >= 2, within_s=20)
        gate.set()
        await running
    assert [record["line"] for record in written(files)] == [1, 2, 3]
    assert {record["answer"] for record in written(files)} == {"1", "2", "3"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "either PROBLEM or --file"),
        (["1 + 1", "--file", "a"], "either PROBLEM or --file"),
        (["--file", "a"], "--file needs --out"),
        (["1 + 1", "--out", "a"], "--file needs --out"),
        (["1 + 1", "--concurrency", "2"], "--file needs --out"),
        (["--file", "a", "--out", "b", "--json"], "--json does not"),
        (["--file", "nowhere", "--out", "b"], "nowhere: No such file"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["solve", *arguments])
    assert result.exit_code != 0
    assert message in " ".join(result.output.split())


async def full(client: httpx.AsyncClient, admission: Admission) -> "asyncio.Task[httpx.Response]":
    """Take the only place there is."""
    first = asyncio.create_task(client.post("/solve", json={"problem": "1", **ONE}))
    await until(lambda: admission.num_running)
    return first


async def test_a_busy_service_is_asked_again_after_the_time_it_says(world: World) -> None:
    gate = world.policy.gates[r"\boxed{7}"] = asyncio.Event()
    waits: list[float] = []
    async with queueing(world, max_cost_in_flight=1, max_queued=0) as (client, admission):
        first = await full(client, admission)

        async def sleep(seconds: float) -> None:
            waits.append(seconds)
            gate.set()
            await first

        reply = await post_solve(client, {"problem": "1", **ONE}, sleep=sleep)
    assert reply["answer"] == "7"
    assert waits == [pytest.approx(1.125, abs=0.126)]


async def test_patience_with_a_busy_service_has_an_end(world: World) -> None:
    gate = world.policy.gates[r"\boxed{7}"] = asyncio.Event()
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async with queueing(world, max_cost_in_flight=1, max_queued=0) as (client, admission):
        first = await full(client, admission)
        with pytest.raises(RefusedError, match="too many searches are waiting"):
            await post_solve(client, {"problem": "1", **ONE}, patience_s=5, sleep=sleep)
        gate.set()
        await first
    assert 3 <= sum(waits) <= 5 * 1.25


async def test_a_refusal_is_not_repeated(client: httpx.AsyncClient) -> None:
    with pytest.raises(click.ClickException, match="no API key"):
        await post_solve(client, {"problem": "1"})
