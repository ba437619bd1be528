"""The table of units against the registry of pint, a library of its own source."""

from typing import Any

import pytest

from search.answers.canonical import answer_form, equivalent
from search.answers.reading.units import NAME_PREFIXES, PREFIXED, SYMBOL_PREFIXES, find_unit
from search.answers.reading.words import UNIT_LETTERS

pint = pytest.importorskip("pint")

OURS = {"l": "L", "Omega": "ohm", "Ω": "ohm", "deg": "degree", "gramme": "gram", "amp": "ampere", "cal": "calorie"}
BASES = {"kg": "kilogram", "m": "meter", "s": "second", "A": "ampere", "K": "kelvin", "mol": "mole", "cd": "candela"}


SHORT = {"day", "d", "min", "hour", "in", "ft", "yd", "mi", "lb", "oz", "gal", "acre", "ha", "mph", "kph", "atm", "cup"}
CHECKED = sorted({name for name in PREFIXED if name.isascii()} - {"B", "byte", "bit", "bar", "Wh"} | {*SHORT})


@pytest.fixture(scope="module")
def registry() -> Any:
    return pint.UnitRegistry()


@pytest.mark.parametrize("name", CHECKED)
def test_a_unit_is_what_pint_says(name: str, registry: Any) -> None:
    unit = find_unit(name)
    assert unit
    expected = (1 * registry.parse_units(OURS.get(name, name))).to_base_units()
    assert float(unit.factor) == pytest.approx(expected.magnitude, rel=1e-5)  # pint's acre is that of the US survey
    powers = {name: int(power) for name, power in expected.unit_items()}
    assert {BASES[base]: exponent for base, exponent in unit.dimensions} == powers


def test_prefixes_are_those_of_pint(registry: Any) -> None:
    for prefix, exponent in {**SYMBOL_PREFIXES, **NAME_PREFIXES}.items():
        stem = "meter" if prefix in NAME_PREFIXES else "m"
        assert (1 * registry.parse_units(prefix + stem)).to("m").magnitude == pytest.approx(10.0**exponent)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"5 \mathrm{kg\cdot m/s^2}", "5 newtons"),
        ("5 km/h", "5 kilometers per hour"),
        ("5 cubic centimeters", r"5\text{ mL}"),
        ("5 kPa", "5 kilopascals"),
        (r"5\text{ m s}^{-1}", "5 m/s"),
        ("5 sq cm", "5 cm^2"),
        ("5 hours", "5 hrs"),
        (r"10 \Omega", "10 ohms"),
        (r"5 \mu m", "5 micrometers"),
        (r"5\text{ d}", "5 days"),
    ],
)
def test_one_unit_has_several_names(one: str, other: str) -> None:
    assert answer_form(one).unit == answer_form(other).unit is not None
    assert equivalent(one, other)


@pytest.mark.parametrize("letter", sorted(UNIT_LETTERS))
def test_every_letter_that_is_a_unit_has_one(letter: str) -> None:
    assert find_unit(letter)
    assert answer_form(rf"5\text{{ {letter}}}").unit


@pytest.mark.parametrize("variable", ["x", r"\theta"])
def test_a_differential_is_no_day(variable: str) -> None:
    assert answer_form(rf"5\mathrm{{d}}{variable}").unit is None
    assert not equivalent(rf"5\mathrm{{d}}{variable}", "5")
    assert not equivalent(rf"5\mathrm{{d}}{variable}", f"5{variable}")


def test_a_coefficient_of_friction_is_no_prefix() -> None:
    assert answer_form(r"0.5\mu mg").unit is None
    assert not equivalent(r"0.5\mu mg", "0.5")
    assert equivalent(r"5 \mu\mathrm{m}", r"5 \mu m")


def test_a_unit_is_written_in_base_units() -> None:
    assert str(find_unit("km")) == "1000 m^1"
    assert str(find_unit("kWh")) == "3600000 kg^1 m^2 s^-2"
    assert find_unit("apples") is None
