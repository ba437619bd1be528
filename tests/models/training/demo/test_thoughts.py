"""Thoughts: attempts that are checked, and what they have come to wherever they are cut."""

from itertools import islice
from random import Random

import pytest

from models.training.demo.tasks.chain import Chain
from models.training.demo.tasks.solution import concludes_right, solve
from models.training.demo.tasks.stream import Task, training_tasks
from models.training.demo.tasks.thoughts import Standing, Thoughts, conclude, think

CHAIN = Chain("3 + 4 * 5 - 2")


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    return list(islice(training_tasks(Random(0)), 400))


def share_right(tasks: list[Task], part: float) -> float:
    """Share of right answers behind the first `part` of thoughts."""
    rng = Random(1)
    answers = []
    for task in tasks:
        thoughts = think(task.exercise, rng)
        solution = conclude(task.exercise, thoughts.standing(round(part * len(thoughts.text))), rng)
        answers.append(concludes_right(task.exercise, solution.steps[-1]))
    return sum(answers) / len(answers)


def test_the_longer_the_thoughts_the_more_answers_are_right(tasks: list[Task]) -> None:
    shares = [share_right(tasks, part) for part in (0, 0.5, 1)]
    assert shares[0] + 0.1 < shares[1] < shares[2] - 0.1  # four standard errors


def test_without_thoughts_a_learner_answers(tasks: list[Task]) -> None:
    for task in tasks[:50]:
        assert conclude(task.exercise, Standing(), Random(5)) == solve(task.exercise, Random(5))


def test_the_answer_takes_over_what_the_thoughts_came_to(tasks: list[Task]) -> None:
    rng = Random(2)
    for task in tasks:
        thoughts = think(task.exercise, rng)
        solution = conclude(task.exercise, thoughts.standing(len(thoughts.text)), rng)
        concluded = thoughts.text.splitlines()[-1].removeprefix("So it is ").removesuffix(".")
        moves = [step.partition("\n")[2].strip() for step in solution.steps[:-1]]
        assert all(move in thoughts.text for move in moves)
        assert concludes_right(task.exercise, solution.steps[-1]) == (concluded == str(task.exercise.answer))


def test_an_attempt_found_wrong_is_tried_again(tasks: list[Task]) -> None:
    rng = Random(3)
    texts = [think(task.exercise, rng).text for task in tasks]
    blocks = [block for text in texts for block in text.split("\n\n") if "\n" in block.strip()]
    tried = [block.splitlines() for block in blocks]
    assert {check.split()[-1] for _, check in tried} == {"yes.", "no."}
    assert sum(check.endswith("no.") for _, check in tried) > 0.1 * len(tried)
    assert all("no.\n\nWait, " in text or "no.\n\nNo: " in text for text in texts if "no.\n\n" in text)


def test_what_holds_is_known_at_every_character() -> None:
    first, second = Standing(is_warned=True), Standing()
    thoughts = Thoughts("abcdef", ((0, first), (3, second)))
    assert [thoughts.standing(length) for length in (0, 1, 3, 4, 6)] == [Standing(), first, first, second, second]


def test_after_a_warning_the_next_move_is_made_with_care() -> None:
    right = CHAIN.right_move(CHAIN.start)
    assert right is not None
    first = {conclude(CHAIN, Standing(is_warned=True), Random(seed)).steps[0] for seed in range(30)}
    assert first == {f"## Step 1: {right.name}\n{right}\n\n"}
    assert len({conclude(CHAIN, Standing(), Random(seed)).steps[0] for seed in range(30)}) > 1


def test_some_thoughts_box_a_guess_that_is_not_the_answer(tasks: list[Task]) -> None:
    rng = Random(4)
    texts = [think(task.exercise, rng).text for task in tasks]
    assert 0.08 < sum("\\boxed" in text for text in texts) / len(texts) < 0.25
