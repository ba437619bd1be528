"""ReasonFlux-PRM-7B as a verifier: the architecture and chat of Qwen2.5-Math-PRM, without a system prompt of its own.

The score of a step is the probability of the second of two classes at its `<extra_0>`. The template says what stands
before the problem where no system prompt is given. It was trained on thoughts with the responses that follow them: it
judges both.

Source: the model card of Gen-Verse/ReasonFlux-PRM-7B, and `ReasonFlux_PRM/README.md` of Gen-Verse/ReasonFlux.
Beyond the source: what `models.prm.qwen_math` says. ReasonFlux-PRM-1.5B is another model, with one score for a whole
response and a head in a file of its own (reward_head.pt): it is not served.

Tested on a seeded checkpoint of the same architecture, configuration and chat format against plain transformers; not
run on the published weights.
"""

from models.checkpoints.prompt import PromptBuilder
from models.engines.running import ModelSettings
from models.errors import CheckpointError
from models.prm.qwen_math import QwenMathPRM, read_as
from models.prm.served import Served

OTHER_HEAD = "reward_head.pt"


class ReasonFluxPRM(QwenMathPRM):
    """A process reward model of ReasonFlux."""

    system_prompt = None


def read(settings: ModelSettings, prompts: PromptBuilder) -> Served:
    """Check the checkpoint, which has prompts of its own.

    Raises:
        CheckpointError: It cannot be served.
    """
    if (file := settings.model / OTHER_HEAD).exists():
        raise CheckpointError(f"{file}: this is the head of ReasonFlux-PRM-1.5B, which is not served; use the 7B model")
    return read_as(ReasonFluxPRM, settings)
