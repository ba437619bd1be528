"""Skywork-Reward-V2 against plain transformers, in the chat of Qwen3: an empty block of thoughts before the answer."""

import asyncio
from pathlib import Path

import pytest
from transformers import Qwen3Config, Qwen3ForSequenceClassification

from models.checkpoints.prompt import PromptBuilder
from models.errors import CheckpointError
from models.interfaces import Meter
from models.prm.outcome import OutcomeVerifier
from models.prm.skywork_reward import read
from models.vllm.settings import EngineSettings
from tests.models.damage import config
from tests.models.prm.test_outcome import SIZES, random_responses, reference_scores, save_classifier
from tests.models.problems import PROBLEM
from tests.models.tiny import CHAT_TEMPLATE

BLOCK = "<think>\n\n</think>\n\n"
THOUGHTS = f"'<|end_header_id|>\n\n' + ('{BLOCK}' if loop.last and message.role == 'assistant' else '') +"
TEMPLATE = CHAT_TEMPLATE.replace("'<|end_header_id|>\n\n' +", THOUGHTS, 1)


@pytest.fixture(scope="module")
def format_name() -> str:
    return "skywork_reward"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sizes = SIZES | {"num_labels": 1, "head_dim": 32}
    directory = save_classifier(
        tmp_path_factory.mktemp("skywork") / "qwen3", Qwen3Config(**sizes), Qwen3ForSequenceClassification
    )
    (directory / "chat_template.jinja").write_text(TEMPLATE)
    return directory


async def test_100_responses_get_the_scores_of_plain_transformers(published: OutcomeVerifier, checkpoint: Path) -> None:
    """The first steps of each were judged before, the rest is judged now."""
    responses = [steps for steps in random_responses(150) if all("<|" not in step.text for step in steps)]
    expected = reference_scores(checkpoint, PROBLEM, responses)
    before = await asyncio.gather(*(published.score(PROBLEM, (), steps[:1], Meter()) for steps in responses))
    served = await asyncio.gather(
        *(published.score(PROBLEM, steps[:1], steps[1:], Meter()) for steps in responses if steps[1:])
    )
    assert [scores[0] for scores in before] == pytest.approx([wanted[0] for wanted in expected], abs=1e-4)
    for scores, wanted in zip(served, [wanted[1:] for wanted in expected if wanted[1:]], strict=True):
        assert scores == pytest.approx(wanted, abs=1e-4)
    last = [wanted[-1] for wanted in expected]
    assert max(last) - min(last) > 0.1


def test_the_template_is_the_one_that_the_card_applies(published: OutcomeVerifier) -> None:
    tokenizer = published._tokenizer
    chat = tokenizer.encode_chat([("user", "1?"), ("assistant", "1")])
    assert "<think>\n\n</think>\n\n1" in tokenizer.decode(chat)


def test_a_classifier_with_two_labels_is_sent_to_the_other_format(
    checkpoint: Path, prompts: PromptBuilder, tmp_path: Path
) -> None:
    for file in checkpoint.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config(id2label={"0": "wrong", "1": "right"})(tmp_path)
    settings = EngineSettings(tmp_path, "verifier")
    with pytest.raises(CheckpointError, match=r"score\.weight is \(1, 64\), not \(2, 64\)"):
        read(settings, prompts)
