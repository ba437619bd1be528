"""The reliability plot: how often a step is right that scores so and so."""

from pathlib import Path

from matplotlib.figure import Figure
from torch import Tensor

from models.training.prm.metrics import NUM_BINS, bin_sums, calibration_error


def plot_reliability(scores: Tensor, labels: Tensor, file: Path) -> None:
    """Draw mean label against mean score in bins of equal width, and below it how many steps each bin holds.

    Args:
        scores: Of steps, in [0, 1], (N,).
        labels: Of the same steps, in [0, 1], (N,).
        file: The picture, PNG; another one there is replaced.
    """
    sums = bin_sums(scores, labels)
    counts, mean_scores, mean_labels = sums[:, 0], sums[:, 1] / sums[:, 0], sums[:, 2] / sums[:, 0]
    held = (counts > 0).tolist()
    figure = Figure(figsize=(4.5, 5.5), layout="constrained")
    top, bottom = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    top.plot((0, 1), (0, 1), color="grey", linestyle="--", linewidth=1)
    top.plot(mean_scores[held].tolist(), mean_labels[held].tolist(), marker="o")
    top.set(ylabel="mean label", ylim=(0, 1), xlim=(0, 1))
    top.set_title(f"{len(scores)} steps, ECE {calibration_error(scores, labels):.3f}")
    bottom.bar([(index + 0.5) / NUM_BINS for index in range(NUM_BINS)], counts.tolist(), width=0.9 / NUM_BINS)
    bottom.set(xlabel="score", ylabel="steps", yscale="log", ylim=(0.5, None))
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)
