"""A reward function for verl: the score that winnow's verifier gives to each solution of a batch.

    custom_reward_function.path=verl_reward.py
    custom_reward_function.name=compute_score
    reward_model.reward_manager=batch
    +custom_reward_function.reward_kwargs.url=http://127.0.0.1:8000

Beside this file stands `winnow_client.py`. The problem is `extra_info["question"]`, as in verl's own data, or what
`problem_key` names. Solutions to one problem are judged in one request.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from winnow_client import Winnow


def compute_score(
    data_sources: Sequence[str],
    solution_strs: Sequence[str],
    ground_truths: Sequence[Any],
    extra_infos: Sequence[Mapping[str, Any]],
    url: str,
    api_key: str | None = None,
    problem_key: str = "question",
    aggregation: str = "last",
) -> list[float]:
    """Return a reward from 0 to 1 for each solution; 0 for one that shows nothing or cannot be judged.

    Args:
        data_sources: Not read.
        solution_strs: To be judged.
        ground_truths: Not read: the verifier knows none.
        extra_infos: Hold the problems.
        url: Of the service.
        api_key: Where it asks for one.
        problem_key: Name of the problem in `extra_infos`.
        aggregation: From step scores to a reward: last, min or prod.
    """
    rewards = [0.0] * len(solution_strs)
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, info in enumerate(extra_infos):
        places[info[problem_key]].append(place)
    with Winnow(url, api_key) as winnow:
        for problem, group in places.items():
            solutions = [solution_strs[place] for place in group]
            for place, reward in zip(group, winnow.rewards(problem, solutions, aggregation=aggregation), strict=True):
                rewards[place] = reward or 0.0
    return rewards
