"""RLHFlow's published reward models as verifiers: a chat in which the user says a step and the assistant says "+".

The score of a step is the probability of "+" against "-" where the assistant answers it. A chat only grows at its end.
The history says "+" to all earlier steps, whatever the model thought of them: so it was trained.

Source: RLHFlow/RLHF-Reward-Modeling (math-rm), and Hugging Face's search-and-learn.

Tested on a seeded checkpoint of the same architecture and chat format against plain transformers; not run on the
published weights.
"""

from collections.abc import Sequence

from models.checkpoints.checkpoint import check_causal_model
from models.checkpoints.head import read_size
from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer, Message
from models.engine_client import EngineClient
from models.engines.running import ModelSettings
from models.interfaces import Problem
from models.prm.generative_prm import RIGHT, WRONG, GenerativePRM
from models.prm.served import Served


class RLHFlowPRM(GenerativePRM):
    """A process reward model of RLHFlow.

    Args:
        engine: Runs the model.
        tokenizer: The model's own.

    Raises:
        CheckpointError: A verdict is not one token.
    """

    def __init__(self, engine: EngineClient, tokenizer: ChatTokenizer) -> None:
        super().__init__(engine, tokenizer.id_of(RIGHT), tokenizer.id_of(WRONG))
        self._tokenizer = tokenizer

    def ask(self, problem: Problem, texts: Sequence[str]) -> tuple[int, ...]:
        """Write the chat up to the assistant's verdict on the last step."""
        messages: list[Message] = [("user", f"{problem.text} {texts[0]}")]
        for text in texts[1:]:
            messages += [("assistant", RIGHT), ("user", text)]
        return self._tokenizer.encode_chat(messages)


def read(settings: ModelSettings, prompts: PromptBuilder) -> Served:
    """Check the checkpoint, which has prompts of its own.

    Raises:
        CheckpointError: It cannot be served.
    """
    check_causal_model(settings.model, with_weights=settings.has_weights)
    tokenizer = ChatTokenizer(settings.model)
    tokenizer.require_ids_below(read_size(settings.model, "vocab_size"))
    for verdict in (RIGHT, WRONG):
        tokenizer.id_of(verdict)
    return Served("generate", lambda engine: RLHFlowPRM(engine, tokenizer))
