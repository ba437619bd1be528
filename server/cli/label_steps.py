"""`winnow label-steps`: step labels for problems whose answers are known, by Monte-Carlo rollouts of the policy."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from models.errors import ContextOverflowError
from models.interfaces import Policy, Problem
from search.answers.pool import AnswerPool
from search.evaluation.tasks import Task
from server.cli import stopping
from server.cli.failures import Failure, end, refuse_inputs
from server.cli.problems import read_problems
from server.precheck import check_checkpoint
from server.settings import Settings, load_settings
from server.system_prompt import system_prompt_of

if TYPE_CHECKING:  # engines are imported when they run
    from models.training.prm.labels import LabelFile
    from models.training.prm.rollouts import Grade, RolloutPlan, StepLabeller


MIN_RESPONSES = 32
"""After which a run stops whose answers are not read."""


@click.command("label-steps")
@click.option(
    "--problems",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON lines with problem and answer, and family where there are several, or in the format of MATH or GSM8K.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Labelled responses, as JSON lines. Problems that are in it already are skipped.",
)
@click.option("--policy", help="Checkpoint of the policy: a folder or a Hub name.  [default: the recipe's, the demo's]")
@click.option("--recipe", type=click.Path(path_type=Path), help="YAML file of settings (deploy/recipes/).")
@click.option("--responses", default=8, show_default=True, type=click.IntRange(1), help="R, responses a problem.")
@click.option("--completions", default=8, show_default=True, type=click.IntRange(1), help="K, completions a step.")
@click.option("--temperature", default=0.8, show_default=True, type=click.FloatRange(0, 2), help="Of the policy.")
@click.option(
    "--top-p", default=1.0, show_default=True, type=click.FloatRange(0, 1, min_open=True), help="Of the policy."
)
@click.option("--max-tokens", default=2048, show_default=True, type=click.IntRange(1), help="Longest response.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the samples.")
@click.option("--concurrency", default=64, show_default=True, type=click.IntRange(1), help="Samples in parallel.")
def label_steps(
    problems: Path, out: Path, policy: str | None, recipe: Path | None, concurrency: int, **options: Any
) -> None:
    """Label the steps of the policy's own responses, without human annotators.

    The policy answers each problem R times, and continues K times from the end of every step; a step's label is the
    share of these that reach the right answer. An interrupted run resumes after the last problem written.

    Labels that teach nothing end the command with exit code 1: most responses state no answer that is read (it stops
    once that is clear), or all but all steps are right, or wrong. So do problems that are too long for the policy.
    """
    refuse_inputs(out, problems, recipe)
    console = Console(stderr=True, highlight=False)
    tasks = list(read_problems(problems).tasks)
    settings = load_settings(recipe, policy_model=policy)
    check_checkpoint(settings.policy_model, is_causal=True, with_weights=not settings.policy_url)
    from models.training.prm.labels import LabelFile
    from models.training.prm.rollouts import RolloutPlan

    plan = RolloutPlan(options.pop("responses"), options.pop("completions"), steps=settings.steps.rule, **options)
    labels = LabelFile(out, plan.num_responses)
    if all(task.problem in labels.problems for task in tasks):
        console.print(f"all {len(tasks)} problems are in {out}", markup=False)
        finish(labels, 0)
    from models.checkpoints.prompt import PromptBuilder
    from models.checkpoints.tokenizer import ChatTokenizer
    from models.policy.engine_policy import open_policy
    from server.composition import policy_model

    engine = policy_model(settings)
    marks = settings.marks
    tokenizer = ChatTokenizer(engine.model, marks.texts if marks else ())
    opening = open_policy(engine, PromptBuilder(tokenizer, marks=marks))

    def kept() -> str:
        return f"{len(labels.problems):,} problems are in {out}: repeat the command to resume"

    finish(labels, stopping.run(_label(tasks, labels, plan, opening, settings, concurrency, console), kept))


def finish(labels: LabelFile, num_failed: int) -> NoReturn:
    """End the command, as a failure if the labels teach nothing."""
    if fault := labels.evidence.unread or labels.evidence.one_sided:
        raise Failure(fault)
    end(num_failed)


async def _label(
    tasks: list[Task],
    labels: LabelFile,
    plan: RolloutPlan,
    opening: AbstractAsyncContextManager[Policy],
    settings: Settings,
    concurrency: int,
    console: Console,
) -> int:
    from models.training.prm.rollouts import StepLabeller

    pool = AnswerPool(settings.answer_workers, settings.answer_time_limit_s)
    async with pool as answers, opening as policy:
        labeller = StepLabeller(policy, grader(answers), plan, concurrency)
        return await label_all(tasks, labeller, labels, system_prompt_of(settings).text, concurrency, console)


def grader(answers: AnswerPool) -> Grade:
    """Say of a response whether it reaches an answer, by mathematical equivalence; None if it states none."""

    async def grade(response: str, answer: str) -> bool | None:
        found = await answers.read(response)
        return None if found is None else await answers.equivalent(answer, found.text)

    return grade


async def label_all(
    tasks: list[Task],
    labeller: StepLabeller,
    labels: LabelFile,
    system_prompt: str | None,
    concurrency: int,
    console: Console,
) -> int:
    """Label the problems that `labels` does not hold, as many at a time as keep the engine busy.

    Returns:
        How many are too long for the policy.

    Raises:
        Failure: Most responses state no answer that is read.
    """
    num_failed = 0
    num_done = sum(task.problem in labels.problems for task in tasks)
    waiting = iter([each for each in enumerate(tasks, 1) if each[1].problem not in labels.problems])
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        bar = progress.add_task("problems", total=len(tasks), completed=num_done)

        async def work() -> None:
            nonlocal num_failed
            for number, task in waiting:
                try:
                    responses = await labeller.label(Problem(task.problem, system_prompt), task.answer, task.family)
                except ContextOverflowError as error:
                    console.print(f"problem {number}: {error}; left out", style="yellow", markup=False)
                    num_failed += 1
                else:
                    labels.append(responses)
                    evidence = labels.evidence
                    if evidence.num_responses >= MIN_RESPONSES and evidence.unread:
                        raise Failure(evidence.unread)
                progress.advance(bar)

        num_workers = -(-concurrency // labeller.plan.num_responses) + 1
        workers = [asyncio.ensure_future(work()) for _ in range(num_workers)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
    num_tokens = labeller.meter.completion_tokens
    console.print(f"{len(tasks) - num_done} problems, {num_tokens:,} tokens sampled", markup=False)
    return num_failed
