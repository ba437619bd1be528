"""The thinker: how it is asked, what it learns from, and how its answers are read."""

import re
from collections.abc import Sequence
from fractions import Fraction
from random import Random
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerBase

from models.training.demo.budgets import Thinker, vote
from models.training.demo.pair import make_tokenizer
from models.training.demo.tasks.chain import Chain
from models.training.demo.tasks.stream import Task
from models.training.demo.thinker import CUT_SHARE, WITHOUT_SHARE, thinker_document
from models.training.demo.tokenizer import THINKING_MARKS, thinking_tokenizer
from models.training.documents import Document

TASK = Task(Chain("3 + 4"), 1)
ANSWER = "\n\n## Step 1: Add\n3 + 4 = 7, so 7\n\nTherefore, the final answer is: $\\boxed{%s}$."
START, END = THINKING_MARKS


@pytest.fixture(scope="module")
def pairs() -> PreTrainedTokenizerBase:
    return make_tokenizer(0)


@pytest.fixture(scope="module")
def tokenizer(pairs: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    return thinking_tokenizer(pairs)


@pytest.fixture(scope="module")
def documents(tokenizer: PreTrainedTokenizerBase) -> list[tuple[str, str]]:
    """Prompts and responses."""
    rng = Random(0)
    drawn = [thinker_document(tokenizer, rng) for _ in range(400)]
    return [split(tokenizer, document) for document in drawn]


def split(tokenizer: PreTrainedTokenizerBase, document: Document) -> tuple[str, str]:
    ids, length = list(document.token_ids), document.num_prompt_tokens
    return str(tokenizer.decode(ids[:length])), str(tokenizer.decode(ids[length:]))


def prompt(tokenizer: PreTrainedTokenizerBase, *messages: tuple[str, str], **variables: Any) -> str:
    chat = [{"role": role, "content": content} for role, content in messages]
    return str(tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False, **variables))


@pytest.mark.parametrize("mark", THINKING_MARKS)
def test_marks_are_one_token_each_and_survive_decoding(tokenizer: PreTrainedTokenizerBase, mark: str) -> None:
    assert len(tokenizer.encode(mark, add_special_tokens=False)) == 1
    ids = tokenizer.encode(f"a{mark}b", add_special_tokens=False)
    assert tokenizer.decode(ids, skip_special_tokens=True) == f"a{mark}b"


def test_every_other_token_is_that_of_the_pair(
    tokenizer: PreTrainedTokenizerBase, pairs: PreTrainedTokenizerBase
) -> None:
    others = {token: number for token, number in tokenizer.get_vocab().items() if token not in THINKING_MARKS}
    assert others == pairs.get_vocab()


def test_the_template_writes_an_empty_block_of_thoughts_where_they_are_off(tokenizer: PreTrainedTokenizerBase) -> None:
    asked = "<|user|>Hi<|assistant|>"
    assert prompt(tokenizer, ("user", "Hi")) == asked
    assert prompt(tokenizer, ("user", "Hi"), enable_thinking=True) == asked
    assert prompt(tokenizer, ("user", "Hi"), enable_thinking=False) == asked + f"{START}\n\n{END}\n\n"


def test_thoughts_of_earlier_turns_are_left_out(tokenizer: PreTrainedTokenizerBase) -> None:
    turns = (("user", "Hi"), ("assistant", f"{START}\nHm.\n{END}\n\nHello"), ("user", "Bye"))
    assert prompt(tokenizer, *turns) == "<|user|>Hi<|assistant|>Hello<|endoftext|><|user|>Bye<|assistant|>"


def test_some_documents_think_some_are_cut_and_some_do_not_think(documents: list[tuple[str, str]]) -> None:
    whole = [response for asked, response in documents if asked.endswith("<|assistant|>")]
    without = [response for asked, response in documents if asked.endswith(f"{START}\n\n{END}\n\n")]
    cut = [response for asked, response in documents if asked.endswith(END)]
    assert len(whole) + len(without) + len(cut) == len(documents)
    assert len(cut) / len(documents) == pytest.approx(CUT_SHARE, abs=0.07)  # three standard errors
    assert len(without) / len(documents) == pytest.approx(WITHOUT_SHARE, abs=0.055)
    assert all(response.startswith(f"{START}\n") and response.count(f"\n{END}\n\n") == 1 for response in whole)
    assert all(response.startswith("\n\n") for response in cut)
    assert not any(mark in response for mark in THINKING_MARKS for response in [*without, *cut])


