r"""Finds the answer that a response states.

The last box wins (`\boxed{}`, `\fbox{}`), then GSM8K's last `#### 42`, then the last "the answer is". Knows nothing of
what an answer means, and never guesses: a response that states no answer has none.
"""

import re

MAX_SCANNED = 100_000
"""Characters read from the end of a response, on the event loop: the scan is linear and takes milliseconds."""

MAX_BRACES = 1_000
"""Braces that may be open at once; what is nested deeper states nothing that anybody could read."""

_BRACE = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)
_BARE_BOX = re.compile(r"\\boxed\s*([^\s{}\\$]+)")
_HASHES = re.compile(r"####[ \t]*(\S[^\n]*)")
_PHRASE = re.compile(r"\banswer(?:\s+is\b|[ \t]*:)[\s:*]*", re.IGNORECASE)
_LAST_LINE = re.compile(r"(?:^|\n)A:[ \t]*(\S[^\n]*)\s*\Z")
_FORMULA = re.compile(r"\$\$?([^$]+)\$\$?|\\\(((?:(?!\\\)).)+)\\\)|\\\[((?:(?!\\\]).)+)\\\]", re.DOTALL)
_SENTENCE_END = re.compile(r"\.(?=\s|\Z)|\n")


def extract_answer(response: str) -> str | None:
    """Return the answer as the response wrote it, without the box or the phrase around it; None where it has none."""
    end = response[-MAX_SCANNED:]
    return (
        _last_box(end)
        or _last_match(_BARE_BOX, end)
        or _last_match(_HASHES, end)
        or _last_phrase(end)
        or _last_match(_LAST_LINE, end)
    )


def _last_box(text: str) -> str | None:
    """Content of the box that closes last, blank ones aside; an outer box closes after those in it."""
    answer = None
    opened: list[int | None] = []  # where the content of each open box begins; None for a plain brace
    for match in _BRACE.finditer(text):
        if match[0] == "}" and opened:
            start = opened.pop()
            if start is not None:
                answer = text[start : match.start()].strip() or answer
        elif match[0] == "{" or match[0].startswith((r"\boxed", r"\fbox")):
            if len(opened) == MAX_BRACES:
                break
            opened.append(None if match[0] == "{" else match.end())
    return answer


def _last_phrase(text: str) -> str | None:
    """What stands behind the last "answer is": its formula where it begins with one, else the rest of the sentence."""
    ends = [match.end() for match in _PHRASE.finditer(text)]
    if not ends:
        return None
    rest = text[ends[-1] :]
    if formula := _FORMULA.match(rest):
        return next(filter(None, formula.groups())).strip() or None
    return _SENTENCE_END.split(rest, maxsplit=1)[0].strip() or None


def _last_match(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.findall(text)
    return str(found[-1]).strip() if found else None
