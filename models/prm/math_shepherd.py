"""Math-Shepherd's published reward model as a verifier: the problem, then a line for each step, closed by " ки".

The score of a step is the probability of "+" against "-" for the token behind its "ки". A step or problem with a word
that begins with that token gets it letter by letter: there are as many of these tokens as steps.

Source: the model card of peiyi9979/math-shepherd-mistral-7b-prm.

Tested on a seeded checkpoint of the same architecture and kind of tokenizer (SentencePiece) and files against plain
transformers; not run on the published weights.
"""

from collections.abc import Sequence
from pathlib import Path

from models.checkpoints.checkpoint import check_causal_model
from models.checkpoints.head import read_size
from models.checkpoints.pretrained import TOKENIZER_FILE
from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import TextTokenizer
from models.engine_client import EngineClient
from models.engines.running import ModelSettings
from models.errors import CheckpointError
from models.interfaces import Problem
from models.prm.generative_prm import RIGHT, WRONG, GenerativePRM
from models.prm.served import Served

TAG = "ки"
NEWLINE = "\n"


class TagTokenizer(TextTokenizer):
    """Tokenises a text line by line, and closes each line with the tag.

    The model's tokenizer puts a space in front of every text. transformers 5 leaves it out where it reads
    tokenizer.model for a `model_type` "mistral"; here it is put back.

    Args:
        directory: Of the checkpoint.

    Raises:
        CheckpointError: The tag or a verdict is not one token, or lines cannot be tokenised on their own.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._front = "" if self.encode(RIGHT) == (self.id_of_word(RIGHT),) else " "
        self._num_lead = len(self.encode(NEWLINE)) - 1
        self._tag = self.id_of_word(TAG)
        whole = self.encode(f"{self._front}1 + 1? Two {TAG}{NEWLINE}Так 2 {TAG}")
        if self.encode_lines(["1 + 1? Two", "Так 2"]) != (*self.begin_ids, *whole):
            raise CheckpointError(f"{directory / TOKENIZER_FILE}: lines cannot be tokenised on their own")

    def id_of_word(self, word: str) -> int:
        """Id of a word behind a space, which must be one token.

        Raises:
            CheckpointError: It is not one.
        """
        before, behind = self.encode("1"), self.encode(f"1 {word}")
        if len(behind) != len(before) + 1:
            raise CheckpointError(
                f"{self.file}: {word!r} behind a space is {len(behind) - len(before)} tokens, not one"
            )
        return behind[-1]

    def encode_lines(self, lines: Sequence[str]) -> tuple[int, ...]:
        """Ids of the lines, in which the tag's token stands at their ends only."""
        token_ids = [*self.begin_ids]
        for index, line in enumerate(lines):
            ids = self.encode(NEWLINE + line)[self._num_lead :] if index else self.encode(self._front + line)
            token_ids += [*self.spell_out(ids, self._tag), self._tag]
        return tuple(token_ids)


class MathShepherdPRM(GenerativePRM):
    """The process reward model of Math-Shepherd.

    Args:
        engine: Runs the model.
        tokenizer: The model's own.
    """

    def __init__(self, engine: EngineClient, tokenizer: TagTokenizer) -> None:
        super().__init__(engine, tokenizer.id_of_word(RIGHT), tokenizer.id_of_word(WRONG))
        self._tokenizer = tokenizer

    def ask(self, problem: Problem, texts: Sequence[str]) -> tuple[int, ...]:
        """Write the lines up to the last step's tag."""
        return self._tokenizer.encode_lines([f"{problem.text.strip()} {texts[0]}", *texts[1:]])


def read(settings: ModelSettings, prompts: PromptBuilder) -> Served:
    """Check the checkpoint, which has prompts of its own.

    Raises:
        CheckpointError: It cannot be served.
    """
    check_causal_model(settings.model, with_weights=settings.has_weights)
    tokenizer = TagTokenizer(settings.model)
    for verdict in (RIGHT, WRONG):
        tokenizer.id_of_word(verdict)
    tokenizer.require_ids_below(read_size(settings.model, "vocab_size"))
    return Served("generate", lambda engine: MathShepherdPRM(engine, tokenizer))
