"""What is suggested for a name that is not known."""

import time

import pytest

from models.spelling import did_you_mean

FIELDS = ("temperature", "top_p", "max_tokens", "max_steps", "seed", "n", "best_of_n", "beam_search")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("temprature", "temperature"),
        ("TEMPERATURE", "temperature"),
        ("max-tokens", "max_tokens"),
        ("maxTokens", "max_tokens"),
        ("bestOfN", "best_of_n"),
        ("best_of", "best_of_n"),
        ("beam", "beam_search"),
        ("sede", "seed"),
        ("max_step", "max_steps"),
        ("N", "n"),
    ],
)
def test_a_name_that_is_spelt_alike_or_begins_so_is_suggested_first(given: str, meant: str) -> None:
    assert did_you_mean(given, FIELDS).removeprefix("did you mean ").startswith(meant)


@pytest.mark.parametrize("given", ["", "x", "xyz", "colour", "_", "temperature" * 10, "\0", "\ud800"])
def test_nothing_is_suggested_for_what_is_like_nothing(given: str) -> None:
    assert did_you_mean(given, FIELDS) == ""


def test_several_are_suggested_the_nearest_first() -> None:
    assert did_you_mean("max_tokns", FIELDS) == "did you mean max_tokens?"
    assert did_you_mean("max", FIELDS) == "did you mean max_steps or max_tokens?"


def test_what_is_said_in_any_case_follows_the_question() -> None:
    assert did_you_mean("temprature", FIELDS, "allowed: x") == "did you mean temperature? allowed: x"
    assert did_you_mean("colour", FIELDS, "allowed: x") == "allowed: x"


def test_only_what_is_allowed_is_suggested() -> None:
    assert did_you_mean("temprature", {"top_p"}) == ""
    assert did_you_mean("temprature", ()) == ""


def test_a_common_beginning_makes_nothing_alike() -> None:
    names = ["WINNOW_PORT", "WINNOW_HOST"]
    assert did_you_mean("WINNOW_PROT", names, prefix="WINNOW_") == "did you mean WINNOW_PORT?"
    assert did_you_mean("WINNOW_ZZZ", names, prefix="WINNOW_") == ""


def test_a_name_of_a_megabyte_takes_no_time() -> None:
    start = time.perf_counter()
    assert did_you_mean("temperatur" * 100_000, FIELDS) == ""
    assert time.perf_counter() - start < 0.5
