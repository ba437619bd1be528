"""Documents and batches: where steps end, what is learnt where."""

from random import Random

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from models.training.demo.documents import encode_solution, judged_document
from models.training.demo.samples import judge_sample
from models.training.demo.tasks.chain import Chain
from models.training.demo.tasks.solution import Solution, solve
from models.training.demo.tasks.stream import Task
from models.training.demo.tokenizer import train_tokenizer
from models.training.documents import (
    IGNORED,
    Batches,
    Document,
    collate,
    encode_prompt,
)

CHAIN = Chain("2 + 3 * 4")


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(["## Step 1: Add\n17 + 28 = 45, so 45 * 3\n\n"] * 20)


def test_steps_end_at_their_delimiters_and_the_conclusion_before_the_end(tokenizer: PreTrainedTokenizerFast) -> None:
    document = encode_solution(tokenizer, encode_prompt(tokenizer, "Hi"), Solution(("a\n\n", "b"), (True, False)))
    ends = [document.token_ids[end] for end in document.step_ends]
    assert [tokenizer.decode([end]) for end in ends] == ["\n\n", "b"]
    assert document.token_ids[-1] == tokenizer.eos_token_id


def test_a_sample_is_cut_like_a_written_solution(tokenizer: PreTrainedTokenizerFast) -> None:
    solution = solve(CHAIN, Random(0), is_careful=True)
    prompt = encode_prompt(tokenizer, CHAIN.problem)
    written = encode_solution(tokenizer, prompt, solution)
    sample = judge_sample(tokenizer, Task(CHAIN, 1), prompt, written.token_ids[len(prompt) :])
    assert sample.document == written
    assert sample.is_right


def test_a_truncated_sample_is_not_right(tokenizer: PreTrainedTokenizerFast) -> None:
    prompt = encode_prompt(tokenizer, CHAIN.problem)
    response = tuple(tokenizer.encode("## Step 1: Multiply\n3 * 4 = 12, so 2 + 12\n\n"))
    sample = judge_sample(tokenizer, Task(CHAIN, 1), prompt, response)
    assert sample.document.labels == (True,)
    assert not sample.is_right


def test_verdicts_stand_at_step_ends_and_predictions_in_the_response() -> None:
    document = Document(
        token_ids=(7, 8, 1, 2, 3, 4, 5, 0), num_prompt_tokens=2, step_ends=(3, 5, 6), labels=(True, False, False)
    )
    batch = collate([document])
    assert batch.verdicts.tolist() == [[IGNORED, IGNORED, IGNORED, 1, IGNORED, 0, 0, 0]]
    assert batch.next_tokens.tolist() == [[IGNORED, 1, 2, 3, 4, 5, 0, IGNORED]]
    assert batch.is_first.nonzero()[:, 1].tolist() == [3, 5]


def test_a_soft_label_is_an_error_below_one_half() -> None:
    document = Document((7, 1, 2, 3, 4), num_prompt_tokens=1, step_ends=(1, 2, 3, 4), labels=(0.9, 0.5, 0.4, 0.6))
    batch = collate([document])
    assert batch.verdicts[0, 1:].tolist() == pytest.approx([0.9, 0.5, 0.4, 0.6])
    assert batch.is_first.tolist() == [[False, True, True, True, False]]


def test_a_batch_depends_on_seed_and_step_alone(tokenizer: PreTrainedTokenizerFast) -> None:
    batches = [Batches(lambda rng, step: judged_document(tokenizer, rng), 8, 2, 10, "seed") for _ in range(2)]
    first, again, other = batches[0][3], batches[1][3], batches[0][4]
    assert all(torch.equal(one.token_ids, two.token_ids) for one, two in zip(first, again, strict=True))
    assert any(one.token_ids.shape != two.token_ids.shape for one, two in zip(first, other, strict=True))
