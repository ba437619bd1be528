"""Skywork-o1-Open-PRM (1.5B and 7B) as a verifier: the problem in one line, then a line for each step.

The score of a step is the sigmoid of the value head at the newline that closes it. Newlines inside a step become
spaces: behind the problem there are as many newlines as steps.

Source: SkyworkAI/skywork-o1-prm-inference.
Beyond the source: no empty last step is judged.

Tested on a seeded checkpoint of the same architecture and weights' names against plain transformers; not run on the
published weights.
"""

from collections.abc import Sequence

from models.checkpoints.head import Head, read_size
from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import TextTokenizer
from models.engine_client import EngineClient
from models.engines.running import ModelSettings
from models.errors import CheckpointError
from models.interfaces import Problem, Step
from models.prm.layout import Layout
from models.prm.pooling_prm import PoolingPRM, check_reward_model, pooled
from models.prm.served import Served

HEAD = Head((("v_head.summary", 1),))
SEPARATOR = "\n"


class SkyworkPRM(PoolingPRM):
    """A process reward model of Skywork.

    Args:
        engine: Runs the model.
        tokenizer: The model's own, which has a token that begins a text.
    """

    def __init__(self, engine: EngineClient, tokenizer: TextTokenizer) -> None:
        super().__init__(engine)
        self._tokenizer = tokenizer
        self._separator = tokenizer.id_of(SEPARATOR)

    def lay_out(self, problem: Problem, steps: Sequence[Step]) -> Layout:
        """The problem's line and those of the steps."""
        prompt = [*self._tokenizer.begin_ids, *self._tokenizer.encode(problem.text.strip() + SEPARATOR)]
        lines = (" ".join(step.text.strip().split(SEPARATOR)) for step in steps)
        return Layout.of(prompt, ([*self._tokenizer.encode(line), self._separator] for line in lines))


def read(settings: ModelSettings, prompts: PromptBuilder) -> Served:
    """Check the checkpoint, which has prompts of its own.

    Raises:
        CheckpointError: It cannot be served.
    """
    check_reward_model(settings, HEAD)
    tokenizer = TextTokenizer(settings.model)
    tokenizer.require_ids_below(read_size(settings.model, "vocab_size"))
    tokenizer.id_of(SEPARATOR)
    if not tokenizer.begin_ids:
        raise CheckpointError(f"{settings.model / 'tokenizer_config.json'}: bos_token is missing")
    return pooled(HEAD, lambda engine: SkyworkPRM(engine, tokenizer))
