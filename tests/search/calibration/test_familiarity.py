"""The novelty of a problem: its laws, its limit, and what the bundled table says of the demo's problems and others."""

import zlib
from base64 import b64encode
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.files import UnreadableFileError
from models.training.demo.tasks.stream import held_out_problems
from search.calibration.familiarity import MAX_BYTES, Seen, parts_of, phrases_of, pieces_of, see
from search.calibration.table import Calibration, Familiarity, read_calibration, write_calibration
from server.settings import DEMO
from tests.search.calibration.test_table import table, written
from tests.unfamiliar import LANGUAGES, NAMED, ODD, sets

TEXTS = st.text(max_size=80)
PACKED = Seen(b"\x00" * 8).packed
SAMPLE: dict[str, Any] = {"problems": 60, "false_alarms": 0.02, "limit": 0.1, "made": {}, "seen": PACKED}


def seen(*problems: str) -> Seen:
    found = see(problems, false_alarms=0.99)
    assert found is not None
    return found[0]


@pytest.fixture(scope="module")
def held_out() -> list[str]:
    return [record.problem for record in held_out_problems(0, 500)]


@pytest.fixture(scope="module")
def others(held_out: list[str]) -> list[str]:
    """Problems that are not those of `make eval`."""
    return [record.problem for record in held_out_problems(1, 700) if record.problem not in set(held_out)]


@pytest.fixture(scope="module")
def demo() -> Familiarity:
    found = read_calibration(DEMO / "calibration.yaml").familiarity
    assert found is not None
    return found


@given(TEXTS, TEXTS)
def test_novelty_is_a_share(problem: str, other: str) -> None:
    assert 0 <= seen(problem).novelty(other) <= 1


@given(st.lists(TEXTS, min_size=1, max_size=8))
def test_a_problem_that_was_seen_has_nothing_new(problems: list[str]) -> None:
    assert {seen(*problems).novelty(problem) for problem in problems} == {0}


@given(st.lists(TEXTS, min_size=2, max_size=8, unique=True), st.randoms(use_true_random=False))
def test_the_order_of_problems_does_not_matter_to_what_was_seen(problems: list[str], rng: Random) -> None:
    assert seen(*problems) == seen(*rng.sample(problems, len(problems)))


@given(TEXTS, TEXTS)
def test_what_was_seen_is_the_same_after_it_was_packed(problem: str, other: str) -> None:
    assert Seen.unpack(seen(problem, other).packed) == seen(problem, other)


def test_half_of_a_surrogate_pair_is_a_character_like_others() -> None:
    assert seen("a\ud800b").novelty("a\ud800b") == 0
    assert seen("a b").novelty("a\ud800b") > 0


def test_the_share_is_that_of_the_parts_in_no_other_problem(others: list[str]) -> None:
    """By sets, without hashes; a few of the new parts fall upon a bit that is set, one in 17 at most."""
    exact = {part for problem in others for part in parts_of(problem)}
    found, strange = seen(*others), [*LANGUAGES, *NAMED, *others[:20]]
    shares = [fmean(part not in exact for part in parts_of(problem)) for problem in strange]
    novelties = [found.novelty(problem) for problem in strange]
    assert all(novelty <= share for novelty, share in zip(novelties, shares, strict=True))
    assert sum(novelties) >= sum(shares) * (1 - 1.5 / 17)  # 1.5: these parts are few


@pytest.mark.parametrize("other", ["Ana has 18 pens.", "Ana has 11 pens."])
def test_numbers_of_one_size_are_alike(other: str) -> None:
    assert [*parts_of("Ana has 17 pens.")] == [*parts_of(other)]


@pytest.mark.parametrize("other", ["Ana has 1 pens.", "Ana has 27 pens.", "Ana has 170 pens.", "Ana has -17 pens."])
def test_numbers_of_other_sizes_are_not(other: str) -> None:
    assert {*pieces_of("Ana has 17 pens.")} != {*pieces_of(other)}


def test_phrases_see_the_form_and_no_numbers() -> None:
    assert [*phrases_of("3 + 4 = 7")] == [*phrases_of("12 + 9 = 21")] == ["\x02 # + # =", "# + # = #", "+ # = # \x03"]
    assert seen("a b c d e. f g h i j.").novelty("f g h i j. a b c d e.") > 0


def test_one_strange_number_in_a_long_story_is_seen(others: list[str]) -> None:
    story = next(problem for problem in others if problem.startswith("Ana has") and len(problem) > 150)
    found = seen(*others)
    assert found.novelty(story) == 0 < found.novelty(story.replace("Ana has ", "Ana has 9"))


