"""`winnow label-steps` and `winnow train-prm`: real samples of the demo policy, and mistakes that are named by line."""

import json
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from models.checkpoints.tokenizer import ChatTokenizer
from models.labels.response import LabelledResponse
from models.policy.engine_policy import EnginePolicy
from models.training.prm.labels import LabelFile, LabelReader
from models.training.prm.rollouts import RolloutPlan, StepLabeller
from models.training.prm.train import Trained
from search.answers.pool import AnswerPool
from search.evaluation.tasks import Task
from server.cli.failures import Failure
from server.cli.label_steps import grader, label_all
from server.cli.main import app
from tests.natures import Tree, answer, end, step
from tests.worlds import World

PLAN = RolloutPlan(num_responses=3, num_completions=4, max_tokens=300, seed=5)
TASKS = [
    Task("Compute (17 + 28) * 3 - 45.", "90", family="chain"),
    Task("Solve 3x - 7 = 11 for x.", "6", family="linear"),
    Task("Compute 1/2 + 1/3.", "5/6", family="fraction"),
]


async def label(policy: EnginePolicy, out: Path, tasks: list[Task], plan: RolloutPlan = PLAN) -> tuple[int, str]:
    """Label; return the tokens sampled, and what was said."""
    console = Console(file=StringIO(), width=200)
    async with AnswerPool(num_workers=1) as answers:
        labeller = StepLabeller(policy, grader(answers), plan, concurrency=32)
        await label_all(tasks, labeller, LabelFile(out, plan.num_responses), None, 32, console)
    return labeller.meter.completion_tokens, console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO


async def test_labels_are_shares_and_the_last_one_is_whether_the_answer_is_right(
    policy: EnginePolicy, tmp_path: Path
) -> None:
    await label(policy, tmp_path / "labels.jsonl", TASKS)
    records = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    assert sorted(record["problem"] for record in records) == sorted(task.problem for task in TASKS for _ in range(3))
    assert {4 * label for record in records for label in record["labels"]} <= {0, 1, 2, 3, 4}
    boxes = {"90": ["{90}"], "6": ["{6}"], "5/6": ["{5/6}", r"{\frac{5}{6}}", "{10/12}"]}
    for record in (record for record in records if record["is_complete"]):
        assert record["labels"][-1] == any(box in record["steps"][-1] for box in boxes[record["answer"]])


async def test_labels_of_first_steps_average_to_the_chance_of_a_right_response(
    policy: EnginePolicy, tmp_path: Path
) -> None:
    plan = RolloutPlan(num_responses=40, num_completions=32, max_tokens=300)
    await label(policy, tmp_path / "labels.jsonl", TASKS[1:2], plan)
    records = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    first, last = (sum(record["labels"][place] for record in records) / 40 for place in (0, -1))
    assert 0.05 < last < 0.95
    assert first == pytest.approx(last, abs=0.24)  # three standard errors of 40 responses


async def test_token_ids_are_the_policys_own(policy: EnginePolicy, tmp_path: Path) -> None:
    await label(policy, tmp_path / "labels.jsonl", TASKS)
    reader = LabelReader(policy.prompts, len(policy.prompts.tokenizer.vocabulary), policy.engine.max_model_len)
    assert len(reader.read([tmp_path / "labels.jsonl"])) == 9
    assert reader.skipped == []


async def test_a_finished_labelling_samples_nothing_and_a_torn_one_what_is_missing(
    policy: EnginePolicy, tmp_path: Path
) -> None:
    out = tmp_path / "labels.jsonl"
    all_tokens, _ = await label(policy, out, TASKS)
    whole = out.read_text()
    assert (await label(policy, out, TASKS))[0] == 0
    out.write_text(whole[: int(0.9 * len(whole))])
    tokens, _ = await label(policy, out, TASKS)
    assert 0 < tokens < all_tokens
    assert sorted(out.read_text().splitlines()) == sorted(whole.splitlines())


async def test_a_problem_too_long_for_the_policy_is_named_and_left_out(policy: EnginePolicy, tmp_path: Path) -> None:
    tasks = [Task("Compute " + "1 + " * 2000 + "1.", "2001"), TASKS[0]]
    _, said = await label(policy, tmp_path / "labels.jsonl", tasks)
    assert "problem 1: " in said
    assert "at most 1024 do; left out" in said
    assert len((tmp_path / "labels.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "bad.jsonl: not JSON in UTF-8: Expecting property name"),
        ("[]", "bad.jsonl holds no problem"),
        ('{"problem": "1 + 1"}', "line 1: needs an answer as one of"),
        ('{"problem": " ", "answer": 2}', "line 1: needs text as one of problem, question"),
        ('{"problem": "\\ud800", "answer": 2}', "half of a surrogate pair, which is not Unicode text"),
    ],
)
def test_problems_that_cannot_be_used_are_named_by_line(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "bad.jsonl").write_text(line + "\n")
    arguments = ["label-steps", "--problems", str(tmp_path / "bad.jsonl"), "--out", str(tmp_path / "out.jsonl")]
    result = CliRunner().invoke(app, arguments, terminal_width=200)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def labelled(problem: str, *labels: float, states_answer: bool = True) -> LabelledResponse:
    steps = tuple(f"step {number}" for number in range(len(labels)))
    return LabelledResponse(problem, "1", steps, ((1,),) * len(labels), labels, True, states_answer=states_answer)


