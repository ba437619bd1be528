"""From a reply to the outcomes of every cell that it fills."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.interfaces import Finish, Step
from search.answers.answer import Answer
from search.answers.pool import AnswerPool
from search.candidate import Candidate
from search.evaluation.grid import Cell, Job
from search.evaluation.outcomes import Outcome
from search.evaluation.subsample import elect, elect_subtrees
from search.evaluation.tasks import Task
from search.strategies import Parts, strategies
from search.voting import Selection

FINISHES = {"complete": Finish.END, "truncated": Finish.LENGTH, "expanded": Finish.STEP, "dropped": Finish.STEP}
"""By how a reply says that a node ended; nothing is stopped where all is told."""


@dataclass(frozen=True, slots=True)
class Grader:
    """Grades replies.

    Attributes:
        answers: Compares.
    """

    answers: AnswerPool

    async def grade(self, task: Task, job: Job, reply: dict[str, Any], seconds: float) -> list[Outcome]:
        """Return the outcomes of the job's cells, its own first.

        Args:
            task: What was asked.
            job: What the request was made for.
            reply: Of `/solve`.
            seconds: From request to reply.
        """
        own, *others = job.cells
        usage = reply["usage"]
        costs = {
            "verifier_tokens": usage["verifier_tokens"],
            "verifier_cached_tokens": usage["verifier_cached_tokens"],
            "seconds": seconds,
            "early_stop": not job.is_shared,
            "confidence": reply.get("confidence"),
        }
        if not job.is_shared:
            return [await self._outcome(task, own, reply["answer"], usage["completion_tokens"], **costs)]
        if strategies()[own.strategy].parts is Parts.RESPONSES:
            candidates = await asyncio.gather(*map(self._candidate, reply["candidates"]))
            costs["num_right"] = await self._num_right(task, candidates)
            elected = {
                cell: elect(
                    [each for each in candidates if each.path[0] < cell.n],
                    cell.n,
                    strategies()[cell.strategy].selection,
                    float(job.request.get("keep") or 1),
                )
                for cell in others
            }
            nodes = reply["candidates"]
        else:
            nodes = reply["tree"]["nodes"]
            candidates = await self._tree(nodes, reply["candidates"])
            width = job.request["beam_width"]
            selection = Selection(job.request.get("selection", Selection.WEIGHTED))
            elected = {cell: elect_subtrees(candidates, cell.n, width, selection) for cell in others}
        outcomes = [await self._outcome(task, own, reply["answer"], usage["completion_tokens"], **costs)]
        for cell, answer in elected.items():
            num_tokens = round(usage["completion_tokens"] * _share(nodes, cell.n))
            text = answer.text if answer else None
            outcomes.append(await self._outcome(task, cell, text, num_tokens, early_stop=False))
        return outcomes

    async def _tree(self, nodes: Sequence[dict[str, Any]], final: Sequence[dict[str, Any]]) -> list[Candidate]:
        """Return the candidates at all nodes of a tree, as the vote needs them."""
        ended = {said["id"]: said for said in final}
        return [
            await self._candidate(ended[node["id"]])
            if node["id"] in ended
            else Candidate(_path(node["id"]), (_step(node["state"]),), score=node["score"])
            for node in nodes
        ]

    async def _candidate(self, said: dict[str, Any]) -> Candidate:
        """Return a candidate as the vote needs it."""
        text = said["answer"]
        answer = None if text is None else Answer(text, await self.answers.canonicalise(text))
        return Candidate(_path(said["id"]), (_step(said["finish"]),), score=said["score"], answer=answer)

    async def _num_right(self, task: Task, candidates: Sequence[Candidate]) -> int:
        given = [candidate.answer.text for candidate in candidates if candidate.answer]
        return sum(await asyncio.gather(*(is_right(self.answers, task, text) for text in given)))

    async def _outcome(self, task: Task, cell: Cell, answer: str | None, num_tokens: int, **told: Any) -> Outcome:
        is_correct = answer is not None and await is_right(self.answers, task, answer)
        return Outcome(
            task.problem,
            task.level,
            cell.strategy,
            cell.n,
            cell.seed,
            answer,
            is_correct,
            num_tokens,
            varied=cell.varied,
            **told,
        )


async def is_right(answers: AnswerPool, task: Task, answer: str) -> bool:
    """Say whether an answer is equivalent to one that is right."""
    return any([await answers.equivalent(right, answer) for right in (task.answer, *task.others)])


def _share(nodes: Sequence[dict[str, Any]], n: int) -> float:
    """The share of the tokens that the first `n` candidates took; the bill holds those that no node kept, too."""
    tokens: dict[tuple[int, ...], int] = {_path(node["id"]): node["tokens"] for node in nodes}
    return sum(count for path, count in tokens.items() if path[0] < n) / max(sum(tokens.values()), 1)


def _step(finish: str) -> Step:
    return Step("", (), FINISHES[finish])


def _path(name: str) -> tuple[int, ...]:
    """The place in the tree that a node's name says."""
    return tuple(map(int, name.split(".")))
