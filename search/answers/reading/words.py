"""The English that surrounds mathematics in answers and problems, and how it is told from products of letters."""

import re
from itertools import pairwise


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CONJUNCTIONS = _words("and or")

UNITS = _words(
    """
    mm cm dm km in inch inches ft foot feet yd yard yards mi mile miles meter meters metre metres
    centimeter centimeters centimetre centimetres kilometer kilometers kilometre kilometres millimeter millimeters
    mg kg gram grams kilogram kilograms lb lbs oz pound pounds ounce ounces ton tons tonne tonnes
    ml liter liters litre litres gallon gallons quart quarts pint pints cup cups
    sec second seconds min minute minutes hr hrs hour hours day days week weeks month months year years
    mph kph kmh hz khz mhz deg degree degrees rad radian radians percent pct percentage
    unit units sq square squared cubic cubed cu per cent cents dollar dollars euro euros usd eur gbp pence penny
    """
)
"""Dropped behind any expression; other words are dropped behind a number only."""

UNIT_LETTERS = frozenset("mgslhLJNVWKACF")
r"""Letters that are a unit where they are set as text behind a number: `5\text{ m}`."""

TELLING = _words(
    """
    not no never none than more less fewer least most over under above below between before after mod modulo remainder
    base am pm north south east west left right to
    """
)
"""Words that change what a number means: an answer that holds one compares as text."""

INTRODUCTIONS = _words("usd eur gbp rs approximately approx about roughly exactly nearly option choice answer")
"""Words that are dropped before an expression."""

SCALES = {"dozen": 12, "hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
"""Words that multiply the number before them."""

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
NAMES = FUNCTIONS | _words("sqrt pi infinity inf alpha beta gamma theta lambda mu sigma phi omega")
"""Words that are mathematics where they are written without a backslash."""

_KNOWN = UNITS | TELLING | INTRODUCTIONS | SCALES.keys() | BASES.keys()
_RUN = re.compile(r"[^\W\d_]+")
_PROSE = re.compile(r"[^\W\d_]+(?:[\s'.,;:!?()-]+[^\W\d_]+)*[\s'.,;:!?()-]*")
_VOWEL = re.compile("[aeiou]", re.IGNORECASE)


def is_prose(text: str) -> bool:
    """True for text of nothing but words of which one, with a vowel, is no name in mathematics."""
    runs = _RUN.findall(text) if _PROSE.fullmatch(text) else []
    ignored = NAMES | CONJUNCTIONS
    return any(len(run) > 1 and run not in ignored and not is_applied(run) and _is_spoken(run) for run in runs)


def is_applied(run: str) -> bool:
    """True for a function with its variable, such as `sinx`."""
    return run[:-1] in FUNCTIONS and run[-1] in "xyz"


def is_word(run: str, in_prose: bool, is_behind_number: bool) -> bool:
    """Tell a word from a product of variables by its length, its vowels, and the company that it keeps."""
    if in_prose:
        return len(run) > 1
    if run.casefold() in _KNOWN:
        return len(run) > 2 or is_behind_number  # cm is a unit in `2 cm` only
    is_alphabetical = all(first < second for first, second in pairwise(run))  # abcd
    return run in CONJUNCTIONS or (len(run) >= 4 and _is_spoken(run) and not is_alphabetical)


def _is_spoken(run: str) -> bool:
    """True with a vowel, or in a script whose vowels are not known here."""
    return _VOWEL.search(run) is not None or not run.isascii()
