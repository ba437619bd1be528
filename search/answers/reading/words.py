"""The English that surrounds mathematics in answers and problems, and how it is told from products of letters."""

import re
from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise

from search.answers.reading.units import find_unit


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CONJUNCTIONS = _words(
    """
    and or und oder sowie и или либо oraz veya 和 或 及 与 以及 或者 还有 と または もしくは および かつ 또는 그리고
    """
)
"""Words of many languages between the items of a list."""

LETTERS_BETWEEN = _words("y e o u et ou ve và lub")
"""Such words that are letters, too: they count between two items only, with spaces around."""

UNIT_WORDS = _words("unit units sq square squared cubic cubed cu per")
"""Words that belong to units of measurement, and say nothing without one."""

UNIT_LETTERS = frozenset("mgslhtLJNVWKACFTHBd")
r"""Letters that are a unit where they are set as text behind a number: `5\text{ m}`."""

MONTHS = _words(
    """
    january february march april may june july august september october november december jan feb apr jun jul aug sep
    sept oct nov dec januar februar märz mai juni juli oktober dezember janvier février mars avril juin juillet août
    septembre octobre novembre décembre enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre
    diciembre janeiro fevereiro março maio junho julho setembro outubro novembro dezembro января февраля марта апреля
    мая июня июля августа сентября октября ноября декабря monday tuesday wednesday thursday friday saturday sunday
    """
)

TELLING = MONTHS | _words(
    """
    not no never none than more less fewer least most over under above below between before after mod modulo remainder
    base am pm north south east west left right to times fold plus minus negative clock behind ahead late early down
    short extra loss lost gain gained profit deficit surplus debt owed deep backward backwards forward forwards
    factorial nicht kein mehr weniger mindestens höchstens menos más mais moins plus uhr не нет больше меньше
    点钟 分之 以上 以下 左右 以内 未満 未满 至少 最多 半
    """
)
"""Words that change what a number means: an answer that holds one compares as text."""

TELLING_BEHIND = _words("月 日 号 號 时 時 倍 折 成 割 対 对 双 打 多 余")
"""Such signs of Chinese and Japanese that do so directly behind a number only."""

INTRODUCTIONS = _words(
    "usd eur gbp rs cny jpy yen inr approximately approx about roughly exactly nearly option choice answer"
)
"""Words that are dropped before an expression."""

SCALES: Mapping[str, int | Fraction] = {
    "dozen": 12, "dutzend": 12, "gross": 144, "hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9,
    "trillion": 10**12, "quadrillion": 10**15, "lakh": 10**5, "crore": 10**7, "myriad": 10**4, "half": Fraction(1, 2),
    "halve": Fraction(1, 2), "third": Fraction(1, 3), "quarter": Fraction(1, 4), "fourth": Fraction(1, 4),
    "fifth": Fraction(1, 5), "sixth": Fraction(1, 6), "seventh": Fraction(1, 7), "eighth": Fraction(1, 8),
    "ninth": Fraction(1, 9), "tenth": Fraction(1, 10), "eleventh": Fraction(1, 11), "twelfth": Fraction(1, 12),
    "sixteenth": Fraction(1, 16), "twentieth": Fraction(1, 20), "hundredth": Fraction(1, 10**2),
    "thousandth": Fraction(1, 10**3), "millionth": Fraction(1, 10**6), "billionth": Fraction(1, 10**9),
    "tausend": 10**3, "millionen": 10**6, "milliarde": 10**9, "milliarden": 10**9, "mille": 10**3, "mil": 10**3,
    "milliard": 10**9, "millón": 10**6, "millones": 10**6, "milhão": 10**6, "milhões": 10**6, "bilhão": 10**9,
    "bilhões": 10**9, "docena": 12, "douzaine": 12, "тысяча": 10**3, "тысячи": 10**3, "тысяч": 10**3, "тыс": 10**3,
    "миллион": 10**6, "миллиона": 10**6, "миллионов": 10**6, "млн": 10**6, "млрд": 10**9, "дюжина": 12, "дюжины": 12,
    "дюжин": 12, "十": 10, "百": 10**2, "千": 10**3, "万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8, "兆": 10**12,
    "百万": 10**6, "千万": 10**7, "万亿": 10**12,
}  # fmt: skip
"""Words that multiply the number before them, in the singular where English has one."""


def scale_of(word: str) -> Fraction | None:
    """Return by how much a word multiplies the number before it; None for any other word."""
    found = SCALES.get(word, SCALES.get(word.removesuffix("s"), SCALES.get(word.replace("halves", "halve"))))
    return None if found is None else Fraction(found)


BASES = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11,
    "twelve": 12, "sixteen": 16,
}  # fmt: skip

