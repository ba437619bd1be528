# ruff: noqa: RUF001 (names of units in Cyrillic)
"""Units of measurement: their table, and what a compound unit such as `kg m/s^2` is in base units.

Source: the SI brochure of the BIPM (9th edition, 2019) and NIST SP 811 for what is no SI; a test compares its rows
with the registry of pint. Currencies are by ISO 4217; their rates are not known. Knows nothing of answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

Dimensions = tuple[tuple[str, int], ...]
"""Base units and their exponents, sorted."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What a number counts.

    Attributes:
        factor: How many of the base units it is.
        dimensions: The base units; that of a noun is the noun.
        is_measure: True for a unit of the table, False for a noun.
    """

    factor: Fraction
    dimensions: Dimensions
    is_measure: bool = True

    def __str__(self) -> str:
        return f"{self.factor} " + " ".join(f"{name}^{exponent}" for name, exponent in self.dimensions)


ONE = Unit(Fraction(1), ())

SYMBOL_PREFIXES = {
    "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1, "d": -1, "c": -2, "m": -3,
    "u": -6, "μ": -6, "n": -9, "p": -12, "f": -15, "a": -18,
}  # fmt: skip
NAME_PREFIXES = {
    "tera": 12, "giga": 9, "mega": 6, "kilo": 3, "hecto": 2, "deca": 1, "deka": 1, "deci": -1, "centi": -2,
    "milli": -3, "micro": -6, "nano": -9, "pico": -12, "femto": -15,
}  # fmt: skip

_PREFIXED = """
m meter metre              | 1      | m 1
g gram gramme              | 1/1000 | kg 1
s second                   | 1      | s 1
A ampere amp               | 1      | A 1
K kelvin                   | 1      | K 1
mol mole                   | 1      | mol 1
cd candela                 | 1      | cd 1
L l liter litre            | 1/1000 | m 3
Hz hertz                   | 1      | s -1
N newton                   | 1      | kg 1 m 1 s -2
Pa pascal                  | 1      | kg 1 m -1 s -2
J joule                    | 1      | kg 1 m 2 s -2
W watt                     | 1      | kg 1 m 2 s -3
C coulomb                  | 1      | A 1 s 1
V volt                     | 1      | A -1 kg 1 m 2 s -3
F farad                    | 1      | A 2 kg -1 m -2 s 4
Ω Omega ohm                | 1      | A -2 kg 1 m 2 s -3
T tesla                    | 1      | A -1 kg 1 s -2
Wb weber                   | 1      | A -1 kg 1 m 2 s -2
H henry                    | 1      | A -2 kg 1 m 2 s -2
Wh                         | 3600   | kg 1 m 2 s -2
eV electronvolt            | 1602176634/10000000000000000000000000000 | kg 1 m 2 s -2
cal calorie                | 4184/1000 | kg 1 m 2 s -2
bar                        | 100000 | kg 1 m -1 s -2
B byte                     | 8      | bit 1
bit                        | 1      | bit 1
"""
_ALONE = """
rad radian                 | 1      | rad 1
deg degree                 | 1      | degree 1
min minute                 | 60     | s 1
h hr hrs hour              | 3600   | s 1
d day                      | 86400  | s 1
week wk                    | 604800 | s 1
month                      | 1      | month 1
year yr yrs                | 12     | month 1
sec secs                   | 1      | s 1
t ton tonne                | 1000   | kg 1
in inch inches             | 254/10000    | m 1
ft foot feet               | 3048/10000   | m 1
yd yard                    | 9144/10000   | m 1
mi mile                    | 1609344/1000 | m 1
lb lbs pound               | 45359237/100000000   | kg 1
oz ounce                   | 45359237/1600000000  | kg 1
gal gallon                 | 3785411784/1000000000000 | m 3
qt quart                   | 946352946/1000000000000  | m 3
pt pint                    | 473176473/1000000000000  | m 3
cup                        | 2365882365/10000000000000 | m 3
ha hectare                 | 10000  | m 2
acre                       | 40468564224/10000000 | m 2
mph                        | 44704/100000 | m 1 s -1
kph kmh                    | 5/18   | m 1 s -1
rpm                        | 1/60   | s -1
atm                        | 101325 | kg 1 m -1 s -2
celsius                    | 1      | celsius 1
fahrenheit                 | 1      | fahrenheit 1
percent pct percentage     | 1      | percent 1
usd dollar buck            | 1      | USD 1
cent                       | 1/100  | USD 1
eur euro                   | 1      | EUR 1
gbp                        | 1      | GBP 1
pence penny                | 1/100  | GBP 1
inr rs rupee               | 1      | INR 1
paise paisa                | 1/100  | INR 1
jpy yen 円 日元            | 1      | JPY 1
cny rmb yuan 元 圆 块 人民币 | 1      | CNY 1
角 毛                      | 1/10   | CNY 1
krw won 원                 | 1      | KRW 1
rub ruble rouble руб рублей рубля рубль | 1 | RUB 1
米 公尺 メートル м метр метров метра    | 1 | m 1
厘米 公分 センチ センチメートル см сантиметров | 1/100 | m 1
毫米 ミリ мм               | 1/1000 | m 1
千米 公里 キロ キロメートル км километров километра | 1000 | m 1
克 グラム г грамм граммов  | 1/1000 | kg 1
千克 公斤 キログラム кг килограмм килограммов | 1 | kg 1
升 リットル л литр литров литра        | 1/1000 | m 3
毫升 ミリリットル мл       | 1/1000000 | m 3
秒 秒钟 с секунд секунды   | 1      | s 1
分钟 мин минут минуты      | 60     | s 1
小时 時間 час часа часов   | 3600   | s 1
天 дней дня день           | 86400  | s 1
平方米 平方メートル        | 1      | m 2
平方厘米                   | 1/10000 | m 2
立方米                     | 1      | m 3
立方厘米                   | 1/1000000 | m 3
"""


def _rows(table: str) -> dict[str, Unit]:
    units: dict[str, Unit] = {}
    for line in table.strip().splitlines():
        names, factor, base = line.split("|")
        parts = base.split()
        dimensions = tuple(sorted(zip(parts[::2], map(int, parts[1::2]), strict=True)))
        units |= dict.fromkeys(names.split(), Unit(Fraction(factor.strip()), dimensions))
    return units


PREFIXED: Mapping[str, Unit] = _rows(_PREFIXED)
"""Symbols and names that take a prefix."""

ALONE: Mapping[str, Unit] = _rows(_ALONE)
"""Symbols and names that take none, in several languages."""


def find_unit(word: str) -> Unit | None:
    """Return the unit of a symbol, or of a name in singular or plural, in any case where no symbol has that case."""
    for spelling in dict.fromkeys((word, word.casefold(), word.casefold().removesuffix("s"))):
        for found in (PREFIXED.get(spelling), ALONE.get(spelling), _prefixed(spelling)):
            if found:
                return found
    return None


def _prefixed(word: str) -> Unit | None:
    for prefixes, is_symbol in ((SYMBOL_PREFIXES, True), (NAME_PREFIXES, False)):
        for prefix, exponent in prefixes.items():
            stem = word.removeprefix(prefix)
            if stem != word and stem in PREFIXED and (len(stem) <= 3) is is_symbol:
                unit = PREFIXED[stem]
                return Unit(unit.factor * Fraction(10) ** exponent, unit.dimensions)
    return None


def combine(first: Unit, second: Unit, exponent: int = 1) -> Unit:
    """Return `first` times a power of `second`."""
    exponents = dict(first.dimensions)
    for name, each in second.dimensions:
        exponents[name] = exponents.get(name, 0) + exponent * each
    dimensions = tuple(sorted((name, each) for name, each in exponents.items() if each))
    return Unit(first.factor * second.factor**exponent, dimensions)


def noun(word: str) -> Unit:
    """Return what counts things: one noun in singular and plural."""
    singular = word.removesuffix("s") if len(word) > 3 and not word.endswith("ss") else word
    return Unit(Fraction(1), ((singular, 1),), is_measure=False)
