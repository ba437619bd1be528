"""Answers: found in responses, brought into canonical form, compared by it. Knows nothing of searches.

What is named here is loaded when it is first used: nothing is computed, and SymPy not imported, before.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.answers.answer import Answer, AnswerReader
    from search.answers.canonical import answer_key, equivalent
    from search.answers.checked import CheckingReader
    from search.answers.comparison import Comparison
    from search.answers.extract import Boxes, extract_answer
    from search.answers.pool import AnswerPool

_HOMES = {
    "Answer": "answer",
    "AnswerReader": "answer",
    "answer_key": "canonical",
    "equivalent": "canonical",
    "CheckingReader": "checked",
    "Comparison": "comparison",
    "extract_answer": "extract",
    "Boxes": "extract",
    "AnswerPool": "pool",
}
"""The module of each name."""

__all__ = [
    "Answer",
    "AnswerPool",
    "AnswerReader",
    "Boxes",
    "CheckingReader",
    "Comparison",
    "answer_key",
    "equivalent",
    "extract_answer",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
