"""Asks the service, a few problems at a time, grades what it says, and keeps every outcome."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from rich.progress import Progress

from models.interfaces import Finish, Step
from search.answers.pool import AnswerPool
from search.candidate import Candidate
from search.evaluation.subsample import elect
from server.commands.client import post_solve
from server.evaluation.plan import FLAT, Cell, Job
from server.evaluation.results import Outcome, Results
from server.evaluation.tasks import Task


@dataclass(frozen=True, slots=True)
class Measurement:
    """Fills a grid of cells.

    Attributes:
        client: Of the service.
        answers: Grades.
        results: Where outcomes are kept; what it holds already is not measured again.
        progress: Shows a bar for each job.
        concurrency: Problems at the same time.
    """

    client: httpx.AsyncClient
    answers: AnswerPool
    results: Results
    progress: Progress
    concurrency: int

    async def run(self, tasks: Sequence[Task], jobs: Sequence[Job]) -> None:
        """Run every job on every problem."""
        for job in jobs:
            await self._run(tasks, job)

    async def _run(self, tasks: Sequence[Task], job: Job) -> None:
        bar = self.progress.add_task(job.name, total=len(tasks))
        places = asyncio.Semaphore(self.concurrency)
        clock = asyncio.get_running_loop()

        async def measure(task: Task) -> None:
            async with places:
                if not self.results.has(task.problem, job.cells):
                    start = clock.time()
                    reply = await post_solve(self.client, {"problem": task.problem, **job.request})
                    self.results.add(await self._grade(task, job, reply, clock.time() - start))
            self.progress.advance(bar)

        async with asyncio.TaskGroup() as group:
            for task in tasks:
                group.create_task(measure(task))

    async def _grade(self, task: Task, job: Job, reply: dict[str, Any], seconds: float) -> list[Outcome]:
        own, *others = job.cells
        usage = reply["usage"]
        outcomes = [
            await self._outcome(
                task,
                own,
                reply["answer"],
                usage["completion_tokens"],
                verifier_tokens=usage["verifier_tokens"],
                verifier_cached_tokens=usage["verifier_cached_tokens"],
                seconds=seconds,
            )
        ]
        if others:
            candidates = [await self._candidate(index, said) for index, said in enumerate(reply["candidates"])]
            for cell in others:
                answer = elect(candidates, cell.n, FLAT[cell.strategy])
                num_tokens = sum(said["tokens"] for said in reply["candidates"][: cell.n])
                outcomes.append(await self._outcome(task, cell, answer.text if answer else None, num_tokens))
        return outcomes

    async def _candidate(self, index: int, said: dict[str, Any]) -> Candidate:
        """Return a candidate as the vote needs it."""
        finish = Finish.END if said["finish"] == "complete" else Finish.LENGTH
        steps = (Step(said["response"], (), finish),)
        answer = await self.answers.read(said["response"]) if finish is Finish.END else None
        return Candidate((index,), steps, score=said["score"], answer=answer)

    async def _outcome(self, task: Task, cell: Cell, answer: str | None, num_tokens: int, **costs: Any) -> Outcome:
        is_correct = answer is not None and await self.answers.equivalent(task.answer, answer)
        return Outcome(task.problem, task.level, *cell, answer, is_correct, num_tokens, **costs)
