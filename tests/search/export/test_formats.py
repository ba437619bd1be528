"""Rows of an export, from searches and labels worked out by hand."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from models.interfaces import Finish
from models.labels.formats import FORMATS
from models.labels.response import OURS, LabelledResponse
from search.export.formats import EXPORTS
from search.export.options import LeftOut, Options
from search.export.population import PROVENANCE, Population, of_labels, of_search
from search.stored import Path, StoredNode, StoredSearch, StoredStep

TEXT = Options(as_messages=False)
CORRECT = {"4": True, "5": False}


def node(path: Path, *steps: tuple[str, float | None], **fields: Any) -> StoredNode:
    told = {"finish": Finish.STEP, "score": steps[-1][1] if steps else None, "num_tokens": 3} | fields
    return StoredNode(path, tuple(StoredStep(*step) for step in steps), **told)


def whole(path: Path, answer: str | None, *steps: tuple[str, float | None]) -> StoredNode:
    return node(path, *steps, finish=Finish.END, answer=answer)


def search(*nodes: StoredNode, chosen: StoredNode | None = None, **fields: Any) -> StoredSearch:
    best = chosen or nodes[0]
    stored = StoredSearch(
        problem="2 + 2?",
        system_prompt=None,
        strategy={"name": "dvts", "n": 4, "seed": 7, "temperature": 0.8},
        nodes={each.path: each for each in nodes},
        answer=best.answer,
        response=None,
        thinking=None,
        score=best.score,
        golds=("4",),
        made={"policy": "p", "verifier": "v", "version": "1", "commit": "c"},
    )
    text = "".join(step.text for step in stored.steps_to(best.path))
    return replace(stored, **{"response": text} | fields)


RIGHT = whole((0, 0), "4", ("= 4", 0.9))
TREE = search(
    node((0,), ("So\n\n", 0.8)),
    RIGHT,
    whole((0, 1), "5", ("= 5", 0.2)),
    node((1,), ("Hm\n\n", 0.1)),
    node((2,), ("cut", None), finish=Finish.LENGTH, score=None),
    chosen=RIGHT,
)
FLAT = search(
    whole((0,), "4", ("a\n\n", 0.6), ("= 4", 0.7)),
    whole((1,), "5", ("a\n\n", 0.6), ("= 5", 0.4)),
    whole((2,), "5", ("b\n\n", 0.3), ("= 5", 0.3)),
    whole((3,), None, ("c", 0.5)),
)


def made(name: str, population: Population, options: Options = TEXT) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows without the column of ours, and the reasons of what is left out."""
    found = list(EXPORTS[name].made_of(population, options))
    rows = [{field: value for field, value in row.items() if field != OURS} for row in found if isinstance(row, dict)]
    return rows, [each.reason for each in found if isinstance(each, LeftOut)]


def of(stored: StoredSearch) -> Population:
    return of_search(stored, CORRECT if stored.golds else {}, "s.jsonl")


def columns(name: str, population: Population) -> Iterator[dict[str, Any]]:
    yield from (row[OURS] for row in EXPORTS[name].made_of(population, Options()) if isinstance(row, dict))


def test_the_chosen_response_is_a_completion() -> None:
    assert made("prompt-completion", of(TREE)) == ([{"prompt": "2 + 2?\n\n", "completion": "So\n\n= 4"}], [])


def test_messages_have_the_system_prompt_and_the_roles() -> None:
    population = of(replace(TREE, system_prompt="Add."))
    (row,), _ = made("prompt-completion", population, Options())
    assert row == {
        "prompt": [{"role": "system", "content": "Add."}, {"role": "user", "content": "2 + 2?"}],
        "completion": [{"role": "assistant", "content": "So\n\n= 4"}],
    }
    assert made("prompt-completion", population)[0][0]["prompt"] == "Add.\n\n2 + 2?\n\n"


