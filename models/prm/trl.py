"""What TRL's PRMTrainer makes, as a verifier: AutoModelForTokenClassification with two labels.

The trainer tokenises the problem and each step on their own, puts the tokenizer's first token before all and the ids of
the step separator behind each step, and labels the last of these: class 1 there is the score. Separators inside a step
become spaces: behind the problem there are as many as steps. The separator is a newline, the trainer's default, unless
config.json says otherwise in `step_separator`: the trainer does not write down which one it had.

Source: `PRMTrainer.tokenize_row` of TRL. (The example of TRL's documentation puts a separator behind the problem, too,
which the trainer does not.)

Tested on seeded checkpoints against plain transformers; not run on published weights.
"""

from collections.abc import Sequence

from models.checkpoints.checkpoint import CONFIG_FILE, read_config
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

HEAD = Head((("score", 2),))
SEPARATOR = "\n"


class TRLPRM(PoolingPRM):
    """A process reward model of TRL's trainer.

    Args:
        engine: Runs the model.
        tokenizer: The model's own.
        separator: What ends a step; more than spaces.
    """

    def __init__(self, engine: EngineClient, tokenizer: TextTokenizer, separator: str = SEPARATOR) -> None:
        super().__init__(engine)
        self._tokenizer = tokenizer
        self._separator = separator

    def lay_out(self, problem: Problem, steps: Sequence[Step]) -> Layout:
        """The problem and the steps, each tokenised on its own."""
        encode = self._tokenizer.encode
        prompt = [*self._tokenizer.begin_ids, *encode(problem.text.strip())]
        texts = (step.text.strip().replace(self._separator, " ") for step in steps)
        separator = encode(self._separator)
        return Layout.of(prompt, ([*encode(text), *separator] for text in texts))


def read(settings: ModelSettings, prompts: PromptBuilder) -> Served:
    """Check the checkpoint, which has prompts of its own.

    Raises:
        CheckpointError: It cannot be served.
    """
    check_reward_model(settings, HEAD)
    tokenizer = TextTokenizer(settings.model)
    tokenizer.require_ids_below(read_size(settings.model, "vocab_size"))
    separator = read_config(settings.model).get("step_separator", SEPARATOR)
    if not isinstance(separator, str) or not separator.strip(" ") or not tokenizer.encode(separator):
        file = settings.model / CONFIG_FILE
        raise CheckpointError(f"{file}: step_separator is {separator!r}, not a text that ends a step")
    return pooled(HEAD, lambda engine: TRLPRM(engine, tokenizer, separator))
