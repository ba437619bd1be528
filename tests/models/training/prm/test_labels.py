"""Label files: torn ends, foreign lines, and what the reward model learns of a line."""

import json
import re
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from models.checkpoints.prompt import PromptBuilder
from models.labels.formats import FORMATS
from models.labels.response import LabelledResponse
from models.training.demo.tasks.solution import solve
from models.training.demo.tasks.stream import held_out_tasks
from models.training.documents import collate
from models.training.prm.labels import LabelFile, LabelReader, LabelsError, is_held_out

STEPS = ("## Step 1: Add\n17 + 28 = 45, so 45 * 3\n\n", "Therefore, the final answer is: $\\boxed{135}$.")


@pytest.fixture
def response(prompts: PromptBuilder) -> LabelledResponse:
    ids = [prompts.tokenizer.encode(step) for step in STEPS]
    end = prompts.tokenizer.vocabulary["<|endoftext|>"]
    return LabelledResponse("Compute (17 + 28) * 3.", "135", STEPS, (ids[0], (*ids[1], end)), (0.75, 1.0), True)


@pytest.fixture
def reader(prompts: PromptBuilder) -> LabelReader:
    return LabelReader(prompts, num_tokens=len(prompts.tokenizer.vocabulary), max_tokens=200)


def lines(*responses: LabelledResponse) -> str:
    return "".join(json.dumps(asdict(each)) + "\n" for each in responses)


def test_what_is_appended_is_read_again(tmp_path: Path, response: LabelledResponse, reader: LabelReader) -> None:
    LabelFile(tmp_path / "new" / "labels.jsonl", 2).append([response, response])
    assert reader.read([tmp_path / "new" / "labels.jsonl"]) == [response, response]


@pytest.mark.parametrize("num_lines", [0, 0.3, 1, 1.7])
def test_a_torn_end_is_cut_off_and_its_problem_done_anew(
    tmp_path: Path, response: LabelledResponse, num_lines: float
) -> None:
    file, last = tmp_path / "labels.jsonl", replace(response, problem="Compute 1 + 1.")
    file.write_text(lines(response, response) + lines(last, last)[: int(num_lines * len(lines(last)))])
    labels = LabelFile(file, 2)
    assert labels.problems == {response.problem}
    labels.append([last, last])
    assert file.read_text() == lines(response, response, last, last)


