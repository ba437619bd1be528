"""Step labels as others publish them, read and written: each format as its own data set has it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.files import UnreadableFileError
from models.labels.formats import FORMATS, format_of, read_labels
from models.labels.response import LabelledResponse
from models.rows import MAX_LINE_BYTES

TRL: dict[str, Any] = {
    "prompt": "Which number is larger, 9.8 or 9.11?",
    "completions": ["The fractional part of 9.8 is 0.8.", "0.11 is greater than 0.8.", "Hence, 9.11 > 9.8."],
    "labels": [True, False, False],
}
SHEPHERD: dict[str, Any] = {
    "input": "Janet has 3 eggs. How many are left? Step 1: She eats 1. ки\nStep 2: 3 - 1 = 1. The answer is: 1 ки",
    "label": "Janet has 3 eggs. How many are left? Step 1: She eats 1. +\nStep 2: 3 - 1 = 1. The answer is: 1 -",
    "task": "GSM8K",
}
RLHFLOW: dict[str, Any] = {
    "conversations": [
        {"content": "What is 1 + 1? Step 1: Add them.", "role": "user"},
        {"content": "+", "role": "assistant"},
        {"content": "Step 2: It is 3.", "role": "user"},
        {"content": "-", "role": "assistant"},
    ]
}
PRM800K: dict[str, Any] = {
    "labeler": "340d89bc",
    "question": {"problem": "Compute 2 + 3 * 4.", "ground_truth_answer": "14"},
    "label": {
        "steps": [
            {
                "completions": [
                    {"text": "3 * 4 = 12.", "rating": 1, "flagged": None},
                    {"text": "2 + 3 = 5.", "rating": -1, "flagged": None},
                    {"text": "Let me see.", "rating": None, "flagged": None},
                ],
                "human_completion": None,
                "chosen_completion": 0,
            },
            {
                "completions": [{"text": "12 + 2 = 13.", "rating": -1, "flagged": False}],
                "human_completion": {"text": "12 + 2 = 14.", "rating": None, "source": "human", "flagged": None},
                "chosen_completion": None,
            },
            {
                "completions": [{"text": "So: # Answer\n\n14", "rating": 0, "flagged": False}],
                "human_completion": None,
                "chosen_completion": 0,
            },
        ],
        "total_time": 278270,
        "finish_reason": "solution",
    },
}
OWN: dict[str, Any] = {"problem": "1 + 1", "steps": ["It is\n\n", "2"], "labels": [0.75, 1]}
SAMPLES: dict[str, dict[str, Any]] = {
    "trl-stepwise": TRL,
    "math-shepherd": SHEPHERD,
    "rlhflow": RLHFLOW,
    "prm800k": PRM800K,
    "winnow": OWN,
}


def read(name: str, row: dict[str, Any]) -> list[LabelledResponse]:
    return FORMATS[name].read(row)


def shown(responses: Sequence[LabelledResponse]) -> list[tuple[str, tuple[str, ...], tuple[float | None, ...]]]:
    return [(each.problem, each.steps, each.labels) for each in responses]


def test_every_format_has_a_sample_here() -> None:
    assert SAMPLES.keys() == FORMATS.keys()


@pytest.mark.parametrize("name", SAMPLES)
def test_a_file_is_recognised_by_its_fields(tmp_path: Path, name: str) -> None:
    found = format_of(SAMPLES[name])
    assert found is FORMATS[name]
    (tmp_path / "labels").write_text(f"{json.dumps(SAMPLES[name])}\n")
    assert [each for _, each in read_labels(tmp_path / "labels")] == read(name, SAMPLES[name])


def test_stepwise_steps_are_paragraphs() -> None:
    first, second, third = TRL["completions"]
    assert shown(read("trl-stepwise", TRL)) == [
        (TRL["prompt"], (f"{first}\n\n", f"{second}\n\n", third), (1.0, 0.0, 0.0))
    ]


def test_the_problem_of_math_shepherd_ends_where_the_first_step_begins() -> None:
    steps = ("Step 1: She eats 1.\n\n", "Step 2: 3 - 1 = 1. The answer is: 1")
    assert shown(read("math-shepherd", SHEPHERD)) == [("Janet has 3 eggs. How many are left?", steps, (1.0, 0.0))]


def test_verdicts_of_rlhflow_are_the_assistants() -> None:
    steps = ("Step 1: Add them.\n\n", "Step 2: It is 3.")
    assert shown(read("rlhflow", RLHFLOW)) == [("What is 1 + 1?", steps, (1.0, 0.0))]


def test_prm800k_is_the_chosen_response_and_one_for_each_other_rated_completion() -> None:
    problem, first, second = "Compute 2 + 3 * 4.", "3 * 4 = 12.\n\n", "12 + 2 = 14.\n\n"
    found = read("prm800k", PRM800K)
    assert shown(found) == [
        (problem, (first, second, "So: # Answer\n\n14"), (1.0, 1.0, 1.0)),
        (problem, ("2 + 3 = 5.\n\n",), (0.0,)),
        (problem, (first, "12 + 2 = 13.\n\n"), (None, 0.0)),
    ]
    assert [each.is_complete for each in found] == [True, False, False]
    assert {each.answer for each in found} == {"14"}


def test_a_solution_that_was_given_up_is_no_whole_response() -> None:
    (step, *_), wrong = PRM800K["label"]["steps"], {"text": "2 + 3 = 5.", "rating": -1}
    steps = [step | {"completions": [wrong]}, {"completions": None, "human_completion": None}]
    (found,) = read("prm800k", PRM800K | {"label": {"steps": steps, "finish_reason": "found_error"}})
    assert shown([found]) == [("Compute 2 + 3 * 4.", ("2 + 3 = 5.\n\n",), (0.0,))]
    assert not found.is_complete


def test_a_chosen_end_that_nobody_rated_is_left_out() -> None:
    first, second, third = PRM800K["label"]["steps"]
    unrated = third | {"completions": [{"text": "14", "rating": None}]}
    found, *_ = read("prm800k", PRM800K | {"label": {"steps": [first, second, unrated], "finish_reason": "solution"}})
    assert found.labels == (1.0, 1.0)
    assert not found.is_complete


QUESTION = {"role": "user", "content": "? Step 1: a"}
BAD: list[tuple[str, dict[str, Any], str]] = [
    ("winnow", {"steps": ["a"]}, "must be of the same number"),
    ("winnow", {"labels": [0.5, 2]}, "labels.1: Input should be less than or equal to 1"),
    ("winnow", {"labels": [0.5, None]}, "the last step has no label"),
    ("winnow", {"token_ids": [[1]]}, "must be of the same number"),
    ("winnow", {"token_ids": [[1], []]}, "token_ids of a step are empty"),
    ("trl-stepwise", {"labels": [True]}, "3 completions, but 1 labels; allowed: one each"),
    ("trl-stepwise", {"completions": [], "labels": []}, "completions: List should have at least 1 item"),
    ("trl-stepwise", {"completions": ["a", " ", "b"]}, "step 2 is blank"),
    ("trl-stepwise", {"completions": "abc"}, "completions: Input should be a valid list"),
    ("trl-stepwise", {"prompt": "\n"}, "its problem is blank"),
    ("trl-stepwise", {"prompt": [{"role": "user", "content": "?"}]}, "prompt: Input should be a valid string"),
    ("trl-stepwise", {"labels": ["right", "wrong", "wrong"]}, "labels.0: Input should be a valid number"),
    ("trl-stepwise", {"winnow": {"is_complete": "perhaps"}}, "is_complete: Input should be a valid boolean"),
    ("math-shepherd", {"input": "no step"}, "no step ends with ки"),
    ("math-shepherd", {"input": SHEPHERD["input"] + " and so on"}, "the last step does not end with ки"),
    ("math-shepherd", {"label": SHEPHERD["input"]}, "with + or - for ки behind step 1"),
    ("math-shepherd", {"label": SHEPHERD["label"][:-1]}, "with + or - for ки behind step 2"),
    ("math-shepherd", {"label": 1}, "label: Input should be a valid string"),
    ("math-shepherd", {"input": "2? It is 2 ки", "label": "2? It is 2 +"}, "nothing says where the problem ends"),
    ("math-shepherd", {"input": "Step 1: 2 ки", "label": "Step 1: 2 +"}, "nothing says where the problem ends"),
    ("rlhflow", {"conversations": RLHFLOW["conversations"][:3]}, "turns of user and assistant must alternate"),
    ("rlhflow", {"conversations": RLHFLOW["conversations"][::-1]}, "turns of user and assistant must alternate"),
    ("rlhflow", {"conversations": []}, "List should have at least 2 items"),
    ("rlhflow", {"conversations": [QUESTION, {"role": "assistant", "content": "maybe"}]}, "'maybe' is no verdict"),
    ("prm800k", {"label": {"steps": []}}, "no completion is rated"),
    ("prm800k", {"label": {"steps": [{"completions": [{"text": "a", "rating": 2}]}]}}, "allowed: -1, 0, 1 or null"),
    ("prm800k", {"label": {"steps": [{"completions": [], "chosen_completion": 0}]}}, "there is no completion 0"),
    ("prm800k", {"question": {}}, "question.problem: Field required"),
    ("prm800k", {"label": None}, "label: Input should be a dictionary or an instance"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "message"), BAD)
def test_a_row_that_cannot_be_used_says_why(tmp_path: Path, name: str, change: dict[str, Any], message: str) -> None:
    rows = [SAMPLES[name], SAMPLES[name] | change]
    (tmp_path / "labels").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    found = list(read_labels(tmp_path / "labels"))
    good = [number for number, each in found if isinstance(each, LabelledResponse)]
    faults = [(number, str(each)) for number, each in found if isinstance(each, ValueError)]
    assert good == [1] * len(read(name, SAMPLES[name]))
    assert len(faults) == 1
    assert faults[0][0] == 2
    assert message in faults[0][1]


def test_a_row_of_another_format_is_a_bad_row(tmp_path: Path) -> None:
    (tmp_path / "labels").write_text(f"{json.dumps(TRL)}\n{json.dumps(RLHFLOW)}\n")
    (_, good), (number, bad) = read_labels(tmp_path / "labels")
    assert isinstance(good, LabelledResponse)
    assert (number, str(bad)) == (2, "prompt: Input should be a valid string")


def test_a_format_that_is_named_is_not_recognised(tmp_path: Path) -> None:
    (tmp_path / "labels").write_text(f"{json.dumps(TRL)}\n")
    assert [str(each) for _, each in read_labels(tmp_path / "labels", "rlhflow")] == ["Input should be a valid list"]


def test_a_file_of_something_else_says_what_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "labels").write_text('{"question": "1 + 1"}\n')
    with pytest.raises(UnreadableFileError, match=r"its first row has question; .* prm800k \(label, question\)"):
        list(read_labels(tmp_path / "labels"))


def test_a_line_without_end_is_not_read(tmp_path: Path) -> None:
    huge = json.dumps(TRL | {"prompt": "9" * MAX_LINE_BYTES})
    (tmp_path / "labels").write_text(f"{json.dumps(TRL)}\n{huge}\n")
    _, (number, fault) = read_labels(tmp_path / "labels")
    assert (number, str(fault)) == (2, f"{len(huge):,} bytes are too long; allowed: at most {MAX_LINE_BYTES:,}")


@pytest.mark.parametrize("name", SAMPLES)
def test_parquet_holds_the_same(tmp_path: Path, name: str) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.Table.from_pylist([SAMPLES[name]]), tmp_path / "labels.parquet")
    assert [each for _, each in read_labels(tmp_path / "labels.parquet")] == read(name, SAMPLES[name])


STEP = st.text("ab 1\n#:+-", max_size=8).map(lambda text: f"x{text}y")


@given(
    texts=st.lists(STEP, min_size=1, max_size=5),
    ending=st.sampled_from(["", "\n\n"]),
    separator=st.sampled_from(["\n\n", "", "\n"]),
    dice=st.randoms(use_true_random=False),
    is_complete=st.booleans(),
    system_prompt=st.sampled_from([None, "Be brief."]),
    name=st.sampled_from(sorted(FORMATS)),
)
def test_what_is_written_is_read_again(
    texts: list[str], ending: str, separator: str, dice: Any, is_complete: bool, system_prompt: str | None, name: str
) -> None:
    steps = (*(text + separator for text in texts[:-1]), texts[-1] + ending)
    labels = tuple(float(dice.randint(0, 1)) for _ in steps)
    response = LabelledResponse(
        "What is 1 + 1?", "2", steps, None, labels, is_complete, system_prompt, "sums", "sign", True
    )
    (row,) = FORMATS[name].write([response], 0.5)
    assert format_of(json.loads(json.dumps(row))) is FORMATS[name]
    (found,) = read(name, json.loads(json.dumps(row)))
    assert found == response


def test_a_tree_of_prm800k_is_written_as_it_was_read() -> None:
    found = read("prm800k", PRM800K)
    (row,) = FORMATS["prm800k"].write(found, 0.5)
    assert read("prm800k", row) == found


def test_a_threshold_moves_labels() -> None:
    response = LabelledResponse("?", None, ("a\n\n", "b"), None, (0.6, 0.8), True)
    assert FORMATS["trl-stepwise"].write([response], 0.7)[0]["labels"] == [False, True]


def test_what_spells_the_tag_of_math_shepherd_is_not_written() -> None:
    response = LabelledResponse("?", None, ("Яблоки",), None, (1.0,), True)
    assert FORMATS["math-shepherd"].write([response], 0.5) == []
