"""The marks that a model writes around its thoughts, by the names of vLLM's reasoning parsers, too.

Imports no engine and no tensor: settings name them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from models.spelling import did_you_mean


@dataclass(frozen=True, slots=True)
class Marks:
    """What a model writes around its thoughts.

    Attributes:
        start: Opens them. A chat template can write it, so that the response begins inside the thoughts.
        ends: Each of these closes them; at least one.
        at_limit: What is written for the model where the budget of its thoughts is spent; holds one of `ends`.
    """

    start: str
    ends: tuple[str, ...]
    at_limit: str

    @classmethod
    def of(cls, start: str, *ends: str, at_limit: str | None = None) -> "Marks":
        """Make them; the first end is what is written at the limit, where nothing else is named.

        Raises:
            ValueError: A mark is blank, an end is the start, or `at_limit` closes nothing.
        """
        if not ends or not all(text.strip() for text in (start, *ends)):
            raise ValueError("a mark is blank or missing; name a start and at least one end")
        if start in ends:
            raise ValueError(f"{start!r} cannot both open and close the thoughts")
        at_limit = ends[0] if at_limit is None else at_limit
        if not any(end in at_limit for end in ends):
            raise ValueError(f"at_limit is {at_limit!r}, which closes nothing; it must hold {' or '.join(ends)}")
        return cls(start, ends, at_limit)

    @property
    def texts(self) -> tuple[str, ...]:
        """All of them."""
        return (self.start, *self.ends)


THINK = Marks.of("<think>", "</think>")
COHERE = Marks.of("<|START_THINKING|>", "<|END_THINKING|>")
HARMONY = Marks.of(
    "<|channel|>analysis<|message|>",
    "<|end|><|start|>assistant<|channel|>final<|message|>",
    "<|channel|>final<|message|>",
)
"""Without an analysis the final channel comes at once."""

THINKERS = (
    "deepseek_r1 deepseek_v4 deepseek_v41 ernie45 glm45 glm47 granite_thinking_parser holo2 hy_v3 hy_v4 kimi_k2 ling3 "
    "mimo minicpmv minimax_m2 nemotron_v3 olmo3 qwen3 step3 step3p5"
)
PARSERS: Mapping[str, Marks] = dict.fromkeys(THINKERS.split(), THINK) | {
    "cohere_command3": COHERE,
    "cohere_command4": COHERE,
    "gemma4": Marks.of("<|channel>", "<channel|>"),
    "inkling": Marks.of("<|content_thinking|>", "<|end_message|>"),
    "k2_horizon": Marks.of("<ifm|think>", "</ifm|think>"),
    "kimi_k3": Marks.of("<|open|>think<|sep|>", "<|close|>think<|sep|>"),
    "minimax_m3": Marks.of("<mm:think>", "</mm:think>"),
    "mistral": Marks.of("[THINK]", "[/THINK]"),
    "openai_gptoss": HARMONY,
    "plamo3": Marks.of("<|plamo:begin_think:plamo|>", "<|plamo:end_think:plamo|>"),
    "seed_oss": Marks.of("<seed:think>", "</seed:think>"),
}
"""By the name of vLLM's reasoning parser: all of its registry that have marks, and gpt-oss's, which has none there.

A gateway without vLLM reads the same names; a test compares them with the registry.
"""


def parser_of(marks: Marks) -> str | None:
    """Return a reasoning parser of vLLM's that reads these marks; None where there is none."""
    if (marks.start, marks.ends) == (THINK.start, THINK.ends):
        return "qwen3"  # which knows responses without thoughts, too
    names = (name for name, each in PARSERS.items() if (each.start, each.ends) == (marks.start, marks.ends))
    return next(names, None)


def marks_of(parser: str) -> Marks:
    """Return the marks of a reasoning parser of vLLM's.

    Raises:
        ValueError: They are not known.
    """
    if parser not in PARSERS:
        allowed = f"name the marks, or use one of {', '.join(sorted(PARSERS))}"
        raise ValueError(
            f"{parser} is no reasoning parser whose marks are known; {did_you_mean(parser, PARSERS, allowed)}"
        )
    return PARSERS[parser]