def test_a_file_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("dear diary\n")
    with pytest.raises(LabelsError, match=r"notes\.txt, line 1"):
        LabelFile(file, 2)
    assert file.read_text() == "dear diary\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [0.75]}, "must be of the same number"),
        ({"labels": [0.75, 1.5]}, "labels.1: Input should be less than or equal to 1"),
        ({"answer": 135}, "answer: Input should be a valid string"),
        ({"token_ids": [[5], [6]]}, "token_ids do not spell the steps"),
        ({"token_ids": [[5], [10_000]]}, "token_ids do not spell the steps"),
        ({"problem": "Add. " * 200}, "tokens do not fit: at most 200 do"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_and_left_out(
    tmp_path: Path, response: LabelledResponse, reader: LabelReader, change: dict[str, object], message: str
) -> None:
    bad = json.dumps(asdict(response) | change)
    (tmp_path / "labels.jsonl").write_text(lines(response) + bad + "\n" + lines(response)[:30])
    assert reader.read([tmp_path / "labels.jsonl"]) == [response]
    assert [line.split(":")[0].rsplit(" ", 1)[1] for line in reader.skipped] == ["2", "3"]
    assert message in reader.skipped[0]


def test_a_file_without_a_line_of_use_is_refused(tmp_path: Path, reader: LabelReader) -> None:
    (tmp_path / "labels.jsonl").write_text(json.dumps({"problem": "?", "steps": ["1"], "labels": []}) + "\n")
    with pytest.raises(
        LabelsError, match="line 1: Value error, steps, token_ids and labels must be of the same number"
    ):
        reader.read([tmp_path / "labels.jsonl"])


def test_a_file_of_another_kind_is_refused_with_what_is_allowed(tmp_path: Path, reader: LabelReader) -> None:
    (tmp_path / "labels.jsonl").write_text('{"question": "1 + 1", "answer": "2"}\n')
    with pytest.raises(
        LabelsError, match=r"its first row has question, answer; allowed are rows with: winnow \(labels"
    ):
        reader.read([tmp_path / "labels.jsonl"])


def test_texts_alone_become_the_tokens_that_the_policy_would_read(
    tmp_path: Path, response: LabelledResponse, reader: LabelReader
) -> None:
    texts = {"problem": response.problem, "steps": STEPS, "labels": response.labels}
    (tmp_path / "labels.jsonl").write_text(json.dumps(texts) + "\n")
    (found,) = reader.read([tmp_path / "labels.jsonl"])
    assert found == replace(response, answer=None)
    assert reader.document(found) == reader.document(response)


def test_a_step_is_cut_behind_the_token_that_completes_it(tmp_path: Path, reader: LabelReader) -> None:
    row = {"prompt": "?", "completions": ["Add", "up"], "labels": [True, False], "winnow": {"separator": ""}}
    (tmp_path / "labels.jsonl").write_text(json.dumps(row) + "\n")
    (found,) = reader.read([tmp_path / "labels.jsonl"])
    spelt = [reader._prompts.tokenizer.decode(step) for step in found.token_ids or ()]
    assert "".join(spelt) == "Addup"
    assert len(spelt) == 2


def test_a_step_without_a_token_of_its_own_is_named(tmp_path: Path, reader: LabelReader) -> None:
    row = {"prompt": "?", "completions": ["Step", *"Step"], "labels": [1] * 5, "winnow": {"separator": ""}}
    good = {"prompt": "?", "completions": ["Step"], "labels": [1]}
    (tmp_path / "labels.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(good) + "\n")
    assert len(reader.read([tmp_path / "labels.jsonl"])) == 1
    (fault,) = reader.skipped
    assert re.search(r"line 1: step \d has no token of its own in the policy's tokens$", fault)


def test_steps_that_are_not_labelled_are_context(
    tmp_path: Path, response: LabelledResponse, reader: LabelReader
) -> None:
    whole, half = reader.document(response), reader.document(replace(response, labels=(None, 1.0)))
    assert half.token_ids == whole.token_ids
    assert half.step_ends == whole.step_ends[1:]
    assert collate([half]).verdicts[0].ge(0).sum() == 2  # the last step, and the end of the sequence


def test_verdicts_stand_where_the_steps_end_and_at_the_end_of_the_sequence(
    prompts: PromptBuilder, response: LabelledResponse, reader: LabelReader
) -> None:
    batch = collate([reader.document(response)])
    tokens, places = prompts.tokenizer, (batch.verdicts[0] >= 0).nonzero()[:, 0].tolist()
    spelt = [tokens.decode([int(batch.token_ids[0, place])]) for place in places]
    assert spelt == ["\n\n", "}$.", ""]
    assert batch.verdicts[0, places].tolist() == [0.75, 1.0, 1.0]


def test_the_prompt_is_the_one_that_is_served(
    prompts: PromptBuilder, response: LabelledResponse, reader: LabelReader
) -> None:
    plain, told = reader.document(response), reader.document(replace(response, system_prompt="Be brief."))
    assert prompts.tokenizer.decode(plain.token_ids) == response.problem + "".join(STEPS)
    assert prompts.tokenizer.decode(told.token_ids).startswith("Be brief.")


def test_a_problem_is_held_out_by_its_text_alone() -> None:
    texts = [f"Compute {number} + 1." for number in range(8000)]
    held_out = [is_held_out(text, 0.2) for text in texts]
    assert held_out == [is_held_out(text, 0.2) for text in texts]
    assert sum(held_out) / 8000 == pytest.approx(0.2, abs=0.018)  # four standard errors


def test_what_the_demo_tasks_hold_out_is_split_too() -> None:
    from models.training.demo.tasks.stream import held_out_problems

    share = sum(is_held_out(task.problem, 0.5) for task in held_out_problems(0, 200)) / 200
    assert 0.35 < share < 0.65


def solutions(prompts: PromptBuilder) -> list[LabelledResponse]:
    """What the demo's learner writes, in the tokens that its policy learnt it in."""
    rng, tokenizer, found = Random(0), prompts.tokenizer, []
    for task in islice(held_out_tasks(0), 40):
        solution = solve(task.exercise, rng, is_careful=rng.random() < 0.5)
        ids = [tokenizer.encode(step) for step in solution.steps]
        ids[-1] = (*ids[-1], tokenizer.vocabulary["<|endoftext|>"])
        labels = tuple(map(float, solution.labels))
        found.append(LabelledResponse(task.problem, None, solution.steps, tuple(ids), labels, True, family=task.family))
    return found


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_learnt_is_the_same_by_way_of_every_format(tmp_path: Path, prompts: PromptBuilder, name: str) -> None:
    reader, direct = LabelReader(prompts, len(prompts.tokenizer.vocabulary), 512), solutions(prompts)
    rows = [row for response in direct for row in FORMATS[name].write([replace(response, token_ids=None)], 0.5)]
    (tmp_path / "labels.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    found = reader.read([tmp_path / "labels.jsonl"])
    assert [reader.document(each) for each in found] == [reader.document(each) for each in direct]
    assert [each.family for each in found] == [each.family for each in direct]
    assert reader.skipped == []