def label_again(folder: Path, problems: list[dict[str, str]], responses: list[LabelledResponse]) -> Result:
    """Run the command on problems that are all labelled already, so that it samples nothing."""
    (folder / "problems.jsonl").write_text("".join(json.dumps(problem) + "\n" for problem in problems))
    LabelFile(folder / "labels.jsonl", 1).append(responses)
    arguments = ["--problems", str(folder / "problems.jsonl"), "--out", str(folder / "labels.jsonl")]
    return CliRunner().invoke(app, ["label-steps", *arguments, "--responses", "1"])


@pytest.mark.parametrize(
    "record",
    [
        {"problem": "What?", "answer": "1", "family": "questions"},
        {"question": "What?", "answer": "3 - 2 = <<3-2=1>>1\n#### 1"},
        {"problem": "What?", "solution": r"It is $\boxed{1}$.", "level": "Level 1"},
    ],
    ids=["our own", "GSM8K", "MATH"],
)
def test_problems_come_in_the_files_that_eval_reads(tmp_path: Path, record: dict[str, str]) -> None:
    result = label_again(tmp_path, [record], [labelled("What?", 1, 0)])
    assert (result.exit_code, "all 1 problems are in" in result.output) == (0, True)


@pytest.mark.parametrize(("label", "advice"), [(0.0, "easier problems"), (1.0, "harder problems")])
def test_labels_of_one_kind_are_a_failure(tmp_path: Path, label: float, advice: str) -> None:
    result = label_again(tmp_path, [{"problem": "What?", "answer": "1"}], [labelled("What?", label, label)])
    assert result.exit_code == 1
    assert "labels of one kind teach nothing: " in result.output
    assert advice in result.output


def test_labels_of_answers_that_were_not_read_are_a_failure(tmp_path: Path) -> None:
    silent = [labelled("What?", 0.5, 0, states_answer=False)]
    result = label_again(tmp_path, [{"problem": "What?", "answer": "1"}], silent)
    assert result.exit_code == 1
    assert "1 of 1 responses state no answer that is read, so all their steps count as wrong: ask for" in result.output


async def test_labelling_stops_once_it_is_clear_that_answers_are_not_read(tmp_path: Path) -> None:
    tasks = [Task(f"problem {number}", "1") for number in range(100)]
    policy = World(Tree(step("a", 0, end("no idea", 0)), end("no idea", 0), answer("1", 0))).policy
    labels = LabelFile(tmp_path / "labels.jsonl", 3)
    async with AnswerPool(num_workers=1) as answers:
        labeller = StepLabeller(policy, grader(answers), RolloutPlan(3, 2), concurrency=2)
        with pytest.raises(Failure, match=r"\d+ of 3\d responses state no answer that is read"):
            await label_all(tasks, labeller, labels, None, 2, Console(file=StringIO()))
    assert 32 <= labels.evidence.num_responses < 40


def test_parts_must_divide_the_batch(tmp_path: Path) -> None:
    (tmp_path / "labels.jsonl").write_text("")
    arguments = ["--policy", str(tmp_path), "--labels", str(tmp_path / "labels.jsonl"), "--out", str(tmp_path / "prm")]
    result = CliRunner().invoke(app, ["train-prm", *arguments, "--batch-size", "10", "--parts", "4"])
    assert (result.exit_code, "4 does not divide the batch size 10" in result.output) == (2, True)


def train(folder: Path, labels: Path) -> Result:
    arguments = ["--policy", "models/demo/policy", "--labels", str(labels), "--out", str(folder / "prm")]
    return CliRunner().invoke(app, ["train-prm", *arguments])


def test_training_on_labels_of_one_kind_ends_before_it_begins(tmp_path: Path) -> None:
    (token_id,) = ChatTokenizer(Path("models/demo/policy")).encode("x")
    responses = [
        LabelledResponse(f"problem {number}", "1", ("x",), ((token_id,),), (0.0,), True) for number in range(100)
    ]
    LabelFile(tmp_path / "labels.jsonl", 1).append(responses)
    result = train(tmp_path, tmp_path / "labels.jsonl")
    assert result.exit_code == 2
    assert "labels of one kind teach nothing: 0 right steps" in result.output
    assert not (tmp_path / "prm").exists()


def test_a_model_that_judges_no_better_than_chance_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "labels.jsonl").write_text("")
    monkeypatch.setattr(
        "models.training.prm.train.train_prm", lambda *_, **__: Trained(0, "no better than chance: AUC 0.5")
    )
    result = train(tmp_path, tmp_path / "labels.jsonl")
    assert result.exit_code == 1
    assert "do not serve this reward model: no better than chance: AUC 0.5; label more problems" in result.output


def test_labels_of_an_unknown_format_are_refused_with_what_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "labels.jsonl").write_text('{"question": "1 + 1", "steps": ["2"]}\n')
    result = train(tmp_path, tmp_path / "labels.jsonl")
    assert result.exit_code == 2
    assert "its first row has question, steps; allowed are rows with: winnow (labels, problem, steps)" in result.output


def test_lines_that_cannot_be_used_are_named_and_counted(tmp_path: Path) -> None:
    good = {"prompt": "1 + 1", "completions": ["2"], "labels": [True]}
    rows = [good, *[good | {"labels": []}] * 7]
    (tmp_path / "labels.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    result = train(tmp_path, tmp_path / "labels.jsonl")
    assert result.exit_code == 2  # one response is too little to learn from
    assert "line 2: 1 completions, but 0 labels; allowed: one each; left out" in " ".join(result.output.split())
    assert "and 2 more are left out" in result.output
