"""Asks the service, a few problems at a time, grades what it says, and keeps every outcome."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from rich.progress import Progress

from server.commands.client import post_solve
from server.evaluation.grading import Grader
from server.evaluation.plan import Job
from server.evaluation.results import Results
from server.evaluation.tasks import Task


@dataclass(frozen=True, slots=True)
class Measurement:
    """Fills a grid of cells.

    Attributes:
        client: Of the service.
        grader: Grades what it says.
        results: Where outcomes are kept; what it holds already is not measured again.
        progress: Shows a bar for each job.
        concurrency: Problems at the same time.
    """

    client: httpx.AsyncClient
    grader: Grader
    results: Results
    progress: Progress
    concurrency: int

    async def run(self, tasks: Sequence[Task], jobs: Sequence[Job]) -> None:
        """Run every job on every problem."""
        for job in jobs if tasks else ():
            await self._run(tasks, job)

    async def _run(self, tasks: Sequence[Task], job: Job) -> None:
        bar = self.progress.add_task(job.name, total=len(tasks))
        places = asyncio.Semaphore(self.concurrency)
        clock = asyncio.get_running_loop()

        async def measure(task: Task) -> None:
            async with places:
                if not self.results.has(task.problem, job.cells, with_costs=not job.is_shared):
                    start = clock.time()
                    reply = await post_solve(self.client, {"problem": task.problem, **job.request})
                    self.results.add(await self.grader.grade(task, job, reply, clock.time() - start))
            self.progress.advance(bar)

        async with asyncio.TaskGroup() as group:
            for task in tasks:
                group.create_task(measure(task))
