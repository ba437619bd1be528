"""Asks the service, a few problems at a time, grades what it says, and keeps every outcome."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from rich.progress import Progress, TaskID

from server.commands.client import post_solve
from server.evaluation.grading import Grader
from server.evaluation.plan import Job
from server.evaluation.results import Results
from server.evaluation.tasks import Task

Part = tuple[Sequence[Task], Sequence[Job]]
"""Problems, and the jobs that are run on each."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Fills a grid of cells.

    Attributes:
        client: Of the service.
        grader: Grades what it says.
        results: Where outcomes are kept; what it holds already is not measured again.
        progress: Shows a bar for all, and one for each job that runs.
        concurrency: Problems at the same time.
    """

    client: httpx.AsyncClient
    grader: Grader
    results: Results
    progress: Progress
    concurrency: int

    async def run(self, parts: Sequence[Part]) -> None:
        """Run every job of a part on every problem of it, the parts one after another."""
        whole = self.progress.add_task("all", total=sum(len(tasks) * len(jobs) for tasks, jobs in parts))
        for tasks, jobs in parts:
            await self._run_part(tasks, jobs, whole)

    async def _run_part(self, tasks: Sequence[Task], jobs: Sequence[Job], whole: TaskID) -> None:
        """One job after another, so that nothing is timed beside another job; no pause where jobs share work."""
        places = asyncio.Semaphore(self.concurrency)
        if any(job.is_shared for job in jobs):
            async with asyncio.TaskGroup() as group:
                for job in jobs:
                    group.create_task(self._run(tasks, job, places, whole))
        else:
            for job in jobs:
                await self._run(tasks, job, places, whole)

    async def _run(self, tasks: Sequence[Task], job: Job, places: asyncio.Semaphore, whole: TaskID) -> None:
        bar = self.progress.add_task(job.name, start=False, total=len(tasks), visible=False)
        clock = asyncio.get_running_loop()

        async def measure(task: Task) -> None:
            async with places:
                self.progress.start_task(bar)
                self.progress.update(bar, visible=True)
                if not self.results.has(task.problem, job.cells, with_costs=not job.is_shared):
                    start = clock.time()
                    reply = await post_solve(self.client, {"problem": task.problem, **job.request})
                    self.results.add(await self.grader.grade(task, job, reply, clock.time() - start))
            self.progress.advance(bar)
            self.progress.advance(whole)

        async with asyncio.TaskGroup() as group:
            for task in tasks:
                group.create_task(measure(task))
        self.progress.remove_task(bar)
