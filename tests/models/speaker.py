"""A policy that says what it has been given to say, cut by any rule in the simplest way; a token is a character."""

import random
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence

from models.checkpoints.tokenizer import Piece
from models.interfaces import Finish, Meter, Problem, Sampling, Step
from tests.models.naive_steps import naive_steps

LINES = (
    "## Step 1: add\n1 + 2 = 3",
    "So 3 = 3.",
    "```\nSo\n\na = b\n```",
    "1 + 1 = 2. So it is 2, not 3",
    "Sorry, 4 = 4",
)


class Characters:
    """Stands for a tokenizer whose tokens are characters."""

    pieces: Mapping[int, Piece] = {number: chr(number) for number in range(0x80)}

    def decode(self, token_ids: Sequence[int]) -> str:
        return "".join(map(chr, token_ids))


class Speaker:
    """Says one text for a seed, whatever is asked; a temperature of 0 is a seed, too."""

    context = 4096
    thinks = False
    template_arguments: frozenset[str] = frozenset()

    def count_prompt_tokens(self, problem: Problem) -> int:
        return len(problem.text)

    async def propose(self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter) -> Step:
        step = next(self._steps(prefix, sampling))
        self._count(meter, prefix, [step])
        return step

    async def respond(
        self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter
    ) -> AsyncGenerator[Step, None]:
        said = [*prefix]
        for step in self._steps(prefix, sampling):
            self._count(meter, said, [step])
            said.append(step)
            yield step

    def _steps(self, prefix: Sequence[Step], sampling: Sampling) -> Iterator[Step]:
        dice = random.Random(repr(sampling.temperature and sampling.seed))
        text = "\n\n".join(["## Step 0: begin = end", *dice.choices(LINES, k=6)])
        num_said = sum(len(step.token_ids) for step in prefix)
        ahead = [*prefix[-1].ahead] if prefix else []
        rest = [*ahead, *map(ord, text[num_said + len(ahead) :])]
        is_cut = len(rest) >= sampling.max_tokens
        token_ids = rest[: sampling.max_tokens] if is_cut else [*rest, 0]
        finish = Finish.LENGTH if is_cut else Finish.END
        return naive_steps(Characters(), prefix, token_ids, finish, sampling.steps)

    def _count(self, meter: Meter, prefix: Sequence[Step], steps: Sequence[Step]) -> None:
        num_ahead = len(prefix[-1].ahead) if prefix else 0
        meter.completion_tokens += sum(len(step.token_ids) for step in steps) + len(steps[-1].ahead) - num_ahead