def test_every_answer_ends_in_a_box_and_the_end_of_sequence(documents: list[tuple[str, str]]) -> None:
    answers = [response.rpartition(END)[2] for _, response in documents]
    assert all("Therefore, the final answer is: $\\boxed{" in answer for answer in answers)
    assert all(answer.endswith("}$.<|endoftext|>") for answer in answers)


class Script:
    """Generates what is scripted, and keeps what it was asked."""

    def __init__(self, *continuations: tuple[int, ...]) -> None:
        self.asked: list[tuple[list[list[int]], int, tuple[int, ...]]] = []
        self._continuations = continuations

    def __call__(
        self, prefixes: Sequence[Sequence[int]], seed: int, max_tokens: int = 0, stop: Sequence[int] = ()
    ) -> list[tuple[int, ...]]:
        self.asked.append(([list(prefix) for prefix in prefixes], max_tokens, tuple(stop)))
        return list(self._continuations)


def encode(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
    return tuple(tokenizer.encode(text, add_special_tokens=False))


def test_thoughts_end_before_their_mark_or_at_their_budget(tokenizer: PreTrainedTokenizerBase) -> None:
    script = Script(encode(tokenizer, f"\nSo it is 7.\n{END}"), encode(tokenizer, "\nSo"))
    thoughts = Thinker(tokenizer, script, [TASK, TASK]).think(32, seed=0)
    assert thoughts == [encode(tokenizer, "\nSo it is 7.\n"), encode(tokenizer, "\nSo")]
    ((prefixes, max_tokens, stop),) = script.asked
    assert (max_tokens, stop) == (32, encode(tokenizer, END))
    assert [tokenizer.decode(prefix) for prefix in prefixes] == 2 * [f"<|user|>Compute 3 + 4.<|assistant|>{START}"]


def test_an_answer_is_sampled_behind_the_end_mark_and_judged_without_thoughts(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    script = Script(encode(tokenizer, ANSWER % 7 + "<|endoftext|>"))
    (answered,) = Thinker(tokenizer, script, [TASK]).answer([encode(tokenizer, "\nIs it $\\boxed{8}$?")], seed=0)
    assert str(tokenizer.decode(script.asked[0][0][0])).endswith(f"{START}\nIs it $\\boxed{{8}}$?{END}")
    asked, answer = split(tokenizer, answered.document)
    assert (answered.value, asked) == (Fraction(7), "<|user|>Compute 3 + 4.<|assistant|>")
    assert answer == (ANSWER % 7).removeprefix("\n\n") + "<|endoftext|>"
    assert answered.document.step_ends == (len(answered.document.token_ids) - 2,)


@pytest.mark.parametrize("answer", [ANSWER % 7, "\n\nIt is 7.<|endoftext|>", f"{ANSWER % 7}\n\nOr 8?<|endoftext|>"])
def test_what_does_not_end_in_a_conclusion_states_no_answer(tokenizer: PreTrainedTokenizerBase, answer: str) -> None:
    (answered,) = Thinker(tokenizer, Script(encode(tokenizer, answer)), [TASK]).answer_at_once(seed=0)
    assert answered.value is None


def test_the_heaviest_value_wins_and_silence_has_no_vote() -> None:
    one, two = Fraction(1), Fraction(2)
    assert vote([None, None, one], [1, 1, 1]) == one
    assert vote([one, two, two], [1, 1, 1]) == two
    assert vote([one, two, two], [0.9, 0.4, 0.4]) == one
    assert vote([two, one], [1, 1]) == two
    assert vote([None], [1]) is None


def test_the_bundled_thinker_thinks_where_it_is_asked_to_and_answers_in_steps() -> None:
    tokenizer = AutoTokenizer.from_pretrained("models/demo/thinker", padding_side="left")
    model = LlamaForCausalLM.from_pretrained("models/demo/thinker", dtype=torch.float32)
    asked = ("user", "Compute 3 + 4 * 5.")
    chats = [prompt(tokenizer, asked, enable_thinking=is_on) for is_on in (True, False)]
    inputs = tokenizer(chats, padding=True, add_special_tokens=False, return_tensors="pt", return_token_type_ids=False)
    outputs = model.generate(**inputs, do_sample=False, max_new_tokens=250)  # type: ignore[misc]  # transformers' protocol
    thinking, plain = tokenizer.batch_decode(outputs[:, inputs.input_ids.shape[1] :], skip_special_tokens=True)
    thoughts, _, answer = thinking.partition(f"\n{END}\n\n")
    assert thoughts.startswith(f"{START}\n")
    assert re.search(r"(Check:|Is it so\?) (yes|no)\.\n\n", thoughts)
    for solution in (answer, plain):
        assert re.fullmatch(r"(## Step \d+: .+\n.+\n\n)+Therefore, the final answer is: .*}\$\.", solution)