def test_the_best_response_is_preferred_to_the_worst() -> None:
    rows, left_out = made("preference", of(FLAT))
    assert rows == [{"prompt": "2 + 2?\n\n", "chosen": "a\n\n= 4", "rejected": "b\n\n= 5"}]
    assert left_out == []


def test_what_did_not_come_to_an_end_is_no_response_to_prefer() -> None:
    rows, _ = made("preference", of(TREE))
    assert [(row["chosen"], row["rejected"]) for row in rows] == [("So\n\n= 4", "So\n\n= 5")]


def test_siblings_off_the_chosen_way_are_not_beside_it() -> None:
    off = (whole((1, 0), "5", ("= 5", 0.3)), whole((1, 1), "6", ("= 6", 0.2)))
    (row,), _ = made("prm800k", of(search(*TREE.nodes.values(), *off, chosen=RIGHT)))
    assert [len(step["completions"]) for step in row["label"]["steps"]] == [2, 2]


def test_siblings_are_preferred_behind_their_prefix() -> None:
    rows, _ = made("preference-steps", of(TREE))
    assert rows == [
        {"prompt": "2 + 2?\n\n", "chosen": "So\n\n", "rejected": "Hm\n\n"},
        {"prompt": "2 + 2?\n\nSo\n\n", "chosen": "= 4", "rejected": "= 5"},
    ]


def test_messages_of_siblings_begin_with_their_prefix() -> None:
    rows, _ = made("preference-steps", of(TREE), Options())
    assert [row["prompt"] for row in rows] == [[{"role": "user", "content": "2 + 2?"}]] * 2
    assert [row["rejected"][0]["content"] for row in rows] == ["Hm\n\n", "So\n\n= 5"]


def test_every_response_of_a_tree_has_labelled_steps() -> None:
    rows, left_out = made("trl-stepwise", of(TREE))
    assert rows == [
        {"prompt": "2 + 2?", "completions": ["So", "= 4"], "labels": [True, True]},
        {"prompt": "2 + 2?", "completions": ["So", "= 5"], "labels": [True, False]},
        {"prompt": "2 + 2?", "completions": ["Hm"], "labels": [False]},
    ]
    assert left_out == ["its steps were not judged"]


def test_a_tree_is_one_row_of_prm800k() -> None:
    (row,), left_out = made("prm800k", of(TREE))
    rated = [[(each["text"], each["rating"]) for each in step["completions"]] for step in row["label"]["steps"]]
    assert rated == [[("So", 1), ("Hm", -1)], [("= 4", 1), ("= 5", -1)]]
    assert [step["chosen_completion"] for step in row["label"]["steps"]] == [0, 0]
    assert (row["question"], left_out) == ({"problem": "2 + 2?", "ground_truth_answer": "4"}, [])
    assert [each.known_labels for each in FORMATS["prm800k"].read(row)] == [(1.0, 1.0), (0.0,), (0.0,)]


def test_independent_responses_are_a_row_of_prm800k_each() -> None:
    rows, _ = made("prm800k", of(FLAT))
    assert [len(row["label"]["steps"]) for row in rows] == [2, 2, 2, 1]
    assert {len(step["completions"]) for row in rows for step in row["label"]["steps"]} == {1}


def test_math_shepherd_tags_every_step() -> None:
    rows, _ = made("math-shepherd", of(FLAT))
    assert rows[1]["input"] == "2 + 2? a ки\n= 5 ки"
    assert rows[1]["label"] == "2 + 2? a +\n= 5 -"


def test_what_spells_the_tag_is_left_out() -> None:
    russian = search(whole((0,), "4", ("Яблоки", 0.7)))
    assert made("math-shepherd", of(russian)) == ([], ["it cannot be told from the marks of math-shepherd"])


@pytest.mark.parametrize("name", EXPORTS)
def test_every_row_says_where_it_comes_from(name: str) -> None:
    told = list(columns(name, of(FLAT)))
    assert told
    for each in told:
        assert {field: each[field] for field in PROVENANCE} == {
            "policy": "p", "verifier": "v", "version": "1", "commit": "c", "strategy": "dvts", "n": 4, "seed": 7,
            "temperature": 0.8, "source": "s.jsonl",
        }  # fmt: skip
        assert {each["problem"], each["answer"]} == {"2 + 2?", "4"}
        assert any(field.startswith("score") for field in each)


