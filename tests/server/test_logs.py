"""A log says everything once, and what repeats is counted."""

import io
import logging

import pytest

from server.logs import CountingHandler, is_request_id


class Clock:
    """A clock that is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def written(clock: Clock) -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def logger(clock: Clock, written: io.StringIO) -> logging.Logger:
    logger, handler = logging.Logger("test"), CountingHandler(clock)
    handler.setStream(written)
    logger.addHandler(handler)
    return logger


def test_a_line_that_repeats_is_written_twenty_times_and_then_counted(
    logger: logging.Logger, written: io.StringIO
) -> None:
    for _ in range(100_000):
        logger.info("refused %d", 404)
    lines = written.getvalue().splitlines()
    assert lines[:20] == ["refused 404"] * 20
    assert lines[20:] == [
        f"refused 404 (for the {count}th time in 0 s)" for count in ("100", "1,000", "10,000", "100,000")
    ]


def test_other_lines_are_written_meanwhile(logger: logging.Logger, written: io.StringIO) -> None:
    for number in range(100):
        logger.info("flood")
        logger.info("search %d", number)
    assert [f"search {number}" in written.getvalue().splitlines() for number in range(100)] == [True] * 100


def test_a_line_that_comes_again_later_says_what_was_left_out(
    logger: logging.Logger, written: io.StringIO, clock: Clock
) -> None:
    for _ in range(50):
        logger.info("flood")
    clock.now = 61
    logger.info("flood")
    logger.info("flood")
    assert written.getvalue().splitlines()[20:] == ["flood (and 30 times before)", "flood"]


def test_a_handler_remembers_so_many_lines_and_no_more(logger: logging.Logger) -> None:
    for number in range(5_000):
        logger.info("line %d", number)
    (handler,) = logger.handlers
    assert isinstance(handler, CountingHandler)
    assert len(handler._seen) == 1024


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("0123456789abcdef0123456789ABCDEF", True),
        ("01234567-89ab-cdef-0123-456789abcdef", True),
        ("0123456789abcdef0123456789abcde", False),
        ("{01234567-89ab-cdef-0123-456789abcdef}", False),
        ("0123456789abcdef0123456789abcdef\n", False),
        ("urn:uuid:0123456789abcdef0123456789abcdef", False),
    ],
)
def test_a_request_id_is_a_uuid(text: str, is_one: bool) -> None:
    assert is_request_id(text) is is_one
