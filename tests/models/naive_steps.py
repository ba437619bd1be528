"""Where steps are cut, in the simplest way: every text is decoded anew from all ids, and read from its beginning."""

import codecs
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from models.checkpoints.tokenizer import Piece
from models.interfaces import PARAGRAPHS, Delimiter, Finish, Markers, Step, StepRule, TokenCount


class Decoder(Protocol):
    """What is needed of a tokenizer."""

    @property
    def pieces(self) -> Mapping[int, Piece]: ...

    def decode(self, token_ids: Sequence[int]) -> str: ...


def naive_steps(
    tokenizer: Decoder,
    prefix: Sequence[Step],
    token_ids: Sequence[int],
    finish: Finish,
    rule: StepRule = PARAGRAPHS,
) -> Iterator[Step]:
    before = [token_id for step in prefix for token_id in step.token_ids]
    num_tokens, num_chars = len(before), sum(len(step.text) for step in prefix)
    whole = [*before, *token_ids]
    end = num_tokens
    while (end := end + 1) <= len(whole):
        text = tokenizer.decode(whole[:end])[num_chars:]
        if end == len(whole):
            yield Step(text, tuple(whole[num_tokens:]), finish)
            return
        last_text = tokenizer.decode(whole[:num_tokens])
        ends = [len(tokenizer.decode(whole[:place])) - num_chars for place in range(num_tokens, end + 1)]
        if isinstance(rule, Markers):
            text = settled(tokenizer, whole[:end])[num_chars:]
            ends[1:] = [
                place if settled(tokenizer, whole[:num]) == tokenizer.decode(whole[:num]) else len(text) + 1
                for num, place in enumerate(ends[1:], num_tokens + 1)
            ]
        elif isinstance(rule, TokenCount) and settled(tokenizer, whole[:end]) != tokenizer.decode(whole[:end]):
            continue
        cut = _cut(rule, text, tokenizer.decode([whole[end - 1]]), last_text, ends)
        if cut is not None:
            step = Step(
                text[: ends[cut]],
                tuple(whole[num_tokens : num_tokens + cut]),
                Finish.STEP,
                tuple(whole[num_tokens + cut : end]),
            )
            yield step
            num_tokens, num_chars = num_tokens + cut, num_chars + len(step.text)
            end = num_tokens


def _cut(rule: StepRule, text: str, last: str, before: str, ends: Sequence[int]) -> int | None:
    """Return how many of the tokens with these ends make a step."""
    match rule:
        case Delimiter(delimiter):
            if delimiter.endswith("\n") and "\n" not in last:
                return None
            num_blank = len(text) - len(text.lstrip())
            found = range(num_blank + 1, len(text) - len(delimiter) + 1)
            places = [place + len(delimiter) for place in found if text.startswith(delimiter, place)]
            is_end = any(not is_in_block(text[:place], before, delimiter) for place in places)
            return len(ends) - 1 if is_end else None
        case TokenCount(number):
            return len(ends) - 1 if len(ends) > number and text.strip() else None
        case Markers(texts):
            for place in range(len(text)):
                if not any(is_marked(text, place, marker) for marker in texts) or is_in_block(text[:place], before):
                    continue
                cut = max((n for n, end in enumerate(ends[:-1]) if end <= place), default=0)
                if text[: ends[cut]].strip():
                    return cut
            return None


def settled(tokenizer: Decoder, token_ids: Sequence[int]) -> str:
    """Return the text of byte-level tokens without a character that has begun and not ended."""
    pieces = [tokenizer.pieces.get(token_id, "") for token_id in token_ids]
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    return decoder.decode(b"".join(piece.encode() if isinstance(piece, str) else piece for piece in pieces))


def is_marked(text: str, place: int, marker: str) -> bool:
    """Whether a line or a sentence begins there, with the marker; of what may stand before it, only what tests use."""
    head = re.fullmatch(r"(?:#{1,6} {1,4}|[-*] {1,4}|\d{1,3}\. {1,4})?\*{0,3}", text[place : text.find(marker, place)])
    if marker not in text[place:] or not head:
        return False
    behind = text[text.find(marker, place) + len(marker) :]
    if marker[-1].isalnum() and (not behind or behind[0].isalnum() or behind[0] == "_"):
        return False
    line = text[:place].rpartition("\n")
    is_item = re.fullmatch(r" *\d{1,3}\.\s+", line[2])
    begins_line = bool(line[1]) and not line[2].strip(" ") and len(line[2]) <= 20
    begins_sentence = re.search(r"[.!?]\s+\Z", text[:place])
    is_further = text[place : place + 1] == " "  # the space before belongs to the beginning
    return bool((begins_line or (begins_sentence and not is_item)) and not is_further)


def is_in_block(text: str, before: str, delimiter: str = "") -> bool:
    r"""Whether a text ends in a code block or a displayed formula: character by character, with $$ and \[ only."""
    if delimiter and delimiter in before:
        behind = before.rpartition(delimiter)[2]
        text, is_line_start = behind + text, delimiter.endswith("\n")
    else:
        is_line_start = not before or before.endswith("\n")
    lines, opened = text.split("\n"), ""
    for number, line in enumerate(lines):
        is_whole = number < len(lines) - 1
        fence = re.fullmatch(r"[ \t]*(`{3,})([^`]*)", line) if number or is_line_start else None
        if fence and (not opened or opened[0] == "`"):
            if is_whole and not opened:
                opened = fence[1]
            elif is_whole and fence[1].startswith(opened) and not fence[2].strip():
                opened = ""
            continue
        place = 0
        while opened[:1] != "`" and place < len(line):
            pair = line[place : place + 2]
            if pair == "$$" and opened in ("", "$$"):
                opened = "" if opened else "$$"
            elif pair == "\\[" and not opened:
                opened = "\\["
            elif pair == "\\]" and opened == "\\[":
                opened = ""
            place += 2 if pair == "$$" or pair[0] == "\\" else 1
    return bool(opened)