@pytest.mark.parametrize(
    ("name", "options", "num_rows", "reasons"),
    [
        ("prompt-completion", Options(min_score=0.8), 0, ["the score is below --min-score"]),
        ("prompt-completion", Options(max_score=0.6), 0, ["the score is above --max-score"]),
        ("prompt-completion", Options(min_score=0.7, max_score=0.7, correct_only=True), 1, []),
        ("trl-stepwise", Options(correct_only=True), 1, ["the answer is wrong"] * 3),
        ("trl-stepwise", Options(min_score=0.45), 2, ["the score is below --min-score"] * 2),
        ("preference", Options(margin=0.4), 1, []),
        ("preference", Options(margin=0.5), 0, ["the scores are closer than --margin"]),
        ("preference", Options(min_score=0.8), 0, ["the chosen score is below --min-score"]),
        ("preference", Options(max_score=0.2), 0, ["the rejected score is above --max-score"]),
        ("preference", Options(correct_only=True), 1, []),
        ("preference-steps", Options(margin=0.25), 2, []),
        ("preference-steps", Options(margin=0.35), 0, ["the scores are closer than --margin"] * 2),
        ("preference-steps", Options(correct_only=True), 2, []),
    ],
)
def test_options_leave_rows_out_and_say_why(name: str, options: Options, num_rows: int, reasons: list[str]) -> None:
    rows, left_out = made(name, of(FLAT), options)
    assert (len(rows), left_out) == (num_rows, reasons)


def test_a_threshold_decides_which_steps_are_right() -> None:
    rows, _ = made("trl-stepwise", of(FLAT), Options(threshold=0.65))
    assert [row["labels"] for row in rows] == [[False, True], [False, False], [False, False], [False]]


def test_of_right_answers_alone_no_scores_are_needed() -> None:
    unjudged = search(whole((0,), "5", ("x", None)), whole((1,), "4", ("y", None)), strategy=FLAT.strategy)
    assert made("preference", of(unjudged)) == ([], ["its responses were not judged"])
    rows, _ = made("preference", of(unjudged), replace(TEXT, correct_only=True))
    assert [(row["chosen"], row["rejected"]) for row in rows] == [("y", "x")]
    rows, _ = made("preference-steps", of(unjudged), replace(TEXT, correct_only=True))
    assert [(row["chosen"], row["rejected"]) for row in rows] == [("y", "x")]
    assert made("preference-steps", of(unjudged)) == ([], ["its steps were not all judged"])
    assert made("prm800k", of(unjudged)) == ([], ["its steps were not judged"] * 2)


CUT = node((1,), ("cut", None), finish=Finish.LENGTH, score=None)


@pytest.mark.parametrize(
    ("name", "stored", "options", "reason"),
    [
        ("preference", replace(FLAT, golds=()), Options(correct_only=True), "the right answer is not known"),
        ("preference-steps", replace(FLAT, golds=()), Options(correct_only=True), "the right answer is not known"),
        ("trl-stepwise", replace(FLAT, golds=()), Options(correct_only=True), "the right answer is not known"),
        ("preference", search(RIGHT), Options(), "it has no two different complete responses"),
        ("preference", search(RIGHT), Options(correct_only=True), "its responses are all right, or all wrong"),
        ("preference", search(RIGHT, replace(RIGHT, path=(1, 0))), Options(), "it has no two different complete"),
        ("preference", search(RIGHT, whole((1,), "5", ("= 5", 0.9))), Options(), "its scores are all the same"),
        ("preference-steps", search(RIGHT), Options(), "no two of its steps follow the same prefix"),
        ("preference-steps", search(RIGHT, CUT), Options(), "all its steps but one were cut off"),
        ("preference-steps", search(whole((0,), "5", ("x", 0.1)), whole((1,), "5", ("y", 0.9))),
         Options(correct_only=True), "its steps all lead to a right answer, or all to none"),
        ("prompt-completion", search(CUT), Options(), "no complete response was chosen"),
        ("prompt-completion", search(CUT, response=None), Options(), "no complete response was chosen"),
        ("prm800k", search(*TREE.nodes.values(), chosen=RIGHT, response=None), Options(), "no response was chosen"),
        ("prm800k", TREE, Options(min_score=0.95), "the score is below --min-score"),
        ("trl-stepwise", search(whole((0,), "4", ("x", None), ("y", 0.5))), Options(), "its steps were not all judged"),
    ],
)  # fmt: skip
def test_what_makes_no_row_says_why(name: str, stored: StoredSearch, options: Options, reason: str) -> None:
    rows, left_out = made(name, of(stored), options)
    assert rows == []
    assert all(each.startswith(reason) for each in left_out)
    assert left_out


