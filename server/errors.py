"""The service's own errors; what a client reads of them, and of those of models and searches, is in http/errors.py.

RequestError               the request is well-formed and cannot be served
FullError                  the queue has no room for a search
  TooLateError             its deadline passed in the queue
  BackgroundFullError      as many searches as allowed are kept
StoreUnavailableError      searches that outlive their connection cannot be kept or found now
ClientDisconnectedError    the client closed the connection; nobody is left to answer
"""


class RequestError(Exception):
    """A request that is well-formed and cannot be served.

    Args:
        message: What is wrong and what to send instead.
        param: The offending field.
        status: HTTP status, 4xx.
        code: For programs.
    """

    def __init__(self, message: str, param: str, status: int = 422, code: str | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.status = status
        self.code = code


class FullError(Exception):
    """The queue has no room for a search.

    Args:
        retry_after_s: When to ask again, in whole seconds.
        reason: In words; None: that of the class.
    """

    reason, code = "too many searches are waiting", "queue_full"

    def __init__(self, retry_after_s: int, reason: str | None = None) -> None:
        super().__init__(reason or self.reason)
        self.retry_after_s = retry_after_s


class TooLateError(FullError):
    """The deadline of a search passed in the queue, before there was anything to return the best of."""

    reason, code = "the deadline passed while the search waited for others", "deadline_in_queue"


class BackgroundFullError(FullError):
    """As many searches as allowed outlive their connection or are kept after their end."""

    code = "background_full"


class StoreUnavailableError(Exception):
    """Searches that outlive their connection cannot be kept or found now."""


class ClientDisconnectedError(Exception):
    """The client closed the connection; nobody is left to answer."""


def too_much(name: str, asked: float, most: float) -> RequestError:
    """Return the error for a field above the limit of this service."""
    return RequestError(f"{name}: {asked:,} is more than this service allows; allowed: at most {most:,}", name)
