"""One engine on SmolLM2-135M-Instruct for all tests, in float32: then greedy texts are those of plain transformers.

Its verifier is a seeded tiny reward model on the same tokenizer, in plain PyTorch: what it says means nothing, and is
known exactly.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from openai import AsyncOpenAI

from search.answers.pool import AnswerPool
from search.expander import Models
from server.settings import Settings
from tests.real.checkpoints import SMOLLM2
from tests.server.conftest import listening, openai_client

if TYPE_CHECKING:
    from models.policy.engine_policy import EnginePolicy
    from models.prm.reward_model import RewardModel

NAME = SMOLLM2.name
CONTEXT = 8192


def checkpoint(path: Path, target: str = "make real") -> Path:
    """Return a checkpoint that `make real` has made; skip the test where it has not."""
    if not path.exists():
        pytest.skip(f"{path.name} is not there; {target} makes it")
    return path


@dataclass(frozen=True)
class Transformers:
    """The same model in plain transformers."""

    model: Any
    tokenizer: Any

    def prompt(self, *messages: tuple[str, str]) -> list[int]:
        """Ids of a chat up to where the assistant speaks next."""
        chat = [{"role": role, "content": content} for role, content in messages]
        return list(self.tokenizer.apply_chat_template(chat, add_generation_prompt=True)["input_ids"])

    def greedy(self, prompt: list[int], num_tokens: int) -> list[int]:
        import torch

        ids = torch.tensor([prompt])
        out = self.model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=num_tokens, do_sample=False)
        return list(out[0, len(prompt) :].tolist())


@pytest.fixture(scope="session")
def transformers(smollm2: EnginePolicy) -> Transformers:  # behind the engine, which is forked
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = checkpoint(SMOLLM2.path)
    model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    return Transformers(model, AutoTokenizer.from_pretrained(path))


@pytest.fixture(scope="session")
async def smollm2() -> AsyncIterator[EnginePolicy]:
    path = checkpoint(SMOLLM2.path)
    from models.checkpoints.prompt import PromptBuilder
    from models.checkpoints.tokenizer import ChatTokenizer
    from models.policy.engine_policy import open_policy
    from models.vllm.settings import EngineSettings

    settings = EngineSettings(path, "smollm2", dtype="float32")
    async with open_policy(settings, PromptBuilder(ChatTokenizer(path))) as policy:
        yield policy


@pytest.fixture(scope="session")
def reward_model() -> RewardModel:
    import torch
    from transformers import LlamaConfig

    from models.prm.reward_model import RewardModel

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49_152,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=CONTEXT,
        initializer_range=0.5,
    )
    config.scorer_hidden = 16  # ours
    return RewardModel(config).eval()


@pytest.fixture(scope="session")
async def client(smollm2: EnginePolicy, reward_model: RewardModel) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service of the policy and the verifier."""
    from concurrent.futures import ThreadPoolExecutor

    from models.prm.torch_verifier import TorchVerifier
    from models.vllm.handlers import OpenAIHandlers

    plain = OpenAIHandlers(smollm2.engine, smollm2.prompts.tokenizer, NAME)
    settings = Settings(policy_model=str(SMOLLM2.path), verifier_format="torch")
    with ThreadPoolExecutor(1) as worker:
        verifier = TorchVerifier(reward_model, smollm2.prompts, CONTEXT, worker)
        async with AnswerPool(num_workers=1) as reader:
            models = Models(smollm2, verifier, reader)
            async with listening(models, smollm2.engine, settings=settings, plain=plain) as client:
                yield client
    await plain.stop()


@pytest.fixture(scope="session")
async def openai(client: httpx.AsyncClient) -> AsyncIterator[AsyncOpenAI]:
    async with openai_client(client) as openai:
        yield openai