def test_without_candidates_the_chosen_response_is_all_there_is() -> None:
    alone = replace(TREE, nodes={})
    assert made("prompt-completion", of(alone))[0] == [{"prompt": "2 + 2?\n\n", "completion": "So\n\n= 4"}]
    assert made("preference", of(alone)) == ([], ["only its chosen response was kept; keep all with --keep"])


def test_thoughts_are_told_and_not_trained_on() -> None:
    thought = whole((0,), "4", ("Hm\n\n", None), ("= 4", 0.9))
    thought = replace(thought, steps=(replace(thought.steps[0], is_thinking=True), thought.steps[1]))
    stored = search(thought, response="= 4", thinking="Hm")
    assert made("prompt-completion", of(stored))[0] == [{"prompt": "2 + 2?\n\n", "completion": "= 4"}]
    assert [each["thinking"] for each in columns("prompt-completion", of(stored))] == ["Hm"]
    assert made("trl-stepwise", of(stored))[0] == [{"prompt": "2 + 2?", "completions": ["= 4"], "labels": [True]}]


def labelled(steps: tuple[str, ...], labels: tuple[float | None, ...], **fields: Any) -> LabelledResponse:
    told = {"answer": "4", "token_ids": None, "is_complete": True, "error_kind": "sign"} | fields
    return LabelledResponse("2 + 2?", steps=steps, labels=labels, **told)


def test_labels_are_converted_with_all_that_is_known() -> None:
    responses = [labelled(("a\n\n", "b"), (1.0, 0.25)), labelled(("a\n\n", "c"), (None, 1.0))]
    found = of_labels(responses, "l.jsonl")
    rows = list(EXPORTS["trl-stepwise"].made_of(found, Options()))
    read = [FORMATS["trl-stepwise"].read(row)[0] for row in rows if isinstance(row, dict)]
    assert read == [labelled(("a\n\n", "b"), (1.0, 0.0)), labelled(("a\n\n", "c"), (1.0, 1.0))]
    (pair,), _ = made("preference", found)
    assert (pair["chosen"], pair["rejected"]) == ("a\n\nc", "a\n\nb")
    (chosen,), _ = made("prompt-completion", found, Options(correct_only=True, as_messages=False))
    assert chosen["completion"] == "a\n\nc"


def test_a_step_that_nobody_labelled_makes_no_row() -> None:
    found = of_labels([labelled(("a\n\n", "b"), (None, 1.0))], "l.jsonl")
    assert made("trl-stepwise", found) == ([], ["its steps were not all judged"])
    assert len(made("prm800k", found)[0]) == 0


def test_ours_stays_what_it_was() -> None:
    response = labelled(("a\n\n", "b"), (0.75, 0.25), token_ids=((1,), (2,)))
    rows = list(EXPORTS["winnow"].made_of(of_labels([response], "l.jsonl"), Options()))
    assert [FORMATS["winnow"].read(row) for row in rows if isinstance(row, dict)] == [[response]]
