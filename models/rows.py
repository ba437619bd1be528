"""The rows of a file, whatever its format: JSON lines, JSON, CSV, Parquet. Knows nothing of what they mean.

JSON may be an array of objects, or an object one field of which is such an array. The format is told from the content;
CSV and TSV, which have no mark, from the name of the file.
"""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models.files import SpeltNumber, UnreadableFileError, parse_json, parse_object, read_lines

PARQUET_MAGIC = b"PAR1"
SEPARATORS = {".csv": ",", ".tsv": "\t"}
MAX_LINE_BYTES = 1 << 24
"""Of JSON lines; what is longer is no row."""

Row = tuple[int, dict[str, Any] | ValueError]
"""Its number in the file, from 1, which for lines is that of the line; what it holds, or why it cannot be read."""


def read_rows(path: Path, *, spelt_numbers: bool = True) -> Iterator[Row]:
    """Yield the rows of a file.

    Args:
        path: Of the file.
        spelt_numbers: Leave numbers as the texts that spell them. Those of CSV are texts in any case.

    Raises:
        UnreadableFileError: The file cannot be read as a whole.
    """
    try:
        with path.open("rb") as file:
            beginning = file.read(1024).lstrip()
    except OSError as error:
        raise UnreadableFileError(f"{path}: {error.strerror}") from error
    if beginning.startswith(PARQUET_MAGIC):
        return _of_parquet(path, spelt_numbers)
    if path.suffix.lower() in SEPARATORS:
        return _of_csv(path)
    lines = read_lines(path)
    is_whole = beginning.startswith(b"[") or [line.strip() for _, line in lines[:1]] == [b"{"]
    return _of_array(path, spelt_numbers) if is_whole else _of_lines(lines, spelt_numbers)


def _of_lines(lines: list[tuple[int, bytes]], spelt_numbers: bool) -> Iterator[Row]:
    for number, line in lines:
        if len(line) > MAX_LINE_BYTES:
            yield number, ValueError(f"{len(line):,} bytes are too long; allowed: at most {MAX_LINE_BYTES:,}")
            continue
        try:
            yield number, parse_object(line, spelt_numbers=spelt_numbers)
        except ValueError as error:
            yield number, error


def _of_array(path: Path, spelt_numbers: bool) -> Iterator[Row]:
    try:
        content = parse_json(path.read_bytes(), spelt_numbers=spelt_numbers)
    except ValueError as error:
        raise UnreadableFileError(f"{path}: {error}") from error
    if isinstance(content, dict):
        lists = [value for value in content.values() if isinstance(value, list)]
        content = lists[0] if len(lists) == 1 else [content]
    return _of_items(content)


def _of_items(items: list[Any]) -> Iterator[Row]:
    for number, item in enumerate(items, start=1):
        yield number, item if isinstance(item, dict) else ValueError("not an object; allowed: an array of objects")


def _of_csv(path: Path) -> Iterator[Row]:
    """Rows of a table with a header; MMLU's have none: question, four choices, letter."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFileError(f"{path}: not UTF-8: byte {error.start + 1}") from error
    table = csv.reader(io.StringIO(text, newline=""), delimiter=SEPARATORS[path.suffix.lower()])
    rows = [row for row in table if row]
    has_header = not rows or len(rows[0]) != 6 or any(row[-1] not in {*"ABCD"} for row in rows)
    header = (rows.pop(0) if rows else []) if has_header else ["question", *"ABCD", "answer"]
    for number, row in enumerate(rows, start=1 + has_header):
        if len(row) == len(header):
            yield number, dict(zip(header, row, strict=True))
        else:
            yield number, ValueError(f"{len(row)} cells; the header has {len(header)}")


def _of_parquet(path: Path, spelt_numbers: bool) -> Iterator[Row]:
    try:
        from pyarrow import ArrowException, parquet  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise UnreadableFileError(f"{path} is a Parquet file; to read it, install pyarrow (winnow[parquet])") from error
    try:
        table = parquet.read_table(path)
    except ArrowException as error:
        raise UnreadableFileError(f"{path}: not a whole Parquet file") from error
    numbers: dict[str, Any] = dict.fromkeys(("parse_int", "parse_float"), SpeltNumber) if spelt_numbers else {}
    return _of_items(json.loads(json.dumps(table.to_pylist(), default=str), **numbers))
