"""What the scripts share: where the service is, what they ask, and how they know an answer."""

import sys
from dataclasses import dataclass

PROBLEM = "Compute (17 + 28) * 3 - 45."


@dataclass(frozen=True)
class Service:
    """A service, and what its models are called: the policy itself, and a search."""

    url: str
    models: tuple[str, str]

    @classmethod
    def of_command_line(cls) -> "Service":
        return cls(sys.argv[1], (sys.argv[2], sys.argv[3]))


def check(text: object) -> None:
    """Stop with an error where a text is not the solution of a problem."""
    if not isinstance(text, str) or "boxed" not in text:
        raise SystemExit(f"no solution: {text!r}")
