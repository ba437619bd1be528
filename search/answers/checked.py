"""The reader of answers that also checks each against its problem."""

from dataclasses import dataclass, replace

from search.answers.answer import Answer
from search.answers.pool import AnswerPool


@dataclass(frozen=True, slots=True)
class CheckingReader:
    """Reads the answers to one problem, and says of each whether it solves the problem's equations.

    Attributes:
        pool: What reads and checks.
        problem: What is asked.
    """

    pool: AnswerPool
    problem: str

    async def read(self, response: str) -> Answer | None:
        """Return the answer of `response` with what its check says; None when it states none."""
        answer = await self.pool.read(response)
        if answer is None:
            return None
        return replace(answer, is_verified=await self.pool.check(self.problem, answer.text))
