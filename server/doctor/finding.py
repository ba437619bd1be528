"""Findings: what was checked, what was seen, and how to fix it."""

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """Severity of a finding."""

    FINE = "fine"
    CAUTION = "caution"
    STOPS = "stops"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        check: What was checked.
        verdict: Whether it stops `winnow serve`.
        seen: What was seen, in a sentence.
        remedy: How to fix it; None if nothing is wrong.
    """

    check: str
    verdict: Verdict
    seen: str
    remedy: str | None = None


def fine(check: str, seen: str) -> Finding:
    return Finding(check, Verdict.FINE, seen)


def caution(check: str, seen: str, remedy: str) -> Finding:
    """The service starts, but performs worse than it could."""
    return Finding(check, Verdict.CAUTION, seen, remedy)


def stops(check: str, seen: str, remedy: str) -> Finding:
    return Finding(check, Verdict.STOPS, seen, remedy)
