"""Reads files of problems as they come: `python -m tests.bench.problem_files FILE...`.

Prints for each its own count of rows, taken without the reader (lines, elements, records), the rows read, problems,
repeats, rows left out, and why; ends with 1 where a count differs or nothing can be read.
"""

import argparse
import csv
import json
import sys
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from models.files import UnreadableFileError
from search.evaluation.tasks import read_tasks


def own_count(path: Path) -> int:
    """Count rows by the file's own format."""
    if path.suffix == ".parquet":
        from pyarrow import parquet  # type: ignore[import-untyped,unused-ignore]

        return int(parquet.ParquetFile(path).metadata.num_rows)
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix in {".csv", ".tsv"}:
        return sum(1 for row in csv.reader(text.splitlines(keepends=True)) if row) - 1
    if text.lstrip().startswith("["):
        return len(json.loads(text))
    return sum(1 for line in text.split("\n") if line.strip())


def main(paths: list[Path]) -> int:
    """Print the table."""
    table = Table("file", "own count", "rows", "problems", "repeated", "left out", "why", "a problem is")
    is_whole = True
    for path in paths:
        try:
            found = read_tasks(path)
        except UnreadableFileError as error:
            table.add_row(path.name, *[""] * 5, str(error).splitlines()[0])
            is_whole = False
            continue
        count = own_count(path)
        is_whole &= count == found.num_rows == len(found.tasks) + found.num_repeated + len(found.faults)
        reasons = Counter(fault.partition(": ")[2].partition(";")[0] for fault in found.faults)
        why = "; ".join(f"{number} {reason}" for reason, number in reasons.most_common(3))
        numbers = (count, found.num_rows, len(found.tasks), found.num_repeated, len(found.faults))
        table.add_row(path.name, *(f"{number:,}" for number in numbers), why, found.template)
    Console(width=200).print(table)
    return 0 if is_whole else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="Files of problems.")
    sys.exit(main(parser.parse_args().files))
