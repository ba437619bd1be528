# ruff: noqa: RUF001 (signs of Chinese)
r"""Finds the answer that a response states.

Thoughts are left out; then an answer tag wins, then the last box (`\boxed{}`, `\fbox{}`), then GSM8K's last
`#### 42`, then the last "the answer is" of any language in `phrases`. Knows nothing of what an answer means, and never
guesses: a response that states no answer has none, and neither has one that was cut off in its box.

Boxes in a row, with nothing between them but commas, "and" and labels, are one answer, a list: `x = \boxed{1}` and
`y = \boxed{2}` is `x = 1, y = 2`. With `Boxes.LAST` it is the last of them.
"""

import re
from dataclasses import dataclass
from enum import Enum

from search.answers import phrases
from search.answers.reading.markdown import plain
from search.answers.reading.units import find_unit
from search.answers.reading.words import CONJUNCTIONS, TELLING, scale_of

MAX_SCANNED = 100_000
"""Characters read from the end of a response, on the event loop: the scan is linear and takes milliseconds."""

MAX_BRACES = 1_000
"""Braces that may be open at once; what is nested deeper states nothing that anybody could read."""

MAX_SENTENCE = 2_000
"""Characters behind a phrase in which the answer stands."""

MAX_BETWEEN = 60
"""Characters between two boxes in a row."""

THOUGHTS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
)
"""Marks around thoughts, as models of several makers write them."""

_BRACE = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)
_BARE_BOX = re.compile(r"\\boxed\s*([^\s{}\\$]+)")
_OPEN_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{([^$\n]{1,300}?)(?:\$|\\\)|\\\])")
_AND = "|".join(sorted(CONJUNCTIONS, key=len, reverse=True))
_BETWEEN = re.compile(
    rf"(?:[\s$,;、，&.]|\\[,;:!()\[\] ]|\\q?quad|(?:\\text\s*\{{\s*)?(?:{_AND})\s*\}}?)*"
    r"(?P<label>(?:[a-zA-Z]|\\[a-z]+)(?:_\{?\w+\}?)?\s*=)?[\s$]*"
)
_LABEL = re.compile(r"(?<![\w\\])((?:[a-zA-Z]|\\[a-z]+)(?:_\{?\w+\}?)?)\s*=\s*\$*\s*\Z")
_TAG = re.compile(r"<(?:final_?)?answer>(.*?)(?:</(?:final_?)?answer>|\Z)", re.IGNORECASE | re.DOTALL)
_HASHES = re.compile(r"(?<!#)####[ \t]*([^\s#][^\n]*)")
_PROSE = re.compile(r"(?<!\\)\b[^\W\d_]{3,}")
_LAST_LINE = re.compile(r"(?:^|\n)A:[ \t]*(\S[^\n]*)\s*\Z")
_FORMULA = re.compile(r"\$\$?((?:\\.|[^$\\])+)\$\$?(?!\d)|\\\(((?:(?!\\\)).)+)\\\)|\\\[((?:(?!\\\]).)+)\\\]", re.DOTALL)
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\\?\$)?\d[\d,]*(?:\.\d+)?(?:/\d+)?%?(?![\w/]|\.\d)")
_LEADING = re.compile(r"\A[\s:：＝=]*(?:[—–][ \t]*)?")
_GAP = re.compile(rf"\s*[,;、，]?\s*(?:(?:{_AND})\s*)?")
_OPTION = re.compile(r"(?:option|choice) \(?[A-J]\b", re.IGNORECASE)
_ASSIGNMENT = re.compile(r"[a-zA-Z]\w*[ \t]*=")


class Boxes(Enum):
    """What boxes in a row are."""

    ROW = "row"  # one answer, a list
    LAST = "last"  # several, of which the last counts


@dataclass(frozen=True, slots=True)
class _Box:
    begin: int
    end: int
    content: str


def extract_answer(response: str, boxes: Boxes = Boxes.ROW) -> str | None:
    """Return the answer as the response wrote it, without the box or the phrase around it; None where it has none."""
    end = without_thoughts(response)[-MAX_SCANNED:]
    for tagged in reversed(_TAG.findall(end)):
        if answer := _stated(tagged, boxes) or plain(tagged).strip():
            return answer
    return _stated(end, boxes)


def without_thoughts(response: str) -> str:
    """Return what stands behind the last thought; of a thought that never ends, what stands before it."""
    for opening, closing in THOUGHTS:
        response = response[response.rfind(closing) + len(closing) :] if closing in response else response
        response = response.partition(opening)[0]
    return response


def _stated(text: str, boxes: Boxes) -> str | None:
    box = _boxed(text, boxes) or _last_match(_BARE_BOX, text) or _last_hashes(text)
    if box:
        return box
    words = plain(text)
    return _last_phrase(words) or _last_match(phrases.AFTERWARDS, words) or _last_match(_LAST_LINE, words)


