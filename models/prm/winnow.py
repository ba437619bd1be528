"""The project's own reward model as a verifier: a response reaches it as the policy's own token ids.

Nothing is tokenised twice, and a step is scored at its last token. The checkpoint is that of `reward_model.py`.
"""

from collections.abc import Sequence

from models.checkpoints.checkpoint import CONFIG_FILE, read_config
from models.checkpoints.head import read_size, scorer_head
from models.checkpoints.pretrained import TOKENIZER_FILE
from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.engine_client import EngineClient
from models.engines.running import ModelSettings
from models.errors import CheckpointError
from models.interfaces import Problem, Step
from models.prm.layout import Layout
from models.prm.pooling_prm import PoolingPRM, check_reward_model, pooled
from models.prm.served import Served
from models.vllm.settings import ARCHITECTURE


class WinnowPRM(PoolingPRM):
    """The process reward model.

    Args:
        engine: Runs the model.
        prompts: The policy's.
    """

    def __init__(self, engine: EngineClient, prompts: PromptBuilder) -> None:
        super().__init__(engine)
        self._prompts = prompts

    def lay_out(self, problem: Problem, steps: Sequence[Step]) -> Layout:
        """The policy's prompt, and the steps as the policy wrote them."""
        return Layout.of(self._prompts.build(problem), (step.token_ids for step in steps))


def read(settings: ModelSettings, prompts: PromptBuilder) -> Served:
    """Check the checkpoint.

    Raises:
        CheckpointError: It cannot be served, or reads other token ids than the policy writes.
    """
    file, architectures = settings.model / CONFIG_FILE, read_config(settings.model)["architectures"]
    if architectures != [ARCHITECTURE]:
        raise CheckpointError(f"{file}: architectures is {architectures}, not [{ARCHITECTURE!r}]")
    head = scorer_head(read_size(settings.model, "scorer_hidden"))
    check_reward_model(settings, head)
    if ChatTokenizer(settings.model).vocabulary != prompts.tokenizer.vocabulary:
        raise CheckpointError(f"{settings.model / TOKENIZER_FILE}: the vocabulary is not the policy's")
    return pooled(head, lambda engine: WinnowPRM(engine, prompts))
