"""Skywork-Reward-V2 (Qwen3 of 0.6B to 8B, Llama of 1B to 8B) as verifiers: outcome reward models with one label.

The model reads the chat in which the user states the problem and the assistant has said the response, as its own
template writes it (that of Qwen3 puts an empty block of thoughts before the answer), and its one logit is a reward of
the Bradley-Terry model: differences of rewards have a meaning, a reward alone has none. Its sigmoid ranks as the reward
does and saturates: rewards of 23 and 3.6, the card's example, are 1.000 and .973. So `best_of_n` chooses as published,
and `weighted_best_of_n` is nearly a majority vote.

Source: the model card of Skywork/Skywork-Reward-V2-Qwen3-8B, and its siblings'.
Beyond the source: what `models.prm.outcome` says of steps and of the prefix cache. No system prompt, as on the card.

Tested on a seeded checkpoint of the same architecture and chat format against plain transformers; not run on the
published weights.
"""

from models.checkpoints.checkpoint import CONFIG_FILE
from models.checkpoints.prompt import PromptBuilder
from models.engines.running import ModelSettings
from models.errors import CheckpointError
from models.prm import outcome
from models.prm.served import Served


def read(settings: ModelSettings, prompts: PromptBuilder) -> Served:
    """Check the checkpoint, which has prompts of its own.

    Raises:
        CheckpointError: It cannot be served.
    """
    served = outcome.read(settings, prompts)
    if (num_labels := outcome.read_num_labels(settings.model)) != 1:
        file = settings.model / CONFIG_FILE
        raise CheckpointError(f"{file}: id2label has {num_labels} labels, not 1; verifier_format outcome takes two")
    return served
