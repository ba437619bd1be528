"""What adapting at test time does to a verifier: step AUC and accuracy on the demo policy's own held-out samples.

    python -m tests.bench.adaptation [--problems 150] [--responses 8] [--verifier models/demo/prm]

Each problem's candidates adapt a copy of the verifier, and are judged by it and by the verifier as it is. Differences
are paired, with 95 % intervals bootstrapped over problems; time is of adapting alone, with one thread.
"""

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from models.checkpoints.checkpoint import read_config
from models.labels.response import RIGHT_FROM
from models.prm.adaptation import AdaptationPlan, Judge, adapt
from models.prm.reward_model import load_reward_model
from models.prm.test_time_compute import ARCHITECTURE, load_test_time_compute
from models.training.demo.samples import Plan, Sample, draw_samples, read_samples
from models.training.documents import collate
from models.training.prm.metrics import area_under_curve
from search.answers.extract import extract_answer
from search.answers.reading.text import text_key
from tests.conftest import DEMO

PLANS = [AdaptationPlan(*how) for how in ((1, 0.01), (1, 0.1), (5, 0.1))]
RESAMPLES = 500


@dataclass(frozen=True, slots=True)
class Candidates:
    """The responses to one problem.

    Attributes:
        samples: The responses, judged exactly.
        answers: What they answer; None for no answer.
    """

    samples: tuple[Sample, ...]
    answers: tuple[str | None, ...]


Scores = list[Tensor]
"""Of the steps of each candidate of a problem."""
Measure = Callable[[Sequence[Candidates], Sequence[Scores]], float]


def read_candidates(shard: Path, tokenizer: PreTrainedTokenizerBase, num_responses: int) -> list[Candidates]:
    """The samples of a shard by problem."""
    samples = read_samples(shard)
    groups = [samples[start : start + num_responses] for start in range(0, len(samples), num_responses)]
    return [Candidates(group, tuple(_answer(sample, tokenizer) for sample in group)) for group in groups]


def _answer(sample: Sample, tokenizer: PreTrainedTokenizerBase) -> str | None:
    response = sample.document.token_ids[sample.document.num_prompt_tokens :]
    answer = extract_answer(str(tokenizer.decode(list(response), skip_special_tokens=True)))
    return None if answer is None else text_key(answer)


@torch.inference_mode()
def judge(model: Judge, candidates: Candidates) -> Scores:
    """Scores of every step of the candidates of a problem."""
    documents = [sample.document for sample in candidates.samples]
    scores = model.judge(model.encode(collate(documents).token_ids)).sigmoid()
    return [row[list(document.step_ends)] for row, document in zip(scores, documents, strict=True)]


def auc(problems: Sequence[Candidates], scores: Sequence[Scores]) -> float:
    """Step AUC of all."""
    labels = [label for problem in problems for sample in problem.samples for label in sample.document.labels]
    flat = torch.cat([steps for each in scores for steps in each])
    return area_under_curve(flat, torch.tensor(labels) >= RIGHT_FROM) or 0.0


def best_of_n(problems: Sequence[Candidates], scores: Sequence[Scores]) -> float:
    """Share of problems whose best response is right."""
    chosen = [max(range(len(each)), key=lambda index: float(each[index][-1])) for each in scores]
    return statistics.fmean(problem.samples[i].is_right for problem, i in zip(problems, chosen, strict=True))


def weighted_best_of_n(problems: Sequence[Candidates], scores: Sequence[Scores]) -> float:
    """Share of problems whose answer with the largest sum of scores is right."""
    return statistics.fmean(_elects_right(problem, each) for problem, each in zip(problems, scores, strict=True))


def _elects_right(problem: Candidates, scores: Scores) -> bool:
    weights: defaultdict[str, float] = defaultdict(float)
    for answer, steps in zip(problem.answers, scores, strict=True):
        if answer is not None:
            weights[answer] += float(steps[-1])
    elected = max(weights, key=weights.__getitem__, default=None)
    pairs = zip(problem.answers, problem.samples, strict=True)
    return any(sample.is_right for answer, sample in pairs if answer == elected)


def difference(
    measure: Measure, problems: Sequence[Candidates], adapted: Sequence[Scores], plain: Sequence[Scores]
) -> str:
    """Adapted above plain, with its interval."""

    def value(rows: Sequence[int]) -> float:
        chosen = [problems[row] for row in rows]
        return measure(chosen, [adapted[row] for row in rows]) - measure(chosen, [plain[row] for row in rows])

    rng, rows = Random(0), range(len(problems))
    resampled = sorted(value(rng.choices(rows, k=len(rows))) for _ in range(RESAMPLES))
    tail = RESAMPLES // 40
    return f"{value(rows):+.4f} ({resampled[tail]:+.4f} to {resampled[-1 - tail]:+.4f})"


def main(verifier: Path, num_problems: int, num_responses: int, work: Path) -> None:
    """Sample, judge and print the table."""
    torch.set_num_threads(1)
    plan = Plan(2_000, 1, num_problems, num_responses, num_continuations=0, held_out=True)
    (shard,) = draw_samples(DEMO / "policy", plan, work)
    problems = read_candidates(shard, AutoTokenizer.from_pretrained(DEMO / "policy"), num_responses)
    is_seed = read_config(verifier)["architectures"] == [ARCHITECTURE]
    model: Judge = load_test_time_compute(verifier) if is_seed else load_reward_model(verifier)
    plain = [judge(model, candidates) for candidates in problems]
    measures: list[Measure] = [auc, best_of_n, weighted_best_of_n]
    title = ", ".join(f"{measure.__name__} {measure(problems, plain):.4f}" for measure in measures)
    names = ("step AUC", "best_of_n", "weighted_best_of_n", "loss", "drift", "not finite", "ms a problem")
    table = Table("steps, rate", *names, title=f"{len(problems)} problems x {num_responses}; unadapted: {title}")
    for how in PLANS:
        scores, reports, seconds = [], [], []
        for candidates in problems:
            documents = [sample.document for sample in candidates.samples]
            num_prompt = documents[0].num_prompt_tokens
            responses = [document.token_ids[num_prompt:] for document in documents]
            start = time.perf_counter()
            outcome = adapt(model, documents[0].token_ids[:num_prompt], responses, how)
            seconds.append(time.perf_counter() - start)
            scores.append(judge(outcome.model, candidates))
            reports.append(outcome.report)
        good = [report for report in reports if report.is_finite]
        losses = [statistics.fmean(report.losses[place] for report in good) for place in (0, -1)]
        table.add_row(
            f"{how.steps}, {how.learning_rate}",
            *(difference(measure, problems, scores, plain) for measure in measures),
            f"{losses[0]:.4f} to {losses[1]:.4f}",
            f"{statistics.fmean(report.drift or 0.0 for report in good):.5f}",
            str(len(reports) - len(good)),
            f"{1000 * statistics.median(seconds):.0f}",
        )
    Console(width=190).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verifier", type=Path, default=DEMO / "prm")
    parser.add_argument("--problems", type=int, default=150)
    parser.add_argument("--responses", type=int, default=8)
    parser.add_argument("--work", type=Path, help="keeps the samples; a temporary folder if not given")
    arguments = parser.parse_args()
    with TemporaryDirectory() as directory:
        main(arguments.verifier, arguments.problems, arguments.responses, arguments.work or Path(directory))
