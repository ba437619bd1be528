"""Another architecture: Gemma 3 270M, a base model with sliding windows, with the template of its chat models.

`make real-all` makes it; it is no part of CI, where these tests are skipped.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from models.errors import CheckpointError
from models.generation import Generation
from models.interfaces import Problem
from tests.models.problems import ids_of, respond, sampling
from tests.real.checkpoints import GEMMA3, tokenizer_path
from tests.real.conftest import checkpoint

if TYPE_CHECKING:
    from models.policy.engine_policy import EnginePolicy

WINDOW = 512
PROBLEM = Problem("What is the capital of France?")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base model with a template: what models/bringing-models.md says to do."""
    base, chat = checkpoint(GEMMA3.path, "make real-all"), checkpoint(tokenizer_path("gemma3"))
    folder = tmp_path_factory.mktemp("gemma") / "gemma-3-270m"
    folder.mkdir()
    for file in base.iterdir():
        (folder / file.name).symlink_to(file)
    template = json.loads((chat / "tokenizer_config.json").read_bytes())["chat_template"]
    (folder / "chat_template.jinja").write_text(template)
    return folder


@pytest.fixture(scope="module")
async def gemma3(folder: Path) -> AsyncIterator[EnginePolicy]:
    from models.checkpoints.prompt import PromptBuilder
    from models.checkpoints.tokenizer import ChatTokenizer
    from models.policy.engine_policy import open_policy
    from models.vllm.settings import EngineSettings

    settings = EngineSettings(folder, "gemma3", dtype="float32", max_model_len=2048)
    async with open_policy(settings, PromptBuilder(ChatTokenizer(folder))) as policy:
        yield policy


@pytest.fixture(scope="module")
def reference(gemma3: EnginePolicy, folder: Path) -> Any:  # behind the engine, which is forked
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def greedy(reference: Any, prompt: list[int], num_tokens: int) -> list[int]:
    ids = torch.tensor([prompt])
    out = reference.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=num_tokens, do_sample=False)
    return list(out[0, len(prompt) :].tolist())


def test_the_base_model_is_told_that_it_has_no_template() -> None:
    from models.checkpoints.tokenizer import ChatTokenizer

    with pytest.raises(CheckpointError, match="base model"):
        ChatTokenizer(checkpoint(GEMMA3.path, "make real-all"))


async def test_greedy_texts_are_those_of_transformers(gemma3: EnginePolicy, reference: Any) -> None:
    steps = await respond(gemma3, sampling(None, temperature=0, max_tokens=16), PROBLEM)
    assert ids_of(steps) == greedy(reference, list(gemma3.prompts.build(PROBLEM)), 16)


async def test_a_prompt_longer_than_the_window_is_read_as_transformers_reads_it(
    gemma3: EnginePolicy, reference: Any
) -> None:
    prompt = list(gemma3.prompts.build(Problem("one two three four five " * 180 + PROBLEM.text)))
    assert len(prompt) > WINDOW
    output = await gemma3.engine.complete(prompt, Generation(max_tokens=8, temperature=0))
    assert list(output.token_ids) == greedy(reference, prompt, 8)


def test_a_prompt_begins_once(gemma3: EnginePolicy) -> None:
    begin = gemma3.prompts.tokenizer.id_of_token("<bos>")
    assert gemma3.prompts.build(PROBLEM).count(begin) == 1
