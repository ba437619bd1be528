"""What the demo pair can do on held-out problems: the policy's pass@1, and how the reward model judges its steps."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from models.prm.reward_model import load_reward_model
from models.training.demo.samples import Plan, Sample, draw_samples, read_samples
from models.training.prm.agreement import ALL, Judged, agreement_table, by_family, group_by, score_documents, steps_of
from models.training.prm.reliability import plot_reliability

HELD_OUT = Plan(seed=1_000, num_shards=1, num_tasks=500, num_responses=8, num_continuations=0, held_out=True)
PLOT_FILE = "reliability.png"


def evaluate_demo(demo: Path) -> None:
    """Sample held-out problems with the pair in `demo`, print its tables and draw the verifier's reliability there."""
    with TemporaryDirectory() as directory:
        (shard,) = draw_samples(demo / "policy", HELD_OUT, Path(directory))
        samples = read_samples(shard)
    judged = judge_samples(samples, demo / "prm")
    console = Console(width=110)
    console.print(policy_table(samples))
    console.print(agreement_table(by_family(judged)))
    plot_reliability(*steps_of(judged), demo / PLOT_FILE)


def judge_samples(samples: Sequence[Sample], reward_model: Path) -> list[Judged]:
    """The samples as the reward model scores them."""
    scores = score_documents(load_reward_model(reward_model), [sample.document for sample in samples])
    return [Judged(s.document.labels, each, s.family, _error_kind(s)) for s, each in zip(samples, scores, strict=True)]


def policy_table(samples: Sequence[Sample]) -> Table:
    """Share of right answers by family and level."""
    levels = sorted({str(sample.level) for sample in samples})
    table = Table("pass@1, %", *(f"level {level}" for level in levels), ALL, title=f"policy, {len(samples)} samples")
    families = group_by(samples, lambda sample: sample.family) | {ALL: list(samples)}
    for family, group in families.items():
        by_level = group_by(group, lambda sample: str(sample.level)) | {ALL: group}
        table.add_row(family, *(_pass_at_1(by_level.get(level, [])) for level in (*levels, ALL)))
    return table


def _error_kind(sample: Sample) -> str | None:
    if all(sample.document.labels):
        return None
    return "arithmetic" if sample.is_slip else "method"


def _pass_at_1(samples: Sequence[Sample]) -> str:
    return f"{100 * sum(sample.is_right for sample in samples) / len(samples):.1f}" if samples else "-"
