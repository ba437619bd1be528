r"""What a chat model is told where nobody says: to reason step by step, and to put its answer into a box.

Without it most chat models state their answers in ways of their own, in which none is found. Llama 3's and Qwen's
families have the prompts that their published results were made with. A policy that `winnow train-policy` trained is
told what it was told there: another prompt than in training can cost it nearly all that it learnt.

Source: search-and-learn (Hugging Face), for Llama's; the model cards of Qwen2.5-Math, for Qwen's.
"""

from pathlib import Path
from typing import NamedTuple

from jinja2 import TemplateError

from models.checkpoints.chat_template import compile_template, render
from models.checkpoints.checkpoint import CONFIG_FILE, read_json
from models.checkpoints.fingerprint import REPORT_FILE
from models.checkpoints.pretrained import read_chat_template

LLAMA = r"""Solve the following math problem efficiently and clearly:

- For simple problems (2 steps or fewer):
Provide a concise solution with minimal explanation.

- For complex problems (3 steps or more):
Use this step-by-step format:

## Step 1: [Concise description]
[Brief explanation and calculations]

## Step 2: [Concise description]
[Brief explanation and calculations]

...

Regardless of the approach, always conclude with:

Therefore, the final answer is: $\boxed{answer}$. I hope it is correct.

Where [answer] is just the final number or expression that solves the problem."""

QWEN = r"Please reason step by step, and put your final answer within \boxed{}."

OTHERS = (
    r"Solve the problem step by step, each step in a paragraph of its own. "
    r"End with a line that says: The final answer is $\boxed{answer}$."
)

TRAINED_WITH = "system_prompt"
"""Where the report of a training says what all of its rows were told; not there if they were told different things."""

_MARK = "\ue000"


class Suggestion(NamedTuple):
    """A system prompt, and whose it is; no text where the chat template has no place for one."""

    text: str | None
    origin: str


def suggest_system_prompt(directory: Path) -> Suggestion:
    """Return the prompt for the chat model in a directory.

    Raises:
        CheckpointError: Its configuration or its chat template is missing or cannot be read.
    """
    report = directory / REPORT_FILE
    if report.exists() and TRAINED_WITH in (told := read_json(report)):
        return Suggestion(told[TRAINED_WITH], "as it was trained")
    template = read_chat_template(directory)
    if template is None or not _has_place(template):
        return Suggestion(None, "its chat template has no place for one")
    if "<|start_header_id|>" in template:
        return Suggestion(LLAMA, "that of Llama 3's published results")
    if str(read_json(directory / CONFIG_FILE).get("model_type")).startswith("qwen"):
        return Suggestion(QWEN, "that of Qwen's published results")
    return Suggestion(OTHERS, "the default for chat models")


def _has_place(template: str) -> bool:
    chat = [{"role": "system", "content": _MARK}, {"role": "user", "content": "1 + 1?"}]
    try:
        return _MARK in render(compile_template(template), chat, add_generation_prompt=True)
    except TemplateError:
        return False
