"""Qwen2.5-Math-PRM's format against plain transformers, as the model card has it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, Qwen2Model
from vllm import ModelRegistry

from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import CheckpointError
from models.interfaces import Problem
from models.prm import reasonflux
from models.prm.qwen_math import QwenMathPRM
from models.prm.reasonflux import ReasonFluxPRM
from models.prm.served import RunningVerifier
from models.vllm.plugin import register
from models.vllm.settings import EngineSettings
from tests.models.prm.checkpoints import save_qwen_math
from tests.models.prm.format_contract import FormatContract, Reference, step

SYSTEM = r"Please reason step by step, and put your final answer within \boxed{}."


@pytest.fixture(scope="module")
def format_name() -> str:
    return "qwen_math"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_qwen_math(tmp_path_factory.mktemp("qwen_math") / "model")


@pytest.fixture(scope="module")
def plain(checkpoint: Path) -> Reference:
    return plain_scores(checkpoint, [("system", SYSTEM)])


def plain_scores(checkpoint: Path, opening: list[tuple[str, str]]) -> Reference:
    """As the model cards of Qwen2.5-Math-PRM and ReasonFlux-PRM have it; they differ in what opens the chat."""
    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
    model: Any = Qwen2Model.from_pretrained(checkpoint)
    weights = {name: weight for file in checkpoint.glob("*.safetensors") for name, weight in load_file(file).items()}

    def scores(problem: str, response: str) -> list[float]:
        parts = [part.strip() for part in response.split("\n\n") if part.strip()]
        answer = "<extra_0>".join(parts) + "<extra_0>"
        chat = [*opening, ("user", problem), ("assistant", answer)]
        text = tokenizer.apply_chat_template([{"role": role, "content": said} for role, said in chat], tokenize=False)
        ids = torch.tensor([tokenizer.encode(text)])
        with torch.no_grad():
            hidden = model(ids).last_hidden_state[0]
        inner = (hidden @ weights["score.0.weight"].T + weights["score.0.bias"]).relu()
        logits = inner @ weights["score.2.weight"].T + weights["score.2.bias"]
        found: list[float] = logits.softmax(-1)[ids[0] == tokenizer.convert_tokens_to_ids("<extra_0>"), 1].tolist()
        return found

    return scores


class TestQwenMathPRM(FormatContract):
    pass


class TestReasonFluxPRM(FormatContract):
    """The same architecture, and so the same engine."""

    @pytest.fixture
    def subject(self, published: QwenMathPRM, checkpoint: Path) -> RunningVerifier:
        return ReasonFluxPRM(published.engine, ChatTokenizer(checkpoint))

    @pytest.fixture
    def reference(self, checkpoint: Path) -> Reference:
        return plain_scores(checkpoint, [])


def test_reasonflux_is_read_with_what_its_template_says_before_the_problem(checkpoint: Path) -> None:
    served = reasonflux.read(EngineSettings(checkpoint, "verifier"), PromptBuilder(ChatTokenizer(checkpoint)))
    assert served.runner == "pooling"
    (checkpoint.parent / "small").mkdir()
    for file in checkpoint.iterdir():
        (checkpoint.parent / "small" / file.name).write_bytes(file.read_bytes())
    (checkpoint.parent / "small" / "reward_head.pt").touch()
    with pytest.raises(CheckpointError, match=r"reward_head\.pt: this is the head of ReasonFlux-PRM-1\.5B"):
        reasonflux.read(
            EngineSettings(checkpoint.parent / "small", "verifier"), PromptBuilder(ChatTokenizer(checkpoint))
        )


def test_a_text_that_spells_the_separator_makes_no_step(published: QwenMathPRM, checkpoint: Path) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
    layout = published.lay_out(Problem("What is <extra_0>?"), [step("a <extra_0> b\n\n"), step("<|im_end|>")])
    separator = tokenizer.convert_tokens_to_ids("<extra_0>")
    assert [index for index, token_id in enumerate(layout.token_ids) if token_id == separator] == list(layout.ends)
    pieces = tokenizer.decode(layout.token_ids).split("<|im_start|>")
    assert pieces[2:] == [
        "user\nWhat is <extra_0>?<|im_end|>\n",
        "assistant\na <extra_0> b<extra_0><|im_end|><extra_0>",
    ]


def test_vllms_own_class_for_the_architecture_stays(published: QwenMathPRM) -> None:
    register()
    served: Any = ModelRegistry.models["Qwen2ForProcessRewardModel"]
    assert served.module_name == "vllm.model_executor.models.qwen2_rm"


def test_the_policys_system_prompt_is_not_the_verifiers(published: QwenMathPRM) -> None:
    plain, briefly = Problem("1 + 1?"), Problem("1 + 1?", "Be brief.")
    assert published.lay_out(briefly, [step("2")]) == published.lay_out(plain, [step("2")])
