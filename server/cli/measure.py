"""Asks the service, a few problems at a time, grades what it says, and keeps every outcome."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from rich.progress import Progress, TaskID

from search.evaluation.grading import Grader
from search.evaluation.grid import Job
from search.evaluation.results import Results
from search.evaluation.tasks import Task
from server.cli.client import post_solve
from server.cli.searches import KEPT, SearchFile

Part = tuple[Sequence[Task], Sequence[Job]]
"""Problems, and the jobs that are run on each."""


def is_measured(results: Results, task: Task, job: Job) -> bool:
    """Tell whether there is nothing left to ask for a problem."""
    return results.has(task.problem, job.cells, with_costs=not job.is_shared)


@dataclass(frozen=True, slots=True)
class Measurement:
    """Fills a grid of cells.

    Attributes:
        client: Of the service.
        grader: Grades what it says.
        results: Where outcomes are kept; what it holds already is not measured again.
        progress: Shows a bar for all, and one for each job that runs.
        concurrency: Problems at the same time.
        searches: Where whole searches are kept; None keeps their outcomes alone.
    """

    client: httpx.AsyncClient
    grader: Grader
    results: Results
    progress: Progress
    concurrency: int
    searches: SearchFile | None = None

    async def run(self, parts: Sequence[Part]) -> None:
        """Run every job of a part on every problem of it, the parts one after another."""
        whole = self.progress.add_task("all", total=sum(len(tasks) * len(jobs) for tasks, jobs in parts))
        for tasks, jobs in parts:
            is_timed = not any(job.is_shared for job in jobs)  # then no job runs beside another
            for group in [[job] for job in jobs] if is_timed else [jobs]:
                await self._run(tasks, group, whole)

    async def _run(self, tasks: Sequence[Task], jobs: Sequence[Job], whole: TaskID) -> None:
        """Problem by problem, so that large and small budgets are searched at the same time."""
        bars = [self.progress.add_task(job.name, total=len(tasks)) for job in jobs]
        places = asyncio.Semaphore(self.concurrency)

        async def measure(task: Task, job: Job, bar: TaskID) -> None:
            async with places:
                await self._measure(task, job)
            self.progress.advance(bar)
            self.progress.advance(whole)

        async with asyncio.TaskGroup() as group:
            for task in tasks:
                for job, bar in zip(jobs, bars, strict=True):
                    group.create_task(measure(task, job, bar))
        for bar in bars:
            self.progress.remove_task(bar)

    async def _measure(self, task: Task, job: Job) -> None:
        if is_measured(self.results, task, job):
            return
        clock = asyncio.get_running_loop()
        start = clock.time()
        steps = {"steps": json.loads(job.request["steps"])} if job.request.get("steps") else {}
        evidence = {"include": KEPT["tree"]} if self.searches else {}
        request = {"problem": task.problem, **job.request, **steps, **evidence}
        reply = await post_solve(self.client, request)
        if self.searches:
            self.searches.add(task, request, reply)
        self.results.add(await self.grader.grade(task, job, reply, clock.time() - start))
