"""What can go wrong with a model. Vendor exceptions are translated into these by the adapters.

ModelError
├── CheckpointError          a model directory cannot be loaded
├── ContextOverflowError     the tokens do not fit into the model's context
├── DeadlyPromptError        the prompt took its engine down twice
├── PromptTooLongError       the prompt is longer than this service reads
├── EngineUnavailableError   the engine is unreachable or refused the request
│   └── EngineDiedError      the engine is dead or hangs, and is started again
└── RequestRefusedError      the engine's own handler refuses a request
"""


class ModelError(Exception):
    """A policy or verifier could not do what was asked."""


class CheckpointError(ModelError):
    """A model directory cannot be loaded; the message names the file and the field."""


class ContextOverflowError(ModelError):
    """The tokens do not fit into the model's context.

    Args:
        num_tokens: Length of what was asked, in tokens.
        max_tokens: Longest that fits, in tokens.
    """

    def __init__(self, num_tokens: int, max_tokens: int) -> None:
        super().__init__(num_tokens, max_tokens)  # as it was called: another process makes the error of these
        self.num_tokens = num_tokens
        self.max_tokens = max_tokens

    def __str__(self) -> str:
        return f"{self.num_tokens} tokens do not fit: at most {self.max_tokens} do"


class DeadlyPromptError(ModelError):
    """The prompt took its engine down twice, and is refused before it does so again."""


class PromptTooLongError(ModelError):
    """The prompt fits into the context, and is longer than this service reads: it would keep others waiting.

    Args:
        num_tokens: Length of the prompt, in tokens, or the least that it can be.
        max_tokens: Longest that is read, in tokens.
        field: Of the request, which holds the prompt.
    """

    def __init__(self, num_tokens: int, max_tokens: int, field: str = "problem") -> None:
        super().__init__(num_tokens, max_tokens, field)
        self.num_tokens = num_tokens
        self.max_tokens = max_tokens
        self.field = field

    def __str__(self) -> str:
        return f"a prompt of {self.num_tokens:,} tokens is more than this service reads; at most {self.max_tokens:,}"


class EngineUnavailableError(ModelError):
    """The engine is unreachable or refused the request."""


class EngineDiedError(EngineUnavailableError):
    """The engine is dead or hangs, and is started again: the request may be repeated then."""


class RequestRefusedError(ModelError):
    """The engine's own handler of OpenAI requests refuses a request: the client's mistake.

    Args:
        message: What was wrong and what is allowed.
        param: The offending field; None where the handler does not say.
    """

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param