def _boxed(text: str, boxes: Boxes) -> str | None:
    found = _closed_boxes(text)
    if not found:
        unclosed = [content.strip() for content in _OPEN_BOX.findall(text[-MAX_SENTENCE:])]
        return next((content for content in reversed(unclosed) if content.count("{") == content.count("}")), None)
    row = [found[-1]]
    for box in reversed(found[:-1] if boxes is Boxes.ROW else []):
        between = text[box.end : row[0].begin]
        if len(between) > MAX_BETWEEN or "\n\n" in between or not _BETWEEN.fullmatch(between):
            break
        row.insert(0, box)
    labels = [_LABEL.search(text, max(0, box.begin - MAX_BETWEEN), box.begin) for box in row]
    if len(row) > 1 and all(labels):
        return ", ".join(f"{label[1]} = {box.content}" for label, box in zip(labels, row, strict=True) if label)
    return ", ".join(dict.fromkeys(box.content for box in row))


def _closed_boxes(text: str) -> list[_Box]:
    """Boxes that are closed, blank ones and those within others aside."""
    boxes: list[_Box] = []
    opened: list[tuple[int, int] | None] = []  # where each open box and its content begin; None for a plain brace
    for match in _BRACE.finditer(text):
        if match[0] == "}" and opened:
            place = opened.pop()
            content = text[place[1] : match.start()].strip() if place else ""
            if place and content:
                while boxes and boxes[-1].begin > place[0]:
                    boxes.pop()
                boxes.append(_Box(place[0], match.end(), content))
        elif match[0] == "{" or match[0].startswith((r"\boxed", r"\fbox")):
            if len(opened) == MAX_BRACES:
                break
            opened.append(None if match[0] == "{" else (match.start(), match.end()))
    return boxes


def _last_hashes(text: str) -> str | None:
    """What GSM8K writes at the end; a heading of Markdown is none."""
    for found in reversed(list(_HASHES.finditer(text))):
        content = plain(found[1]).strip()
        if not text[found.end() :].strip() or not _PROSE.search(content):
            return content
    return None


def _last_phrase(text: str) -> str | None:
    """What stands behind the last phrase that introduces an answer: formulas, else the rest of the sentence."""
    for introduction in phrases.INTRODUCTIONS:
        ends = [match.end() for match in introduction.finditer(text)]
        if ends and (answer := _behind(text[ends[-1] : ends[-1] + MAX_SENTENCE])):
            return answer
    return None


def _behind(rest: str) -> str | None:
    """The answer at the beginning of a text, without what explains it."""
    rest = _LEADING.sub("", rest, count=1)
    if formulas := _formulas(rest):
        return formulas
    answer = phrases.EXPLANATION.split(phrases.SENTENCE_END.split(rest, maxsplit=1)[0], maxsplit=1)[0]
    answer = phrases.ENDING.sub("", answer).strip(" \t\"'“”«»*")
    if _ASSIGNMENT.match(answer):
        answer = ", ".join([answer.rstrip(",;"), *_further_lines(rest)])
    if answer.count("}") > answer.count("{"):
        answer = answer.rstrip("}").rstrip("\"' ")
    if r"\boxed" in answer or r"\fbox" in answer or not answer.strip("$ "):
        return None
    return _only_number(answer) or answer


def _formulas(rest: str) -> str | None:
    """Formulas that a text begins with, with nothing but commas and conjunctions between them."""
    found: list[str] = []
    position = 0
    while match := _FORMULA.match(rest, position):
        found.append(next(filter(None, match.groups())).strip())
        gap = _GAP.match(rest, match.end())
        position = gap.end() if gap else match.end()
    return ", ".join(filter(None, found)) or None


def _further_lines(rest: str) -> list[str]:
    """Lines below an assignment that hold one, too."""
    lines = [line.strip(" \t,;.") for line in rest.split("\n")[1:20] if line.strip()]
    further = []
    for line in lines:
        if not _ASSIGNMENT.match(line):
            break
        further.append(line)
    return further


def _only_number(answer: str) -> str | None:
    """The number of a sentence that has but one, such as "Tom has 16 apples"; None where words may change it."""
    numbers = list(_NUMBER.finditer(answer))
    before = _PROSE.findall(answer[: numbers[0].start()]) if numbers else []
    if len(numbers) != 1 or not before or "=" in answer or "\\" in answer or _OPTION.match(answer):
        return None
    if any(word.casefold() in TELLING or scale_of(word.casefold()) for word in before):
        return None
    behind = answer[numbers[0].end() :]
    words = re.findall(r"[^\W\d_]+", behind)
    if words and (find_unit(words[0]) or scale_of(words[0].casefold()) or TELLING & {*map(str.casefold, words)}):
        return f"{numbers[0][0]}{behind}"
    return numbers[0][0] if not re.search(r"\d|[-+*/^]\s*\w", behind) else None


def _last_match(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.findall(text)
    return str(found[-1]).strip() if found else None
