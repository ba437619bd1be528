"""Qwen2.5-Math-PRM (7B and 72B) as a verifier: a chat whose answer has `<extra_0>` after each step.

The score of a step is the probability of the second of two classes at its `<extra_0>`. A step that spells `<extra_0>`
gets those nine characters, not the token: there are as many of these as steps.

Source: the model card of Qwen/Qwen2.5-Math-PRM-7B.
Beyond the source: scores are read by position, not where a masked probability is not 0; and incrementally, for which
vLLM's own class for this architecture has no way.

Tested on a seeded checkpoint of the same architecture, configuration and chat format against plain transformers; not
run on the published weights.
"""

from collections.abc import Sequence
from typing import ClassVar

from models.checkpoints.head import Head, read_size
from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.engine_client import EngineClient
from models.engines.running import ModelSettings
from models.interfaces import Problem, Step
from models.prm.layout import Layout
from models.prm.pooling_prm import PoolingPRM, check_reward_model, pooled
from models.prm.served import Served

SYSTEM_PROMPT = r"Please reason step by step, and put your final answer within \boxed{}."
SEPARATOR = "<extra_0>"


class QwenMathPRM(PoolingPRM):
    """A process reward model of Qwen.

    Attributes:
        system_prompt: The model's; None leaves it to the chat template.

    Args:
        engine: Runs the model.
        tokenizer: The model's own.

    Raises:
        CheckpointError: The tokenizer has no `<extra_0>`.
    """

    system_prompt: ClassVar[str | None] = SYSTEM_PROMPT

    def __init__(self, engine: EngineClient, tokenizer: ChatTokenizer) -> None:
        super().__init__(engine)
        self._tokenizer = tokenizer
        self._prompts = PromptBuilder(tokenizer, self.system_prompt)
        self._separator = tokenizer.id_of_token(SEPARATOR)

    def lay_out(self, problem: Problem, steps: Sequence[Step]) -> Layout:
        """The chat up to the last step's `<extra_0>`; whatever system prompt the policy had, here it is the model's."""
        prompt = self._plain(self._prompts.build(Problem(problem.text)))
        texts = (self._plain(self._tokenizer.encode(step.text.strip())) for step in steps)
        return Layout.of(prompt, ([*text, self._separator] for text in texts))

    def _plain(self, token_ids: Sequence[int]) -> list[int]:
        return self._tokenizer.spell_out(token_ids, self._separator)


def read(settings: ModelSettings, prompts: PromptBuilder) -> Served:
    """Check the checkpoint, which has prompts of its own.

    Raises:
        CheckpointError: It cannot be served.
    """
    return read_as(QwenMathPRM, settings)


def read_as(kind: type[QwenMathPRM], settings: ModelSettings) -> Served:
    """Check the checkpoint of a model of this architecture and chat.

    Raises:
        CheckpointError: It cannot be served.
    """
    head = Head((("score.0", read_size(settings.model, "hidden_size")), ("score.2", 2)), "relu")
    check_reward_model(settings, head)
    tokenizer = ChatTokenizer(settings.model)
    tokenizer.require_ids_below(read_size(settings.model, "vocab_size"))
    separator = tokenizer.id_of_token(SEPARATOR)
    tokenizer.spell_out([separator], separator)
    return pooled(head, lambda engine: kind(engine, tokenizer))
