"""Outcome reward models as verifiers: they judge a whole response, by one number where the chat ends.

A sequence classifier (`...ForSequenceClassification`) with one label, whose sigmoid is the score, or with two, the
classes wrong and right. It reads the chat in which the user states the problem and the assistant has said the response,
to the end of the assistant's turn.

Such a model was trained on whole responses. A step is judged as if the response ended there: what a strategy reads with
`last` from a complete response is the model's own score; scores before that, and so `min`, `prod` and tree searches,
ask it what it was not trained for.

Beyond the published use: each new step costs its own tokens and the end of the turn, since the chat up to the step
before comes from the engine's prefix cache.

Tested on a seeded checkpoint against plain transformers; not run on published weights.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from models.checkpoints.checkpoint import CONFIG_FILE, read_config
from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.engine_client import EngineClient, require_room
from models.engines.running import ModelSettings
from models.errors import CheckpointError, EngineUnavailableError
from models.interfaces import Meter, Problem, Step, Verdict
from models.prm.generative_prm import sigmoid
from models.prm.served import Served

SUFFIX = "ForSequenceClassification"
NUM_LABELS = (1, 2)


class DialogueTokenizer(ChatTokenizer):
    """A chat that ends where the assistant has spoken, not where it speaks next."""

    _asks = False


class OutcomeVerifier:
    """An outcome reward model.

    Args:
        engine: Runs the model.
        tokenizer: The model's own.
        num_labels: Of the classifier, 1 or 2.
    """

    verdict = Verdict.RESPONSE

    def __init__(self, engine: EngineClient, tokenizer: DialogueTokenizer, num_labels: int) -> None:
        self.engine = engine
        self._num_labels = num_labels
        self._tokenizer = tokenizer

    async def score(
        self, problem: Problem, prefix: Sequence[Step], steps: Sequence[Step], meter: Meter
    ) -> tuple[float, ...]:
        """Judge `steps`, which follow `prefix`, each as the end of a response. A call that is cancelled is not counted.

        Raises:
            ContextOverflowError: The response is longer than the verifier's context.
            EngineUnavailableError: The engine died or refused the request.
        """
        texts = [step.text for step in (*prefix, *steps)]
        responses = ["".join(texts[: num_read + 1]) for num_read in range(len(prefix), len(texts))]
        chats = [self._tokenizer.encode_chat([("user", problem.text), ("assistant", text)]) for text in responses]
        require_room(self.engine, len(chats[-1]))
        return tuple(await asyncio.gather(*(self._score(problem, chat, meter) for chat in chats)))

    async def _score(self, problem: Problem, chat: tuple[int, ...], meter: Meter) -> float:
        output = await self.engine.classify(chat, affinity=problem.opening)
        meter.verifier_cached_tokens += output.num_cached_tokens
        meter.verifier_tokens += len(chat) - output.num_cached_tokens
        logits = output.logits
        if len(logits) != self._num_labels:
            raise EngineUnavailableError(f"the verifier says {len(logits)} numbers, not {self._num_labels}")
        return sigmoid(logits[-1] - (logits[0] if len(logits) > 1 else 0.0))


def read_num_labels(directory: Path) -> int:
    """Return how many labels a classifier has; two are transformers' default."""
    return len(read_config(directory).get("id2label") or (0, 1))


def check_classifier(directory: Path, *, with_weights: bool = True) -> None:
    """See that a directory holds a sequence classifier with one label or two; its weights are elsewhere without them.

    Raises:
        CheckpointError: It does not; the message names the file and the field.
    """
    file, config = directory / CONFIG_FILE, read_config(directory)
    if not config["architectures"][0].endswith(SUFFIX):
        raise CheckpointError(f"{file}: architectures is {config['architectures']}, not a ...{SUFFIX}")
    num_labels, hidden_size = read_num_labels(directory), config.get("hidden_size")
    if num_labels not in NUM_LABELS:
        raise CheckpointError(f"{file}: id2label has {num_labels} labels, not 1 or 2")
    if not isinstance(hidden_size, int):
        raise CheckpointError(f"{file}: hidden_size is {hidden_size!r}, not a whole number")
    if with_weights:
        from models.checkpoints.weights import read_weights, require_finite, require_shapes  # torch

        weights = read_weights(directory)
        require_shapes(weights, {"score.weight": (num_labels, hidden_size)}, directory)
        require_finite(weights)


def read(settings: ModelSettings, prompts: PromptBuilder) -> Served:
    """Check the checkpoint, which has prompts of its own.

    Raises:
        CheckpointError: It cannot be served.
    """
    check_classifier(settings.model, with_weights=settings.has_weights)
    tokenizer, num_labels = DialogueTokenizer(settings.model), read_num_labels(settings.model)
    return Served("pooling", lambda engine: OutcomeVerifier(engine, tokenizer, num_labels))
