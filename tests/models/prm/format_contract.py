"""What every adapter of a published format must do, against plain transformers.

A test module says by `format_name` and `checkpoint` which verifier, and by `plain` what plain transformers makes of a
problem and a response, both text: so it finds the steps by the policy's delimiter on its own. Both sides compute in
float32, alike but for the order of their sums.
"""

import asyncio
import random
from collections.abc import Callable

import pytest

from models.checkpoints.prompt import PromptBuilder
from models.errors import ContextOverflowError
from models.interfaces import (
    DELIMITER,
    Delimiter,
    Finish,
    Markers,
    Meter,
    Problem,
    Step,
    StepRule,
    TokenCount,
)
from models.policy.steps import StepSplitter
from models.prm.served import RunningVerifier
from models.vllm.launch import block_size
from models.vllm.settings import LARGE_BLOCK
from tests.models.prm.over_http import ScoresOverHTTP
from tests.models.problems import text_of, visible
from tests.models.verifier_contract import VerifierContract, steps_of

Reference = Callable[[str, str], list[float]]
"""From a problem and a response to the score of each step."""

TOLERANCE = 1e-4
BLOCK = block_size()
NEW_LINE = 40
"""More tokens than a step of `lines` has, with all that a format puts around it."""
LONG = Problem("Compute 3 * (12 - 5) + 8, of which no other test has heard, and which is longer than a block.")
MANY_STEPS = "So 17 + 28 is 45. Wait, 45 is\n  5 * 9.\n## Step 2: Add\nTherefore 45 it is,\nthe final answer is 45."
RULES: tuple[StepRule, ...] = (
    Delimiter("\n"),
    Delimiter("."),
    TokenCount(5),
    Markers(("Wait", "## Step", "Therefore")),
)
WORDS = ("## Step", "17 + 28 = 45.", "so", "- 3", r"$\frac{1}{2}$", "é", "数学", "x²", "🙂", "да", "Add\n  it")


def step(text: str, finish: Finish = Finish.STEP) -> Step:
    return Step(text, (), finish)


def random_response(dice: random.Random) -> list[Step]:
    """One to eight steps, the first perhaps behind empty lines, and a last one that is cut short, whole or blank."""
    texts = [" ".join(dice.choices(WORDS, k=dice.randint(1, 6))) + DELIMITER for _ in range(dice.randint(1, 8))]
    texts[0] = dice.choice(["", "\n", DELIMITER]) + texts[0]
    return [*map(step, texts), step(dice.choice(["", " ", "So 4", "The answer is 90."]), Finish.END)]


def lines(number: int) -> list[Step]:
    return [step(f"{index} + 1 = {index + 1}{DELIMITER}") for index in range(number)]


class FormatContract(VerifierContract, ScoresOverHTTP):
    @pytest.fixture
    def subject(self, published: RunningVerifier) -> RunningVerifier:
        return published

    @pytest.fixture
    def reference(self, plain: Reference) -> Reference:
        return plain

    @pytest.fixture
    def steps(self) -> list[Step]:
        return steps_of(lambda text: ())

    async def test_100_random_responses_get_the_scores_of_plain_transformers(
        self, subject: RunningVerifier, reference: Reference
    ) -> None:
        """The first steps of each were judged before, the rest is judged now."""

        async def judge(seed: int) -> None:
            dice = random.Random(seed)
            problem, response = Problem(f"What is {seed} + 1? 数"), random_response(dice)
            steps, expected = visible(response), reference(problem.text, text_of(response))
            num_read = dice.randrange(len(steps))
            scores = await subject.score(problem, steps[:num_read], steps[num_read:], Meter())
            assert scores == pytest.approx(expected[num_read:], abs=TOLERANCE)

        await asyncio.gather(*map(judge, range(100)))

    @pytest.mark.parametrize("rule", RULES, ids=str)
    async def test_steps_by_other_rules_get_the_scores_of_plain_transformers(
        self, subject: RunningVerifier, reference: Reference, prompts: PromptBuilder, rule: StepRule
    ) -> None:
        """Such steps begin and end within lines and words; the reference finds them by a blank line after each."""
        tokenizer, problem = prompts.tokenizer, Problem("What is 17 + 28?")
        token_ids = [*tokenizer.encode(MANY_STEPS), *tokenizer.encode("\n")]
        steps = visible(StepSplitter(tokenizer, (), rule).feed(token_ids, Finish.END))
        expected = reference(problem.text, DELIMITER.join(each.text for each in steps))
        assert len(expected) == len(steps) > 2
        scores = await subject.score(problem, (), steps[:1], Meter())
        assert scores + await subject.score(problem, steps[:1], steps[1:], Meter()) == pytest.approx(
            expected, abs=TOLERANCE
        )

    async def test_a_step_with_blank_lines_in_it_is_one_step(self, subject: RunningVerifier) -> None:
        inner = [step("a\n\n```\nb = 1\n\nc = 2\n```\n"), step("\\[\n1\n\n+ 2\n\\]"), step("3")]
        scores = await subject.score(LONG, (), inner, Meter())
        assert len(scores) == 3
        assert (await subject.score(LONG, inner[:2], inner[2:], Meter()))[0] == pytest.approx(scores[2], abs=TOLERANCE)

    @pytest.mark.parametrize("number", [1, 40])
    async def test_one_step_and_forty_get_the_scores_of_plain_transformers(
        self, subject: RunningVerifier, reference: Reference, number: int
    ) -> None:
        expected = reference(LONG.text, text_of(lines(number)))
        assert len(expected) == number
        assert await subject.score(LONG, (), lines(number), Meter()) == pytest.approx(expected, abs=TOLERANCE)

    async def test_the_checkpoint_would_show_a_wrong_score(self, reference: Reference) -> None:
        expected = reference(LONG.text, text_of(lines(40)))
        assert max(expected) - min(expected) > 0.1

    async def test_a_new_step_costs_its_own_tokens_and_at_most_a_block(self, subject: RunningVerifier) -> None:
        before, after, problem = Meter(), Meter(), Problem(LONG.text + " Quickly.")
        await subject.score(problem, (), lines(9), before)
        await subject.score(problem, lines(9), lines(10)[9:], after)
        assert after.verifier_cached_tokens > LARGE_BLOCK
        assert after.verifier_tokens < NEW_LINE + BLOCK

    async def test_a_response_longer_than_the_context_is_refused(self, subject: RunningVerifier) -> None:
        with pytest.raises(ContextOverflowError, match=r"at most \d+ do"):
            await subject.score(LONG, lines(2), [step("1 2 " * 1024)], Meter())
