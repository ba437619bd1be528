"""A reward function for TRL's GRPOTrainer: the score that winnow's verifier gives to each completion.

    from trl import GRPOTrainer
    from trl_reward import VerifierReward

    trainer = GRPOTrainer(model=..., reward_funcs=VerifierReward("http://127.0.0.1:8000"), train_dataset=...)

Beside this file stands `winnow_client.py`. The prompts of the dataset are texts, or chats whose last turn is the
problem. The completions of one prompt are judged in one request, so that what they have in common is read once.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from winnow_client import Winnow


class VerifierReward:
    """Rewards completions with their scores, from 0 to 1; None for one that cannot be judged, which TRL leaves out.

    Args:
        url: Of the service.
        api_key: Where it asks for one.
        aggregation: From step scores to a reward: last, min or prod.
    """

    __name__ = "verifier_score"  # what TRL calls it in its logs

    def __init__(self, url: str, api_key: str | None = None, aggregation: str = "last") -> None:
        self._winnow = Winnow(url, api_key)
        self._aggregation = aggregation

    def __call__(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """Return a reward for each completion.

        Args:
            prompts: Of the completions: texts, or chats.
            completions: Texts, or chats of one turn.
            columns: Of the dataset; not read.
        """
        rewards: list[float | None] = [None] * len(completions)
        places: defaultdict[tuple[tuple[str, str], ...], list[int]] = defaultdict(list)
        for place, prompt in enumerate(prompts):
            places[_turns(prompt)].append(place)
        for key, group in places.items():
            for place, reward in zip(
                group, self._judge(key, [text_of(completions[place]) for place in group]), strict=True
            ):
                rewards[place] = reward
        return rewards

    def _judge(self, turns: tuple[tuple[str, str], ...], responses: list[str]) -> list[float | None]:
        *history, (_, problem) = [turn for turn in turns if turn[0] != "system"]
        fields: dict[str, Any] = {"history": [{"role": role, "content": text} for role, text in history]}
        if system := [text for role, text in turns if role == "system"]:
            fields["system_prompt"] = system[0]
        rewards: list[float | None] = self._winnow.rewards(problem, responses, aggregation=self._aggregation, **fields)
        return rewards


def text_of(completion: Any) -> str:
    """Return the text of a completion, which is one or a chat."""
    return completion if isinstance(completion, str) else "".join(turn["content"] for turn in completion)


def _turns(prompt: Any) -> tuple[tuple[str, str], ...]:
    if isinstance(prompt, str):
        return (("user", prompt),)
    return tuple((turn["role"], turn["content"]) for turn in prompt)
