"""What an examination finds: what was looked at, what was seen, and how to mend it."""

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """How bad it is."""

    FINE = "fine"
    CAUTION = "caution"
    STOPS = "stops"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: What was looked at.
        verdict: How bad it is: whether it stops `winnow serve`.
        seen: What was seen, in a sentence.
        remedy: How to mend it; None where nothing is wrong.
    """

    check: str
    verdict: Verdict
    seen: str
    remedy: str | None = None


def fine(check: str, seen: str) -> Finding:
    """Nothing is wrong."""
    return Finding(check, Verdict.FINE, seen)


def caution(check: str, seen: str, remedy: str) -> Finding:
    """The service starts, and does worse than it could."""
    return Finding(check, Verdict.CAUTION, seen, remedy)


def stops(check: str, seen: str, remedy: str) -> Finding:
    """The service does not start."""
    return Finding(check, Verdict.STOPS, seen, remedy)
