"""Expected calibration error: how far stated probabilities are from what comes true.

Source: Guo et al. 2017 (1706.04599), with ten bins of equal width.
"""

from collections import defaultdict
from collections.abc import Sequence

NUM_BINS = 10


def expected_calibration_error(predictions: Sequence[tuple[float, bool]]) -> float:
    """Return the mean distance, over bins, of the mean probability from the share that came true, in [0, 1].

    Args:
        predictions: Probabilities and whether they came true; at least one.
    """
    gaps: dict[int, float] = defaultdict(float)
    for probability, came_true in predictions:
        gaps[min(int(probability * NUM_BINS), NUM_BINS - 1)] += probability - came_true
    return sum(map(abs, gaps.values())) / len(predictions)
