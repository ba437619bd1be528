"""Measuring on the real service: what is subsampled is what would have been asked for."""

from pathlib import Path

import httpx
from rich.progress import Progress

from models.interfaces import Delimiter, TokenCount
from search.answers.pool import AnswerPool
from search.evaluation.grading import Grader
from search.evaluation.grid import Job, plan_jobs
from search.evaluation.outcomes import Outcome
from search.evaluation.results import Results
from server.cli.demo_tasks import demo_tasks
from server.cli.measure import Measurement
from server.cli.varied import read_value
from tests.server.services import service, world_of

TASKS = demo_tasks(0, 4)


async def measured(client: httpx.AsyncClient, out: Path, jobs: list[Job]) -> dict[object, Outcome]:
    results = Results(out, {})
    async with AnswerPool(num_workers=1) as answers:
        with Progress(disable=True) as progress:
            await Measurement(client, Grader(answers), results, progress, concurrency=4).run([(TASKS, jobs)])
    return {(outcome.problem, outcome.cell): outcome for outcome in Results(out, {}).outcomes}


def grid(*, subsample: bool) -> list[Job]:
    return plan_jobs(
        ["majority", "best_of_n", "weighted_best_of_n", "dvts"],
        {2: 1, 4: 1},
        {"temperature": 0.8},
        beam_width=2,
        subsample=subsample,
    )


async def test_a_subsampled_cell_is_what_its_own_request_answers(client: httpx.AsyncClient, tmp_path: Path) -> None:
    shared = await measured(client, tmp_path / "o.jsonl", grid(subsample=True))
    alone = await measured(client, tmp_path / "o.jsonl", grid(subsample=False))
    assert len(shared) == 4 * 2 * 4
    assert {key: outcome.answer for key, outcome in shared.items()} == {key: o.answer for key, o in alone.items()}
    assert not any(outcome.is_served for outcome in shared.values())
    assert all(outcome.is_served for outcome in alone.values())  # their costs are wanted, and were not known


async def test_what_is_measured_is_not_measured_again(client: httpx.AsyncClient, tmp_path: Path) -> None:
    first = await measured(client, tmp_path / "o.jsonl", grid(subsample=True))
    assert await measured(client, tmp_path / "o.jsonl", grid(subsample=True)) == first
    lines = (tmp_path / "o.jsonl").read_text().splitlines()
    assert len([line for line in lines if '"problem"' in line]) == len(first)


async def test_rules_of_steps_are_compared_as_a_field_is(tmp_path: Path) -> None:
    rules = tuple(read_value("steps", text) for text in ('{"tokens": 8.0}', '{"delimiter": "\\n"}'))
    jobs = plan_jobs(["dvts"], {2: 1}, {}, beam_width=2, varied={"steps": rules})
    world = world_of()
    async with service(world) as client:
        found = await measured(client, tmp_path / "o.jsonl", jobs)
    assert {sampling.steps for _, sampling in world.policy.draws} == {TokenCount(8), Delimiter("\n")}
    assert {str(outcome.cell.varied[0][1]) for outcome in found.values()} == {'{"tokens": 8}', '{"delimiter": "\\n"}'}
