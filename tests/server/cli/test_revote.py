"""`winnow revote` on searches of the real service: what it elects is what the service answers when it is asked."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from search.evaluation.outcomes import read_evaluation
from server.cli.demo_tasks import demo_tasks
from server.cli.main import app
from tests.natures import Chance
from tests.server.processes import WINNOW
from tests.server.services import service
from tests.worlds import World

SETS = [
    ("weighted_best_of_n", {"n": 8}),
    ("dvts", {"n": 8, "beam_width": 2, "max_steps": 6}),
    ("beam_search", {"n": 8, "beam_width": 4, "max_steps": 6}),
    ("dvts", {"n": 6, "beam_width": 3, "max_steps": 4, "lookahead": 1}),
]
NUM_SEARCHES = 100
MADE = {"policy", "verifier", "system_prompt", "version", "commit", "url"}
HALVES = ("1/2", "0.5", r"\frac12")


async def run(*arguments: str) -> Result:
    """The command, in a thread of its own."""
    result = await asyncio.to_thread(CliRunner().invoke, app, [*arguments])
    assert "Traceback" not in result.output
    return result


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def same(answer: str | None) -> str | None:
    """One text for all answers that are equivalent: whose words they are depends on the votes that are cast."""
    return HALVES[0] if answer in HALVES else answer


def append(path: Path, line: str) -> None:
    path.write_text(f"{path.read_text()}{line}\n")


async def store(client: httpx.AsyncClient, folder: Path, requests: list[dict[str, Any]], *options: str) -> Path:
    """Solve a file, and keep all."""
    (folder / "problems.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in requests))
    arguments = ["--file", str(folder / "problems.jsonl"), "--out", str(folder / "searches.jsonl")]
    result = await run("solve", "--url", str(client.base_url), *arguments, *(options or ("--include", "tree")))
    assert result.exit_code == 0, result.output
    return folder / "searches.jsonl"


def request(number: int) -> dict[str, Any]:
    name, fields = SETS[number % len(SETS)]
    return {"problem": f"problem {number}", "seed": number, "strategy": name, "early_stop": False, **fields}


async def test_100_stored_searches_answer_as_the_service_does(tmp_path: Path) -> None:
    requests = {each["problem"]: each for each in map(request, range(NUM_SEARCHES))}
    async with service(World(Chance(11))) as client:
        file = await store(client, tmp_path, [*requests.values()])
        votes = ["--strategies", "majority,best_of_n,weighted_best_of_n", "--vary", "aggregation=last,min,prod"]
        trees = ["--strategies", "dvts,beam_search", "--vary", "selection=weighted,best,majority"]
        first = await run("revote", str(file), *votes, "--n", "1,2,5,8", "--answers", str(tmp_path / "flat.jsonl"))
        second = await run("revote", str(file), *trees, "--n", "2,4,6,8", "--answers", str(tmp_path / "trees.jsonl"))
        assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output
        found = [*lines(tmp_path / "flat.jsonl"), *lines(tmp_path / "trees.jsonl")]

        async def ask(line: dict[str, Any]) -> dict[str, Any]:
            own = requests[line["problem"]]
            is_tree = line["strategy"] in ("dvts", "beam_search")
            kept = own.keys() if is_tree else ("problem", "seed", "early_stop")
            fields = {name: own[name] for name in kept} | {"strategy": line["strategy"], "n": line["n"]}
            fields |= line["varied"]
            if is_tree:
                fields["beam_width"] = min(fields.get("beam_width", 4), line["n"])
            reply = await client.post("/solve", json=fields | {"include": []})
            assert reply.is_success, reply.text
            return dict(reply.json())

        replies = [await ask(line) for line in found]
    assert [same(line["answer"]) for line in found] == [same(reply["answer"]) for reply in replies]
    whole = [line for line in found if line["n"] == requests[line["problem"]]["n"]]
    assert {line["strategy"] for line in whole} == {
        "majority", "best_of_n", "weighted_best_of_n", "dvts", "beam_search",
    }  # fmt: skip
    flat = [line for line in found if line["strategy"] in ("majority", "best_of_n", "weighted_best_of_n")]
    own = [line for line in flat if requests[line["problem"]]["strategy"] == "weighted_best_of_n"]
    assert len(own) == NUM_SEARCHES / 4 * 4 * (1 + 3 + 3)


async def test_stored_searches_of_the_demo_pair_answer_as_it_does(client: httpx.AsyncClient, tmp_path: Path) -> None:
    shared = {"n": 8, "early_stop": False, "temperature": 1.0}
    kinds = ({"strategy": "weighted_best_of_n"}, {"strategy": "dvts", "beam_width": 2})
    tasks = demo_tasks(0, 4)
    requests = [
        {"problem": task.problem, "seed": number, **shared, **kind}
        for number, task in enumerate(tasks)
        for kind in kinds
    ]
    file = await store(client, tmp_path, requests)
    votes = await run(*("revote", str(file), "--n", "2,8", "--answers", str(tmp_path / "votes.jsonl")))
    vary = ("--strategies", "dvts", "--vary", "selection=weighted,best,majority")
    trees = await run(*("revote", str(file), *vary, "--n", "4,8", "--answers", str(tmp_path / "trees.jsonl")))
    assert (votes.exit_code, trees.exit_code) == (0, 0), votes.output + trees.output
    found = [*lines(tmp_path / "votes.jsonl"), *lines(tmp_path / "trees.jsonl")]
    assert len(found) == 4 * (2 * (3 + 1) + 2 * 3)
    together = asyncio.Semaphore(8)  # an engine takes hardly longer for eight than for one

    async def ask(line: dict[str, Any]) -> object:
        fields = {name: line[name] for name in ("problem", "seed", "strategy", "n")} | line["varied"]
        width = {"beam_width": 2} if line["strategy"] == "dvts" else {}
        async with together:
            reply = await client.post("/solve", json={**shared, **fields, **width, "include": []})
        return reply.json()["answer"]

    assert await asyncio.gather(*map(ask, found)) == [line["answer"] for line in found]


@pytest.fixture
async def searches(tmp_path: Path) -> Path:
    async with service(World(Chance(3))) as client:
        requests = [request(4 * number) | {"n": 4} for number in range(6)]
        return await store(client, tmp_path, requests)


@pytest.fixture
def golds(tmp_path: Path) -> Path:
    rows = [{"problem": f"problem {4 * number}", "answer": "1/2", "level": 2} for number in range(6)]
    (tmp_path / "golds.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return tmp_path / "golds.jsonl"


async def test_results_hold_what_is_to_be_kept_and_what_made_them(tmp_path: Path) -> None:
    async with service(World(Chance(3))) as client:
        bare = lines(await store(client, tmp_path, [request(0)], "--n", "4"))
        (tmp_path / "searches.jsonl").unlink()
        kept = lines(await store(client, tmp_path, [request(0)], "--include", "candidates"))
    assert [(each["candidates"], each["tree"]) for each in bare] == [(None, None)]
    assert [(len(each["candidates"]), each["tree"]) for each in kept] == [(8, None)]
    assert all(each["made"].keys() == MADE and each["made"]["version"] for each in (*bare, *kept))
    refused = await run("solve", "1 + 1", "--include", "tree")
    assert (refused.exit_code, "--concurrency and --include go with them" in refused.output) == (2, True)


async def test_with_right_answers_it_reports_as_an_evaluation_does(searches: Path, golds: Path, tmp_path: Path) -> None:
    out = tmp_path / "outcomes.jsonl"
    arguments = ["revote", str(searches), "--problems", str(golds), "--n", "2,4", "--out", str(out)]
    result = await run(*arguments, "--compare", "majority@4:best_of_n@4")
    assert result.exit_code == 0, result.output
    outcomes = read_evaluation(out).outcomes
    assert len(outcomes) == 6 * 2 * 3
    assert {outcome.level for outcome in outcomes} == {2}
    assert all(outcome.num_right is not None and outcome.completion_tokens > 0 for outcome in outcomes)
    assert not any(outcome.is_served for outcome in outcomes)
    assert "weighted_best_of_n" in result.output
    again = await run(*arguments)
    assert again.exit_code == 2
    assert "outcomes.jsonl exists" in again.output


async def test_another_grader_may_find_other_answers_right(searches: Path, golds: Path, tmp_path: Path) -> None:
    graded = []
    for grader in ("equivalent", "text"):
        path = tmp_path / f"{grader}.jsonl"
        options = ["--problems", str(golds), "--grader", grader, "--answers", str(path)]
        assert (await run("revote", str(searches), *options)).exit_code == 0
        graded.append(lines(path))
    assert [[line["answer"] for line in each] for each in graded] == [[line["answer"] for line in graded[0]]] * 2
    by_text = {line["answer"]: line["is_correct"] for line in graded[1]}
    by_meaning = {line["answer"]: line["is_correct"] for line in graded[0]}
    assert all(right == (answer == "1/2") for answer, right in by_text.items())
    assert all(right == (answer in HALVES) for answer, right in by_meaning.items())
    assert by_text != by_meaning


async def test_without_right_answers_it_says_so_and_writes_the_answers(searches: Path, tmp_path: Path) -> None:
    result = await run("revote", str(searches), "--answers", str(tmp_path / "answers.jsonl"))
    assert result.exit_code == 0
    assert "18 answers; none is graded" in result.output
    assert {line["is_correct"] for line in lines(tmp_path / "answers.jsonl")} == {None}


async def test_what_is_not_stored_is_counted_and_left_out(searches: Path) -> None:
    result = await run("revote", str(searches), "--strategies", "majority,dvts", "--n", "4,8")
    assert result.exit_code == 0, result.output
    assert "majority@8: not stored for 6 problems and seeds: it grew no candidate" in result.output


async def test_searches_that_stopped_early_answer_what_is_decided(tmp_path: Path) -> None:
    requests = [request(4 * number) | {"early_stop": True} for number in range(8)]
    async with service(World(Chance(3))) as client:
        file = await store(client, tmp_path, requests)
        result = await run("revote", str(file), "--answers", str(tmp_path / "answers.jsonl"))
        assert result.exit_code == 0, result.output
        found = lines(tmp_path / "answers.jsonl")
        for line in found:
            fields = {name: line[name] for name in ("problem", "seed", "strategy", "n")}
            assert same((await client.post("/solve", json=fields)).json()["answer"]) == same(line["answer"])
    assert [line for line in found if line["strategy"] == "weighted_best_of_n"]


async def test_fields_in_which_the_searches_differ_tell_them_apart(tmp_path: Path) -> None:
    differing: list[dict[str, Any]] = [{"temperature": 0.4}, {"temperature": 0.8, "system_prompt": "Be brief."}]
    async with service(World(Chance(3))) as client:
        file = await store(client, tmp_path, [request(0) | fields for fields in differing])
    result = await run("revote", str(file), "--strategies", "majority", "--answers", str(tmp_path / "a.jsonl"))
    assert result.exit_code == 0, result.output
    varied = [line["varied"] for line in lines(tmp_path / "a.jsonl")]
    assert varied == [differing[0] | {"system_prompt": None}, differing[1]]


async def test_searches_of_several_models_are_not_mixed(searches: Path) -> None:
    first, *_ = lines(searches)
    append(searches, json.dumps(first | {"line": 9, "made": {"policy": "another"}}))
    result = await run("revote", str(searches))
    assert (result.exit_code, "searches of several models" in result.output) == (2, True)


async def test_an_evaluation_keeps_its_searches(tmp_path: Path) -> None:
    kept, out = tmp_path / "searches.jsonl", tmp_path / "outcomes.jsonl"
    async with service(World(Chance(3))) as client:
        options = ["--held-out", "3", "--n", "2,4", "--beam-width", "2", "--subsample", "--timed", "0"]
        chosen = "greedy,majority,weighted_best_of_n,dvts"
        url = ["--url", str(client.base_url), "--strategies", chosen, "--out", str(out), "--searches", str(kept)]
        process = await asyncio.create_subprocess_exec(WINNOW, "eval", *options, *url)
        assert await process.wait() == 0
    anew = tmp_path / "anew.jsonl"
    result = await run("revote", str(kept), "--n", "2,4", "--out", str(anew))
    assert result.exit_code == 0, result.output
    measured = {(each.problem, each.cell): each.answer for each in read_evaluation(out).outcomes}
    elected = {(each.problem, each.cell): each.answer for each in read_evaluation(anew).outcomes}
    assert measured.keys() <= elected.keys()
    assert {key: elected[key] for key in measured} == measured


BAD = [
    (["--vary", "temperature=0.2,0.4"], "temperature cannot be varied on a stored search; use beam_width"),
    (["--vary", "lookahead=0,1"], "lookahead cannot be varied on a stored search"),
    (["--vary", "selection=best", "--vary", "selection=majority"], "a field is given twice"),
    (["--strategies", "auto"], "'auto' cannot be elected anew; use some of majority"),
    (["--strategies", "ttt_best_of_n"], "'ttt_best_of_n' cannot be elected anew"),
    (["--strategies", "majority", "--n", "16"], "nothing of this is stored: majority@16: it grew no candidate"),
    (["--grader", "luck"], "'luck' is not one of"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
async def test_what_cannot_be_asked_is_named(searches: Path, options: list[str], message: str) -> None:
    result = await run("revote", str(searches), *options)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


LINES = [
    ("no JSON", "not JSON"),
    ('{"line": 3, "error": "too long"}', "it has no reply: too long"),
    ('{"made": {}}', "outcomes hold no responses; keep the searches, too: winnow eval --searches FILE"),
    ("{}", "request: Field required"),
]


@pytest.mark.parametrize(("line", "message"), LINES)
async def test_a_bad_line_is_named_and_left_out(searches: Path, line: str, message: str) -> None:
    append(searches, line)
    result = await run("revote", str(searches))
    assert result.exit_code == 1
    assert f"searches.jsonl, line 7: {message}" in result.output


CHANGES = [
    ({"strategy": {"name": "luck", "n": 4, "seed": 0}}, "there is no strategy 'luck'"),
    ({"strategy": {"name": "dvts", "n": 0, "seed": 0}}, "n and seed must be whole numbers"),
    ({"strategy": {"name": "dvts", "n": 4, "seed": 0, "beam_width": "two"}}, "strategy"),
    ({"request": {"problem": 7}}, "request.problem: not text"),
    ({"candidates": "none"}, "candidates: Input should be a valid list"),
    ({"tree": {"nodes": [{"id": "0"}]}}, "tree.nodes.0.parent: Field required"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES)
async def test_a_reply_that_is_none_is_named(searches: Path, change: dict[str, Any], message: str) -> None:
    bad = json.dumps(lines(searches)[0] | {"line": 7} | change)
    append(searches, bad)
    result = await run("revote", str(searches))
    assert result.exit_code == 1, result.output
    assert "line 7: " in result.output
    assert message in result.output


async def test_a_node_without_a_place_is_named(searches: Path) -> None:
    record = lines(searches)[0] | {"line": 7}
    record["tree"]["nodes"][0]["id"] = "first"
    append(searches, json.dumps(record))
    result = await run("revote", str(searches))
    assert "line 7: tree: Value error, 'first' is no name of a node" in result.output
