"""What can be wrong with a search that is asked for.

SearchError
├── HyperparameterError   a strategy cannot run with this value
├── NotStoredError        a stored search does not hold what another one would ask for
└── StrategyError         a strategy of an installed package cannot be loaded
"""


class SearchError(Exception):
    """A search could not be made."""


class HyperparameterError(SearchError):
    """A strategy cannot run with this value.

    Args:
        field: Name of the offending hyperparameter.
        message: What was wrong and what is allowed.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class StrategyError(SearchError):
    """A strategy of an installed package cannot be loaded."""


class NotStoredError(SearchError):
    """A stored search does not hold what another one would ask its models for."""
