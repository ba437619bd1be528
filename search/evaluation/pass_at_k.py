"""pass@k: how often at least one of k responses is right. No vote over k responses can do better.

Source: Chen et al. 2021 (2107.03374), section 2.1: the unbiased estimator from n >= k responses of which c are right,
1 - C(n - c, k) / C(n, k), the share of all choices of k among them that hold a right one.
"""

import math


def pass_at_k(num_responses: int, num_right: int, k: int) -> float:
    """Return the estimate, in [0, 1].

    Args:
        num_responses: n, at least k.
        num_right: c, of the n.
        k: At least 1.

    Raises:
        ValueError: These are no such numbers.
    """
    if not (1 <= k <= num_responses and 0 <= num_right <= num_responses):
        raise ValueError(f"k = {k} of {num_responses} responses, {num_right} right; allowed: 1 <= k <= n, 0 <= c <= n")
    return 1 - math.comb(num_responses - num_right, k) / math.comb(num_responses, k)