@pytest.mark.parametrize(("count", "is_enough"), [(48, False), (49, True)])
def test_a_limit_needs_as_many_problems_as_alarms_are_rare(others: list[str], count: int, is_enough: bool) -> None:
    assert (see(others[:count], false_alarms=0.02) is not None) is is_enough


@pytest.mark.parametrize("false_alarms", [0.02, 0.1])
def test_no_more_new_problems_are_above_the_limit_than_was_asked_for(
    others: list[str], held_out: list[str], false_alarms: float
) -> None:
    """In expectation over problems to learn from: ten splits, and two standard errors of their mean."""
    problems, shares = others + held_out, []
    for seed in range(10):
        drawn = Random(seed).sample(problems, 700)
        found = see(drawn[:200], false_alarms)
        assert found is not None
        shares.append(fmean(found[0].novelty(problem) > found[1] for problem in drawn[200:]))
    assert fmean(shares) < false_alarms + 2 * (false_alarms / 200 / 10) ** 0.5


def test_a_limit_is_made_anew_from_the_same_seed(others: list[str]) -> None:
    assert see(others, seed=1) == see(others, seed=1)


@pytest.mark.parametrize(
    "text",
    ["", "#", "eNo", b64encode(b"not packed").decode(), PACKED[:-8], Seen(b"\x01").packed[:4]],
    ids=["nothing", "no base64", "cut", "not packed", "its end is missing", "its beginning"],
)
def test_what_is_not_packed_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not what `winnow calibrate` packs"):
        Seen.unpack(text)


@pytest.mark.parametrize("size", [0, 3, 2 * MAX_BYTES, 1 << 30])
def test_only_a_power_of_two_of_bytes_is_unpacked(size: int) -> None:
    packer = zlib.compressobj(9)  # a bomb is never held as a whole
    packed = b"".join(packer.compress(bytes(min(size, 1 << 20))) for _ in range(max(size >> 20, 1))) + packer.flush()
    with pytest.raises(ValueError, match="bits fill a power of two of bytes, at most 16,384"):
        Seen.unpack(b64encode(packed).decode())


def test_a_table_says_the_same_of_familiarity_after_it_was_written(others: list[str], tmp_path: Path) -> None:
    familiarity = Familiarity.of(others, "sums", {"commit": "c"})
    whole = Calibration.model_validate(table()).model_copy(update={"familiarity": familiarity})
    write_calibration(whole, tmp_path / "t.yaml")
    assert read_calibration(tmp_path / "t.yaml") == whole
    assert max(map(len, (tmp_path / "t.yaml").read_text().splitlines())) < 130


def test_a_table_without_it_is_written_without_it(tmp_path: Path) -> None:
    path = written(tmp_path / "t.yaml", table())
    write_calibration(read_calibration(path), path)
    assert read_calibration(path).familiarity is None
    assert "familiarity" not in path.read_text()


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"seen": "eNo"}, "familiarity.seen: Value error"),
        ({"seen": Seen(b"\x01").packed, "limit": 1.5}, "familiarity.limit"),
        ({"false_alarms": 0}, "familiarity.false_alarms"),
        ({"problems": 0}, "familiarity.problems"),
        ({"more": 1}, "familiarity.more"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_familiarity_that_cannot_be_used_is_refused_by_field(
    tmp_path: Path, fields: dict[str, Any], place: str
) -> None:
    with pytest.raises(UnreadableFileError, match=place):
        read_calibration(written(tmp_path / "t.yaml", table(familiarity=SAMPLE | fields)))


@pytest.mark.parametrize("problem", [*NAMED, *LANGUAGES, *ODD])
def test_the_demo_does_not_know_what_it_was_not_made_for(demo: Familiarity, problem: str) -> None:
    assert not demo.novelty(problem).is_familiar


def test_the_demo_does_not_know_what_is_made_from_its_problems(demo: Familiarity, held_out: list[str]) -> None:
    """What is put together from familiar parts alone is found less often: longer problems, and halves of two."""
    found = {
        name: fmean(not demo.novelty(problem).is_familiar for problem in problems)
        for name, problems in sets(held_out).items()
    }
    hard = {"longer than any": 0.85, "halves of two families": 0.9}
    assert [name for name, share in found.items() if share < hard.get(name, 0.99)] == []


def test_the_demo_knows_its_own_problems(demo: Familiarity, held_out: list[str]) -> None:
    """At most 2 % of the 500 held-out problems are called unfamiliar, which the table was not made from."""
    assert fmean(not demo.novelty(problem).is_familiar for problem in held_out) <= demo.false_alarms == 0.02
    assert demo.made_for is not None
