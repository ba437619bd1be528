"""Measuring on the real service: what is subsampled is what would have been asked for."""

from pathlib import Path

import httpx
from rich.progress import Progress

from search.answers.pool import AnswerPool
from server.evaluation.measure import Measurement
from server.evaluation.plan import FLAT, plan_jobs
from server.evaluation.results import Outcome, Results
from server.evaluation.tasks import demo_tasks


async def measured(client: httpx.AsyncClient, out: Path, *, subsample: bool) -> dict[object, Outcome]:
    jobs = plan_jobs(list(FLAT), {2: 1, 4: 1}, {"temperature": 0.8}, beam_width=2, subsample=subsample)
    results = Results(out, {"subsample": subsample})
    async with AnswerPool(num_workers=1) as answers:
        with Progress(disable=True) as progress:
            await Measurement(client, answers, results, progress, concurrency=4).run(demo_tasks(0, 3), jobs)
    return {(outcome.problem, outcome.cell): outcome for outcome in Results(out, {"subsample": subsample}).outcomes}


async def test_a_subsampled_cell_is_what_its_own_request_answers(client: httpx.AsyncClient, tmp_path: Path) -> None:
    shared = await measured(client, tmp_path / "shared.jsonl", subsample=True)
    alone = await measured(client, tmp_path / "alone.jsonl", subsample=False)
    assert len(shared) == 3 * 2 * 3
    assert {key: outcome.answer for key, outcome in shared.items()} == {key: o.answer for key, o in alone.items()}


async def test_what_is_measured_is_not_measured_again(client: httpx.AsyncClient, tmp_path: Path) -> None:
    first = await measured(client, tmp_path / "o.jsonl", subsample=True)
    size = (tmp_path / "o.jsonl").stat().st_size
    assert await measured(client, tmp_path / "o.jsonl", subsample=True) == first
    assert (tmp_path / "o.jsonl").stat().st_size == size