REQUESTS = _words(
    """
    solve find determine compute calculate give what is are the a an of for in to if when where such that which so and
    suppose given satisfy satisfies satisfying satisfied by equal equals value values number numbers unknown variable
    variables equation equations following system systems solution solutions root roots all any each real complex
    rational integer integers positive negative nonnegative nonzero possible largest greatest smallest least exact
    exactly ordered pair pairs triple triples point points express enter write list your answer answers as common
    improper proper simplified simplest fraction form separated comma commas must be please
    """
)
"""Words around equations in problems that ask for no more than to solve them."""

FUNCTIONS = _words(
    """
    sin cos tan cot sec csc arcsin arccos arctan arccot arcsec arccsc sinh cosh tanh coth sech csch
    arsinh arcosh artanh exp ln log lg gcd lcm max min abs floor ceil
    """
)
_ANGLES = _words("alpha beta gamma theta phi")
GREEK = _ANGLES | _words("delta epsilon lambda mu xi rho sigma tau varphi psi omega")
"""Commands that are variables."""

NAMES = FUNCTIONS | _ANGLES | _words("sqrt pi infinity inf lambda mu sigma omega")
"""Words that are mathematics where they are written without a backslash."""

SHORT_UNITS = _words(
    """
    mm cm dm km in ft yd mi mg kg lb lbs oz ml sec min hr hrs day ton cup mph kph kmh hz khz mhz deg rad pct yen mol
    """
)
"""Units of up to three letters that are no product of variables even where they are not set as text."""

_KNOWN = SHORT_UNITS | UNIT_WORDS | TELLING | INTRODUCTIONS | SCALES.keys() | BASES.keys()
_RUN = re.compile(r"[^\W\d_]+")
_PROSE = re.compile(r"[^\W\d_]+(?:[\s'.,;:!?()-]+[^\W\d_]+)*[\s'.,;:!?()-]*")
_FIRST_OF_OTHER_SCRIPTS, _FIRST_OF_EAST_ASIA = "\u0400", "\u2e80"
_VOWEL = re.compile("[aeiou]", re.IGNORECASE)
_FUNCTION = "|".join(sorted(FUNCTIONS - _words("gcd lcm max min"), key=len, reverse=True))
_VARIABLE = "|".join(("[xyzA-Z]", *_ANGLES))
_APPLIED = re.compile(rf"[xyz]?(?:(?:{_FUNCTION})(?:{_VARIABLE}))*(?:{_FUNCTION})?")
_FACTOR = re.compile(rf"{_FUNCTION}|{_VARIABLE}")


def is_prose(text: str) -> bool:
    """True for text of nothing but words of which one, with a vowel or in capitals, is no name in mathematics."""
    runs = _RUN.findall(text) if _PROSE.fullmatch(text) else []
    ignored = NAMES | CONJUNCTIONS | LETTERS_BETWEEN
    return any(
        len(run) > 1 and run not in ignored and not factors(run) and (_is_spoken(run) or _is_sequence(run))
        for run in runs
    )


def factors(run: str) -> list[str]:
    """The functions and variables that are written side by side in `xsinx`; none in any other run of letters."""
    found = _FACTOR.findall(run) if _APPLIED.fullmatch(run) else []
    return found if len(found) > 1 else []


def is_word(run: str, in_prose: bool, is_behind_number: bool) -> bool:
    """Tell a word from a product of variables by its length, its vowels, its script, and the company that it keeps."""
    if is_foreign(run):
        return len(run) > 1 or is_behind_number or run > _FIRST_OF_EAST_ASIA
    if in_prose:
        return len(run) > 1
    if run.casefold() in _KNOWN or _is_symbol(run):
        return len(run) > 2 or is_behind_number  # cm is a unit in `2 cm` only
    is_alphabetical = all(first < second for first, second in pairwise(run))  # abcd
    return run in CONJUNCTIONS or (len(run) >= 4 and _is_spoken(run) and not is_alphabetical)


def is_foreign(run: str) -> bool:
    """True in scripts in which no variables are written: neither Latin nor Greek."""
    return run >= _FIRST_OF_OTHER_SCRIPTS


def _is_symbol(run: str) -> bool:
    """True for a unit whose cases, as in kWh, tell it from a product of variables."""
    return len(run) > 1 and not run.isupper() and not run.islower() and not run.istitle() and find_unit(run) is not None


def _is_sequence(run: str) -> bool:
    """True for capitals whose order counts, such as HTH."""
    return len(run) > 2 and run.isupper()


def _is_spoken(run: str) -> bool:
    """True with a vowel, or in a script whose vowels are not known here."""
    return _VOWEL.search(run) is not None or not run.isascii()
