"""Files of JSON lines and YAML: read strictly, and written so that an interrupted run goes on from what is there.

A line is UTF-8 and JSON as RFC 8259 has it: no NaN, no number beyond a float, no half of a surrogate pair. A disk that
fills up leaves whole lines behind. Knows nothing of what the lines mean.
"""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import yaml

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class SpeltNumber(str):
    """A number as the text that spells it."""

    __slots__ = ()


class FilesError(Exception):
    """A file cannot be used; the message names it and says why."""


class UnreadableFileError(FilesError):
    """A file that was given cannot be read."""


class UnwritableFileError(FilesError):
    """A result cannot be written; the disk may be full."""


def read_lines(path: Path, *, blank: bool = False) -> list[tuple[int, bytes]]:
    """Return the lines, with their numbers from 1.

    Args:
        path: The file.
        blank: Keep blank lines, save those at the end: lines that are matched by their numbers.

    Raises:
        UnreadableFileError: The file cannot be read.
    """
    content = _content(path).removeprefix(BYTE_ORDER_MARK).rstrip()
    lines = content.split(b"\n") if content else []  # texts may hold other line ends
    return [(number, line) for number, line in enumerate(lines, start=1) if blank or line.strip()]


def parse_object(line: bytes, *, spelt_numbers: bool = False) -> dict[str, Any]:
    """Read a line that holds a JSON object.

    Args:
        line: As it stands in the file.
        spelt_numbers: Leave numbers as the texts that spell them.

    Raises:
        ValueError: It holds something else; the message says what, and what is allowed.
    """
    record = parse_json(line, spelt_numbers=spelt_numbers)
    if not isinstance(record, dict):
        raise ValueError("not an object; allowed: one JSON object a line")
    return record


def parse_json(content: bytes, *, spelt_numbers: bool = False) -> Any:
    """Read JSON as `parse_object` does, whatever it holds."""
    numbers: dict[str, Any] = dict.fromkeys(("parse_int", "parse_float", "parse_constant"), SpeltNumber)
    try:
        text = content.decode()
        record = json.loads(text, **(numbers if spelt_numbers else {"parse_constant": _refuse, "parse_float": _finite}))
        json.dumps(record, ensure_ascii=False).encode()  # what can be read must be fit to be written
    except UnicodeDecodeError as error:
        raise ValueError(f"not JSON in UTF-8: byte {error.start + 1} is not UTF-8") from error
    except UnicodeEncodeError as error:
        raise ValueError("not JSON in UTF-8: half of a surrogate pair, which is not Unicode text") from error
    except RecursionError as error:
        raise ValueError("not JSON in UTF-8: nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"not JSON in UTF-8: {error}") from error
    return record


def find_field(record: Mapping[str, Any], field: str) -> tuple[bool, Any]:
    """Return whether a record has a field, and its value; `samples.0.answer` is one in a list in a field."""
    value: Any = record
    for name in [field] if field in record else field.split("."):
        if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, Mapping) and name in value:
            value = value[name]
        else:
            return False, None
    return True, value


def read_yaml(file: Path, what: str) -> Any:
    """Read a YAML file.

    Args:
        file: In UTF-8.
        what: Names it in messages.

    Raises:
        UnreadableFileError: It cannot be read; the message shows none of it.
    """
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UnreadableFileError(f"{what} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UnreadableFileError(f"{what} cannot be read: not UTF-8 (byte {error.start + 1})") from error
    except yaml.MarkedYAMLError as error:
        place = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise UnreadableFileError(f"{what} is not YAML{place}") from None  # its message would show the line
    except (yaml.YAMLError, ValueError, RecursionError):  # such as a control character, or the 30th of February
        raise UnreadableFileError(f"{what} is not YAML") from None


def replace_file(path: Path, text: str) -> None:
    """Write a file as a whole: a reader, and a disk that fills up, find the old one or the new one.

    Raises:
        UnwritableFileError: It cannot be written; what was there is untouched.
    """
    path = path.resolve()  # what a link points to is replaced, not the link
    try:
        if path.exists() and not path.is_file():  # a pipe, a terminal
            path.write_text(text, encoding="utf-8")
            return
        new = path.with_name(f"{path.name}.new")
        try:
            new.write_text(text, encoding="utf-8")
            os.replace(new, path)
        finally:
            new.unlink(missing_ok=True)
    except OSError as error:
        raise UnwritableFileError(f"{path} cannot be written: {error.strerror}") from error


class Journal:
    """A file of JSON lines that a run appends to, and that the next one goes on from.

    Attributes:
        path: Where it is.

    Args:
        path: Where it is, or will be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[dict[str, Any]]:
        """Return what is there; a last line that was torn is cut off when something is appended.

        Raises:
            UnreadableFileError: It cannot be read, or holds something else; the message names the line.
        """
        if not self.path.exists():
            return []
        records = []
        *lines, torn = _content(self.path).split(b"\n")
        if torn and not torn.startswith(b"{"):
            lines.append(torn)  # none of ours
        for number, line in enumerate(lines, start=1):
            try:
                records.append(parse_object(line))
            except ValueError as error:
                raise UnreadableFileError(f"{self.path}, line {number}: {error}") from error
        return records

    def append(self, *records: Mapping[str, Any]) -> None:
        """Write records behind the last whole line, all of them or none.

        Raises:
            UnwritableFileError: They cannot be written; what was there is kept.
        """
        lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab", buffering=0) as file:
                end = _end_of_lines(self.path)
                file.truncate(end)
                try:
                    while lines:
                        lines = lines[file.write(lines) or 0 :]
                except OSError:
                    file.truncate(end)
                    raise
        except OSError as error:
            kept = "what is in it is kept, and the same command goes on from there"
            raise UnwritableFileError(f"{self.path} cannot be written: {error.strerror}; {kept}") from error


def _content(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file() and not path.is_fifo():
            raise UnreadableFileError(f"{path}: not a file")  # a device may have no end
        return path.read_bytes()
    except OSError as error:
        raise UnreadableFileError(f"{path}: {error.strerror}") from error


def _end_of_lines(path: Path) -> int:
    """Return the size of a file without its torn last line."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(end - 65_536, 0)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number of JSON")


def _finite(text: str) -> float:
    if math.isinf(value := float(text)):
        raise ValueError(f"{text[:30]} is too large a number")
    return value
