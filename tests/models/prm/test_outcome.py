"""Outcome reward models against plain transformers: another rendering of the chat, another forward."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForSequenceClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForSequenceClassification,
)

from models.checkpoints.prompt import PromptBuilder
from models.errors import CheckpointError, ContextOverflowError
from models.interfaces import Finish, Meter, Problem, Step, Verifier
from models.prm.formats import open_verifier
from models.prm.outcome import OutcomeVerifier, check_classifier
from models.vllm.settings import EngineSettings
from tests.models.problems import PROBLEM
from tests.models.tiny import NUM_TOKENS, tiny_tokenizer
from tests.models.verifier_contract import TEXTS, VerifierContract, steps_of

SIZES: dict[str, Any] = {
    "vocab_size": NUM_TOKENS,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 512,
}
WORDS = (*TEXTS, "so 5\n\n", "naïve 日本語 🎉\n\n", "<|eot_id|>\n\n", "  then\n\n\n", "x\n\n")


def save_classifier(directory: Path, config: PretrainedConfig, kind: Any) -> Path:
    torch.manual_seed(0)
    model = kind(config)
    torch.nn.init.normal_(model.score.weight, std=0.5)  # scores that spread, so that a wrong one shows
    model.save_pretrained(directory)
    tiny_tokenizer().save_pretrained(directory)
    return directory


@pytest.fixture(scope="module")
def one_label(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("outcome") / "llama"
    return save_classifier(directory, LlamaConfig(**SIZES | {"num_labels": 1}), LlamaForSequenceClassification)


@pytest.fixture(scope="module")
def two_labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("outcome") / "qwen2"
    return save_classifier(directory, Qwen2Config(**SIZES | {"num_labels": 2}), Qwen2ForSequenceClassification)


@pytest.fixture(scope="module", params=["one_label", "two_labels"])
def checkpoint(request: pytest.FixtureRequest) -> Path:
    directory: Path = request.getfixturevalue(request.param)
    return directory


@pytest.fixture(scope="module")
async def outcome_engine(checkpoint: Path, prompts: PromptBuilder) -> AsyncIterator[OutcomeVerifier]:
    settings = EngineSettings(checkpoint, "outcome", dtype="float32", kv_cache_bytes=64 << 20)
    async with open_verifier("outcome", settings, prompts) as verifier:
        assert isinstance(verifier, OutcomeVerifier)
        yield verifier


def random_responses(number: int) -> list[list[Step]]:
    dice = random.Random(0)
    texts = [dice.choices(WORDS, k=dice.randint(1, 8)) for _ in range(number)]
    return [[Step(text, tuple(text.encode()), Finish.STEP) for text in each] for each in texts]


def reference_scores(directory: Path, problem: Problem, responses: list[list[Step]]) -> list[list[float]]:
    """The whole chat for every prefix, one forward each, by transformers alone."""
    # by its class: for a Qwen2, transformers 5 would cut texts as Qwen2 does, whatever tokenizer.json says
    tokenizer: Any = PreTrainedTokenizerFast.from_pretrained(directory)
    model = AutoModelForSequenceClassification.from_pretrained(directory, dtype=torch.float32).eval()

    def score(text: str) -> float:
        chat = [{"role": "user", "content": problem.text}, {"role": "assistant", "content": text}]
        with torch.no_grad():
            logits = model(tokenizer.apply_chat_template(chat, return_tensors="pt")["input_ids"]).logits[0]
        return float(logits.sigmoid()[0] if len(logits) == 1 else logits.softmax(-1)[1])

    return [[score("".join(s.text for s in steps[: end + 1])) for end in range(len(steps))] for steps in responses]


class TestOutcomeVerifier(VerifierContract):
    @pytest.fixture
    def subject(self, outcome_engine: OutcomeVerifier) -> Verifier:
        return outcome_engine

    @pytest.fixture
    def steps(self) -> list[Step]:
        return steps_of(lambda text: tuple(text.encode()))


async def test_scores_are_those_of_plain_transformers(outcome_engine: OutcomeVerifier, checkpoint: Path) -> None:
    responses = [
        steps for steps in random_responses(100) if all("<|" not in step.text for step in steps)
    ]  # plain transformers takes a user's special tokens at their word
    expected = reference_scores(checkpoint, PROBLEM, responses)
    served = await asyncio.gather(*(outcome_engine.score(PROBLEM, (), steps, Meter()) for steps in responses))
    for scores, wanted in zip(served, expected, strict=True):
        assert scores == pytest.approx(wanted, abs=1e-2)
    last = [wanted[-1] for wanted in expected]
    assert len(responses) > 30
    assert max(last) - min(last) > 0.1


async def test_a_new_step_reads_the_chat_before_it_from_the_cache(outcome_engine: OutcomeVerifier) -> None:
    steps, meter = steps_of(lambda text: tuple(text.encode())), Meter()
    await outcome_engine.score(PROBLEM, (), steps[:2], Meter())
    await outcome_engine.score(PROBLEM, steps[:2], steps[2:], meter)
    assert meter.verifier_cached_tokens > meter.verifier_tokens


async def test_text_that_spells_the_end_of_the_turn_ends_nothing(outcome_engine: OutcomeVerifier) -> None:
    spelt, told = (Step(text, (), Finish.END) for text in ("1<|eot_id|>", "1"))
    scores = [(await outcome_engine.score(PROBLEM, (), [step], Meter()))[0] for step in (spelt, told)]
    assert abs(scores[0] - scores[1]) > 1e-3


async def test_a_response_longer_than_the_context_is_refused(outcome_engine: OutcomeVerifier) -> None:
    with pytest.raises(ContextOverflowError, match="at most 512"):
        await outcome_engine.score(PROBLEM, (), [Step("1 2 " * 512, (), Finish.STEP)], Meter())


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("architectures", ["LlamaForCausalLM"], r"config\.json: architectures"),
        ("id2label", {"0": "a", "1": "b", "2": "c"}, r"config\.json: id2label has 3 labels, not 1 or 2"),
        ("id2label", {"0": "a", "1": "b"}, r"score\.weight is \(1, 64\), not \(2, 64\)"),
        ("hidden_size", None, r"config\.json: hidden_size is None"),
    ],
)
def test_another_kind_of_checkpoint_is_refused(
    field: str, value: object, message: str, one_label: Path, tmp_path: Path
) -> None:
    fields = json.loads((one_label / "config.json").read_text()) | {field: value}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    (tmp_path / "model.safetensors").write_bytes((one_label / "model.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match=message):
        check_classifier(tmp_path)


@pytest.mark.parametrize("damage", ["missing", "NaN"])
def test_a_broken_head_is_named(damage: str, one_label: Path, tmp_path: Path) -> None:
    weights = load_file(one_label / "model.safetensors")
    head = weights.pop("score.weight")
    left = {"score.weight": head * torch.nan} if damage == "NaN" else {}
    save_file(weights | left, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((one_label / "config.json").read_bytes())
    with pytest.raises(CheckpointError, match=rf"score\.weight.*{damage}"):
        check_classifier(tmp_path)
