"""JSON lines: what is refused, and what a full disk or a cut leaves behind."""

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from models.files import Journal, UnreadableFileError, UnwritableFileError, parse_object, read_lines, replace_file


@contextmanager
def room_for(num_bytes: int) -> Iterator[None]:
    """Files end at a size, as they do when the disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "not JSON in UTF-8"),
        (b"[1]", "not an object; allowed: one JSON object a line"),
        (b'{"a": NaN}', "NaN is not a number of JSON"),
        (b'{"a": [-Infinity]}', "-Infinity is not a number of JSON"),
        (b'{"a": 1e400}', "1e400 is too large a number"),
        (b'{"a": "\\ud800"}', "half of a surrogate pair"),
        (b'{"\\udfff": 1}', "half of a surrogate pair"),
        (b'{"a": "\xff"}', "byte 8 is not UTF-8"),
        (b'{"a": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "4300 digits"),
    ],
)
def test_a_line_that_is_not_json_says_what_is_wrong(line: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_object(line)


def test_numbers_may_stay_as_they_are_spelt() -> None:
    assert parse_object(b'{"a": 0.10, "b": 1e400}', spelt_numbers=True) == {"a": "0.10", "b": "1e400"}


def test_a_mark_at_the_start_and_blank_lines_are_no_lines(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"\xef\xbb\xbf{}\r\n\n \n{}\n\n")
    assert [number for number, _ in read_lines(tmp_path / "f")] == [1, 4]


@pytest.mark.parametrize("path", ["/dev/full", "/dev/zero", "/nowhere", "/tmp"])
def test_what_is_no_file_is_refused(path: str) -> None:
    with pytest.raises(UnreadableFileError, match=path):
        read_lines(Path(path))


def test_a_full_disk_keeps_whole_lines_and_the_run_goes_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.append({"number": 0})
    with room_for(50), pytest.raises(UnwritableFileError, match="File too large; what is in it is kept"):
        journal.append({"number": 1}, {"number": 2, "text": "é" * 50})
    assert journal.read() == [{"number": 0}]
    assert (tmp_path / "j").read_bytes().endswith(b"\n")
    journal.append({"number": 1})
    assert len(Journal(tmp_path / "j").read()) == 2


def test_a_torn_line_is_cut_off_when_the_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "j").write_text('{"a": 1}\n{"a": ' + "2" * 100_000)
    journal = Journal(tmp_path / "j")
    assert journal.read() == [{"a": 1}]
    journal.append({"a": 3})
    assert journal.read() == [{"a": 1}, {"a": 3}]


@pytest.mark.parametrize("content", ["my thesis", "my thesis\n", '{"a": 1}\nmy thesis\n'])
def test_a_file_of_something_else_is_not_taken_for_a_journal(tmp_path: Path, content: str) -> None:
    (tmp_path / "j").write_text(content)
    with pytest.raises(UnreadableFileError, match=r"line \d: not JSON"):
        Journal(tmp_path / "j").read()


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "f")
    with room_for(10), pytest.raises(UnwritableFileError, match="File too large"):
        replace_file(tmp_path / "f", "new" * 100)
    assert [(tmp_path / "f").read_text(), len(list(tmp_path.iterdir()))] == ["old", 2]
    replace_file(tmp_path / "link", "new")
    assert ((tmp_path / "f").read_text(), (tmp_path / "link").is_symlink()) == ("new", True)


def test_a_device_is_written_to_and_not_replaced() -> None:
    with pytest.raises(UnwritableFileError, match="/dev/full cannot be written: No space left on device"):
        replace_file(Path("/dev/full"), json.dumps({}))
    assert not Path("/dev/full").is_file()
