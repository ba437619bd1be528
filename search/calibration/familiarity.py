"""How unlike the problems of a calibration a problem is: the share of its parts that none of them has.

A part is four characters in a row, every number cut to its first digit and its length (17 and 18 are 1#, 170 is
1##), or five words in a row, all numbers alike: the first kind sees spelling and the size of numbers, the second the
form. The parts seen are kept as bits at the places of their hashes, so that a table grows by a few kilobytes and holds
no problem. A problem is unfamiliar if its novelty is above a limit, which few new problems of the same kind exceed.

Knows texts, not what they mean: a problem that is put together from familiar parts alone is familiar.

Source: Wang, Parekh and Stolfo 2006, "Anagram: a content anomaly detector resistant to mimicry attack", for the share
of n-grams never seen, and their bits; Vovk 2015, "Cross-conformal predictors", for the limit. Beyond the source:
numbers by their size, and words.
"""

import re
import zlib
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from random import Random
from statistics import fmean
from textwrap import wrap
from typing import Self

NUM_CHARS = 4
NUM_WORDS = 5
FALSE_ALARMS = 0.02
"""Share of new problems of the same kind that may be called unfamiliar."""
NUM_FOLDS = 5
BITS_PER_PART = 16
"""At least so many: of 17 new parts one is taken for a part that was seen."""
MAX_BYTES = 2**14
"""Where these do not suffice, more new parts are taken for others: with 60,000 parts seen, four of ten."""
WORD_CHARS = 20
"""Of a packed text, so that a file can break lines."""

_LATER_DIGIT = re.compile(r"(?<=\d)\d")
_WORD = re.compile(r"\d+|[^\W\d_]+|[^\w\s]|_")
_START, _END = "\x02", "\x03"


@dataclass(frozen=True, slots=True)
class Seen:
    """The parts of many problems.

    Attributes:
        bits: Set at the places of their hashes; a power of two of them.
    """

    bits: bytes

    def __post_init__(self) -> None:
        """Refuse what holds no parts."""
        size = len(self.bits)
        if size.bit_count() != 1 or size > MAX_BYTES:
            raise ValueError(f"bits fill a power of two of bytes, at most {MAX_BYTES:,}")

    @classmethod
    def unpack(cls, text: str) -> Self:
        """Return what was packed.

        Raises:
            ValueError: The text is something else.
        """
        unpacker = zlib.decompressobj()
        try:
            bits = unpacker.decompress(b64decode(text), MAX_BYTES + 1)
        except (ValueError, zlib.error) as error:
            raise ValueError(f"not what `winnow calibrate` packs: {error}") from error
        if not unpacker.eof and len(bits) <= MAX_BYTES:
            raise ValueError("not what `winnow calibrate` packs: its end is missing")
        return cls(bits)

    @property
    def packed(self) -> str:
        """The bits in base64, in words."""
        return " ".join(wrap(b64encode(zlib.compress(self.bits, 9)).decode(), WORD_CHARS))

    def novelty(self, problem: str) -> float:
        """Return the share of a problem's parts that were not seen, in [0, 1]."""
        return fmean(not self.bits[place // 8] >> place % 8 & 1 for place in _places(problem, len(self.bits) * 8))


def see(problems: Sequence[str], false_alarms: float = FALSE_ALARMS, seed: int = 0) -> tuple[Seen, float] | None:
    """Return the parts of problems, and the limit of novelty; None if the problems are too few for one.

    For the limit, each problem is compared with the parts of those in other folds.

    Args:
        problems: All of one kind, each once, in any order.
        false_alarms: Share of new problems of this kind above the limit, at most, in expectation.
        seed: Of the split into folds.
    """
    num_bits = _num_bits(len({part for problem in problems for part in parts_of(problem)}))
    places = [tuple(_places(problem, num_bits)) for problem in problems]
    Random(seed).shuffle(places)
    folds: dict[int, int] = defaultdict(int)  # those that have the part, as bits
    for index, found in enumerate(places):
        for place in found:
            folds[place] |= 1 << index % NUM_FOLDS
    novelties = sorted(
        fmean(folds[place] == 1 << index % NUM_FOLDS for place in found) for index, found in enumerate(places)
    )
    rank = ceil(round((len(novelties) + 1) * (1 - false_alarms), 9))
    if rank > len(novelties):
        return None
    bits = bytearray(num_bits // 8)
    for place in folds:
        bits[place // 8] |= 1 << place % 8
    return Seen(bytes(bits)), novelties[rank - 1]


def parts_of(problem: str) -> Iterator[str]:
    """Yield the parts of a problem; a short one is a single part of each kind."""
    yield from pieces_of(problem)
    yield from phrases_of(problem)


def pieces_of(problem: str) -> Iterator[str]:
    """Yield what stands in each four characters in a row."""
    text = f"{_START}{_LATER_DIGIT.sub('#', problem)}{_END}"
    for start in range(max(len(text) - NUM_CHARS, 0) + 1):
        yield text[start : start + NUM_CHARS]


def phrases_of(problem: str) -> Iterator[str]:
    """Yield each five words in a row; signs are words, too."""
    words = [_START, *("#" if word[0].isdecimal() else word for word in _WORD.findall(problem)), _END]
    for start in range(max(len(words) - NUM_WORDS, 0) + 1):
        yield " ".join(words[start : start + NUM_WORDS])


def _places(problem: str, num_bits: int) -> Iterator[int]:
    return (zlib.crc32(part.encode(errors="surrogatepass")) % num_bits for part in parts_of(problem))


def _num_bits(num_parts: int) -> int:
    return min(1 << (BITS_PER_PART * num_parts - 1).bit_length(), MAX_BYTES * 8)
