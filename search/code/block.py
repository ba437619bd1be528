"""The program in a response: its last fenced block of Python."""

import re

_FENCE = re.compile(r"^ {0,3}+(`{3,}+|~{3,}+)[ \t]*+([\w+.-]*+)[^`\n]*+$", re.MULTILINE)  # no text is read twice
_PYTHON = frozenset({"", "python", "python3", "py", "py3"})


def last_program(response: str) -> str | None:
    """Return the last closed block whose language is Python or left out; None without one.

    Blocks in other languages, such as the output that a response expects, are passed over.
    """
    program = None
    opened: re.Match[str] | None = None
    for fence in _FENCE.finditer(response):
        if opened is None:
            opened = fence
        elif _closes(fence, opened):
            if opened[2].lower() in _PYTHON:
                program = response[opened.end() + 1 : fence.start()]
            opened = None
    return program if program and not program.isspace() else None


def _closes(fence: re.Match[str], opened: re.Match[str]) -> bool:
    return fence[1].startswith(opened[1]) and not fence[2]
