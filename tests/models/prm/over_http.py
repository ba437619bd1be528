"""What every verifier that judges steps must do behind `POST /v1/steps/score`. A test class says which by `subject`."""

import random
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from models.checkpoints.prompt import PromptBuilder
from models.interfaces import Problem, Verdict, Verifier, verdict_of
from models.policy.engine_policy import EnginePolicy
from search.answers.pool import AnswerPool
from search.expander import Models
from server.app import create_app
from server.keys import Keyring
from server.settings import Settings
from tests.models.scripted import ScriptedEngine
from tests.server.conftest import serving

TOLERANCE = 1e-3
WORDS = ("17 + 28 = 45.", "2 * 3 = 7", "so", "- 3", r"$\frac{1}{2}$", "é", "数学", "x²", "🙂", "Add\n  it")
AT_ONCE: tuple[dict[str, Any], ...] = ({"strategy": "best_of_n"},)
BY_STEP: tuple[dict[str, Any], ...] = ({"strategy": "beam_search"},)


def random_text(dice: random.Random) -> str:
    steps = (" ".join(dice.choices(WORDS, k=dice.randint(1, 6))) for _ in range(dice.randint(1, 6)))
    return "\n\n".join(steps)


def writer(prompts: PromptBuilder, texts: Sequence[str]) -> EnginePolicy:
    """A policy that writes one of the texts to each of the problems, which are their numbers."""
    tokenizer = prompts.tokenizer
    known = [(prompts.build(Problem(str(number))), text) for number, text in enumerate(texts)]

    def script(token_ids: Sequence[int]) -> list[int]:
        prompt, text = next(each for each in known if tuple(token_ids[: len(each[0])]) == tuple(each[0]))
        return [*tokenizer.encode(text), tokenizer.end_id or 0][len(token_ids) - len(prompt) :]

    return EnginePolicy(ScriptedEngine(script), prompts)


async def judge(client: httpx.AsyncClient, number: int, response: str | list[str]) -> list[float]:
    body = {"problem": str(number), "responses": [response]}
    reply = (await client.post("/v1/steps/score", json=body)).raise_for_status().json()
    return [step["score"] for step in reply["responses"][0]["steps"]]


class ScoresOverHTTP:
    @pytest.mark.parametrize("search", [*AT_ONCE, *BY_STEP], ids=lambda search: str(search["strategy"]))
    async def test_scores_over_http_are_those_of_a_search(
        self, subject: Verifier, prompts: PromptBuilder, search: dict[str, Any]
    ) -> None:
        """Of responses that are judged at once, a verifier with one verdict a call judges the last step alone."""
        dice, has_one_verdict = random.Random(str(search)), verdict_of(subject) is Verdict.CALL
        texts = [random_text(dice) for _ in range(8)]
        settings, seen = Settings(), set()
        async with AnswerPool(num_workers=1) as reader:
            app = create_app(Models(writer(prompts, texts), subject, reader), (), settings, Keyring())
            async with serving(app, settings) as client:
                for number, text in enumerate(texts):
                    body = {"problem": str(number), "n": 1, "seed": 1} | search
                    reply = (await client.post("/solve", json=body)).raise_for_status().json()
                    assert reply["response"] == text
                    steps = reply["candidates"][0]["steps"]
                    first = len(steps) - 1 if has_one_verdict and search in AT_ONCE else 0
                    drawn = [step["score"] for step in steps[first:]]
                    for response in (text, [step["text"] for step in steps]):
                        scores = await judge(client, number, response)
                        assert scores[first:] == pytest.approx(drawn, abs=TOLERANCE)
                    seen |= set(drawn)
        assert len(seen) > 1
