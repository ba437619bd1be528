"""What the doctor makes of responses that it has sampled."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from models.checkpoints.prompt import PromptBuilder
from models.interfaces import Finish
from models.policy.engine_policy import EnginePolicy
from search.answers.pool import AnswerPool
from server.doctor.finding import Finding, Verdict
from server.doctor.probe import PROBLEMS, SAMPLES, Response, report, sample
from server.settings import Settings
from tests.models.problems import PROBLEMS as DEMO_PROBLEMS
from tests.natures import Tree, answer, end, step
from tests.worlds import World

WINNOW = Path(sys.executable).parent / "winnow"
PARAGRAPHS = "First we add 17 and 28, which is 45.\n\nThen we multiply 45 by 3.\n\nSo it is 135, I think.\n\nDone."
LINES = PARAGRAPHS.replace("\n\n", "\n")
ONE_LINE = PARAGRAPHS.replace("\n\n", " ")


def reported(prompts: PromptBuilder, *texts: str, **fields: Any) -> dict[str, Finding]:
    """The findings on responses that state no answer, by check."""
    responses = [Response(prompts.tokenizer.encode(text), Finish.END, has_answer=False) for text in texts]
    return {finding.check: finding for finding in report(Settings(**fields), prompts.tokenizer, responses)}


def test_responses_in_paragraphs_are_cut_well(prompts: PromptBuilder) -> None:
    found = reported(prompts, *[PARAGRAPHS] * 4)["steps"]
    assert (found.verdict, found.remedy) == (Verdict.FINE, None)
    assert "0 of 4 responses are one step; medians: 4 steps" in found.seen


@pytest.mark.parametrize(
    ("text", "remedy"),
    [(LINES, 'set steps: {"delimiter": "\\n"} in the recipe'), (ONE_LINE, 'set steps: {"markers": ["Step", "First"')],
)
def test_the_first_rule_that_cuts_is_recommended(prompts: PromptBuilder, text: str, remedy: str) -> None:
    found = reported(prompts, *[text] * 4)["steps"]
    assert found.verdict is Verdict.CAUTION
    assert (found.remedy or "").startswith(remedy)
    assert "4 of 4 responses are one step" in found.seen


def test_the_rule_of_the_recipe_is_judged_first(prompts: PromptBuilder) -> None:
    assert reported(prompts, LINES, steps={"delimiter": "\n"})["steps"].verdict is Verdict.FINE


def test_where_nothing_cuts_no_rule_is_recommended(prompts: PromptBuilder) -> None:
    assert "use weighted_best_of_n" in (reported(prompts, "45", "6 times 7")["steps"].remedy or "")


def test_every_rule_is_tried_on_the_same_responses(prompts: PromptBuilder) -> None:
    found = reported(prompts, LINES, ONE_LINE)
    assert "2 of 2 responses are one step" in found['steps: {"delimiter": "\\n\\n"}'].seen
    assert "1 of 2 responses are one step" in found['steps: {"delimiter": "\\n"}'].seen
    assert "0 of 2 responses are one step" in found['steps: {"tokens": 32}'].seen


def test_silent_and_truncated_responses_are_found(prompts: PromptBuilder) -> None:
    ids = prompts.tokenizer.encode(PARAGRAPHS)
    ended, cut = Response(ids, Finish.END, has_answer=False), Response(ids, Finish.LENGTH, has_answer=False)
    found = {each.check: each for each in report(Settings(), prompts.tokenizer, [ended, ended, cut])}
    assert found["answers"].seen == "2 of 2 complete responses state no answer that is read"
    assert "\\boxed{}" in (found["answers"].remedy or "")
    assert found["length"].verdict is Verdict.CAUTION


async def test_each_problem_is_asked_several_times_and_its_answers_are_read() -> None:
    world = World(Tree(step("a", 1, answer("1", 1)), end("no idea", 1)))
    responses = await sample(world.policy, world.models.reader, PROBLEMS)
    assert len(responses) == SAMPLES * len(PROBLEMS)
    assert {response.has_answer for response in responses} == {True, False}


async def test_the_demo_is_cut_well_and_states_its_answers(policy: EnginePolicy) -> None:
    async with AnswerPool(num_workers=1) as reader:
        responses = await sample(policy, reader, [problem.text for problem in DEMO_PROBLEMS])
    found = {each.check: each for each in report(Settings(), policy.prompts.tokenizer, responses)}
    assert (found["steps"].verdict, found["answers"].verdict) == (Verdict.FINE, Verdict.FINE)


@pytest.mark.engine
def test_the_command_samples_the_problems_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "problems.jsonl"
    file.write_text("".join(json.dumps({"question": problem.text}) + "\n" for problem in DEMO_PROBLEMS[:2]))
    ran = subprocess.run(
        [WINNOW, "doctor", "--port", "0", "--json", "--probe", "--file", str(file)],
        capture_output=True,
        text=True,
        timeout=200,
    )
    found = {finding["check"]: finding for finding in json.loads(ran.stdout)}
    assert (ran.returncode, found["steps"]["verdict"]) == (0, "fine")
    assert f" of {2 * SAMPLES} responses are one step" in found["steps"]["seen"]


@pytest.mark.parametrize(
    ("content", "message"),
    [('{"answer": "1"}\n', "line 1: needs a problem or a question"), ("", "holds no problem"), ("7\n", "line 1")],
)
def test_a_file_without_problems_is_refused(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "problems.jsonl"
    file.write_text(content)
    ran = subprocess.run([WINNOW, "doctor", "--probe", "--file", str(file)], capture_output=True, text=True, timeout=60)
    assert ran.returncode != 0
    assert message in ran.stderr.replace("\n", " ")
    assert "Traceback" not in ran.stderr
