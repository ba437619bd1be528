# ruff: noqa: E501, RUF001 (tables of spellings, in several scripts)
r"""Writes answers in many ways: one value in equal spellings, and values near it in spellings just as odd.

A writer takes a value and a die; it knows by arithmetic of its own what is equal, and reads nothing. `real` takes golds
of any shape: only what stands around them changes, and for a near miss one of their digits.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations
from random import Random


@dataclass(frozen=True, slots=True)
class Mutations:
    """Spellings of one value.

    Attributes:
        kind: Of the value.
        equal: All of them the same answer.
        near: Each of them another answer than `equal`.
    """

    kind: str
    equal: tuple[str, ...]
    near: tuple[str, ...]


AROUND = (
    "{}", "${}$", " {} ", "{}.", r"\({}\)", r"\[ {} \]", "**{}**", "`{}`", "$${}$$", r"\displaystyle {}", "**{}**.",
    "{}\n", r"\boxed{{{}}}", "*{}*", "__{}__",
)  # fmt: skip
"""What may stand around any answer."""

COUNTED = (
    r"{}\text{{ cm}}", "{} apples", "{} (apples)", r"{}\%", r"{}^\circ", r"\${}", "{} dollars", "{}元", "{}个",
    r"{}\text{{ units}}", r"{}\,\mathrm{{m/s^2}}", "{}°C", r"{} \mu m", r"{} \mathrm{{~min}}", "{} яблок", "{} km",
    r"{}\ \text{{m}}^2", "{} square meters", "{} hours", "€{}", r"{} \text{{ km/h}}", "{} miles per hour", "{}時間",
)  # fmt: skip
"""What may stand behind or before a number and changes nothing."""

CHANGING = (
    "{} thousand", "{} dozen", "{} tenths", "{} April", "{}万", "{} lakh", "{} million", "{} halves", "{} more than x",
    "{} o'clock", "{} pm", "{} out of 1000003", "{}x", "{}i", r"{}\pi", r"{}_{{11}}", "x > {}", r"x \ge {}", r"\sqrt{{{}}}+x",
    r"\pm({})+\sqrt{{7}}", "0x{}", "{}-1000003", "{}:1000003", "({}, 1000003)", "{}, 1000003", "[{}, 1000003]",
    "{} or more", "{} тысяч", "{} mil", "{} Millionen", "{}倍", "{}月", "{} BC", "{}-th", r"{} \quad 1000003",
    r"x={} \quad y=1000003", "x={} 或 x=1000003", "x={} oder x=1000003", r"\{{x \in \mathbb{{Z}} : x > {}\}}",
)  # fmt: skip
"""What makes another answer of any number."""


def integer(value: int, dice: Random) -> Mutations:
    other = dice.choice([value + 1, value - 1, value * 10 + 7, value + 10, -value or 5, value + 100])
    factor = dice.randint(2, 9)
    equal = [
        str(value), f"{value:,}", f"{value}.0", f"{value}.00", f"x = {value}", f"{value} = x", rf"\text{{{value}}}",
        rf"\frac{{{value * factor}}}{{{factor}}}", f"{value * factor}/{factor}", f"({value})", rf"\mathbf{{{value}}}",
        f"{value:,}".replace(",", "{,}"), f"{value:,}".replace(",", r"\,"), rf"{value} \times 10^0",
        rf"\approx {value}", f"{value - factor} + {factor}", f"m_{{\\max}} = {value}", f"P(X=2) = {value}",
        f"Area = {value}", rf"\text{{Area}} = {value}", f"n(A \\cap B) = {value}", f"={value}",
        f"{value}." + "0" * 17, rf"\lim_{{x \to 0}} f(x) = {value}", f"{value:,}".replace(",", "'"),
    ]  # fmt: skip
    equal += [form.format(value) for form in COUNTED if value >= 0]
    equal += [form.format(value) for form in AROUND]
    near = [form.format(other) for form in (*AROUND, *COUNTED[:12])]
    near += [form.format(value) for form in CHANGING if value > 1]
    near += [
        f"{value}.1",
        f"{value}.{'0' * dice.randint(1, 13 - len(str(value)))}1",
        f"{value}/1000003" if value else "7",
        f"{value} + x",
        f"{other:,}",
    ]
    return Mutations("integer", tuple(equal), tuple(near))


def fraction(value: Fraction, dice: Random) -> Mutations:
    top, bottom, factor = value.numerator, value.denominator, dice.randint(2, 9)
    near_values = {
        Fraction(top + 1, bottom), Fraction(top, bottom + 1), Fraction(bottom, top or 1), -value or Fraction(1, 3),
        value + 1, value + Fraction(1, 10**5), Fraction(f"{float(value):.3f}"), Fraction(f"{float(value):.4f}"),
    } - {value}  # fmt: skip
    equal = [
        rf"\frac{{{top}}}{{{bottom}}}", rf"\dfrac{{{top}}}{{{bottom}}}", rf"\tfrac{{{top}}}{{{bottom}}}",
        f"{top}/{bottom}", rf"{{{top} \over {bottom}}}", rf"{top} \over {bottom}", rf"{top} \div {bottom}",
        rf"\frac{{{top * factor}}}{{{bottom * factor}}}", f"({top})/({bottom})", rf"{top} \cdot {bottom}^{{-1}}",
        rf"\left(\frac{{{top}}}{{{bottom}}}\right)", rf"x = \frac{{{top}}}{{{bottom}}}", f"{top}⁄{bottom}",
        rf"\frac{{{top}}}{{{bottom}}} \approx {float(value):.2f}", rf"P(X=1)=\frac{{{top}}}{{{bottom}}}",
        rf"\cfrac{{{top}}}{{{bottom}}}", repr(float(value)) if bottom < 1000 else f"{top}/{bottom}",
        rf"\frac{{{top}}}{{{bottom}}}\text{{ cm}}", rf"\frac{{{-top}}}{{{-bottom}}}", f"{top} ÷ {bottom}",
    ]  # fmt: skip
    if value > 1 and bottom > 1:
        whole, rest = divmod(top, bottom)
        equal += [rf"{whole}\frac{{{rest}}}{{{bottom}}}", f"{whole} {rest}/{bottom}"]
    near = [
        spelling
        for near in near_values
        for spelling in (str(near), rf"\frac{{{near.numerator}}}{{{near.denominator}}}")
    ]
    near += [
        f"{top}:{bottom}:7",
        f"({top}, {bottom})",
        rf"\frac{{{top}}}{{{bottom}}} x",
        rf"\sqrt{{\frac{{{abs(top)}}}{{{bottom}}}}}+x",
    ]
    return Mutations("fraction", (*equal, *(form.format(equal[0]) for form in AROUND)), tuple(near))


def surd(a: int, b: int, c: int, dice: Random) -> Mutations:
    root = rf"\sqrt{{{c}}}"
    exact = a + b * c**0.5
    equal = [
        f"{a}+{b}{root}", f"{b}{root}+{a}", rf"{a}+{b}\cdot{root}", f"{a}+{b}*sqrt({c})", f"{a}+{b}√{c}", f"x={a}+{b}{root}",
        rf"\frac{{{2 * a}+{2 * b}{root}}}{{2}}", f"{a} + {b}*{c}^(1/2)", f"{a}+{b}({c})^{{0.5}}", rf"{a}+\sqrt{{{b * b * c}}}",
        rf"\left({a}+{b}{root}\right)", f"{a}-(-{b}){root}", rf"{a}+{b}{root} \approx {exact:.3f}", f"{exact!r}",
        rf"{a}+\frac{{{b * c}}}{{{root}}}",
    ]  # fmt: skip
    near = [
        f"{a}-{b}{root}", f"{b}+{a}{root}" if a != b else f"{b + 1}+{a}{root}", rf"{a}+{b}\sqrt{{{c + 1}}}",
        f"{a + 1}+{b}{root}", f"{a}+{b + 1}{root}", rf"{a}\pm{b}{root}", f"{exact:.6f}", f"{exact:.10f}", f"{exact:.3f}",
        f"-{a}+{b}{root}", f"{a}{b}{root}", f"{a}, {b}{root}", rf"{a}+{b}\sqrt[3]{{{c}}}", rf"({a}, {b}{root})",
    ]  # fmt: skip
    return Mutations("surd", (*equal, *(form.format(equal[0]) for form in AROUND)), tuple(near))


def plus_minus(a: int, b: int, dice: Random) -> Mutations:
    equal = [
        rf"{a} \pm {b}", f"{a}±{b}", f"{a} +/- {b}", f"{a}+-{b}", f"{a} plus or minus {b}", rf"x = {a} \pm {b}",
        f"{a + b}, {a - b}", f"{a - b} or {a + b}", rf"x={a + b} \quad x={a - b}", f"x={a + b} 或 x={a - b}",
        f"x = {a + b} oder x = {a - b}", f"x = {a + b} ou x = {a - b}", f"x = {a + b} o x = {a - b}",
        f"x = {a + b} или x = {a - b}", f"x={a - b}または x={a + b}", rf"\{{{a + b}, {a - b}\}}", rf"{a} \mp {b}",
        rf"x_1={a + b}, x_2={a - b}", rf"x={a + b} \lor x={a - b}", rf"x={a + b}\\x={a - b}", f"x={a + b}\nx={a - b}",
        f"{a - b} y {a + b}", f"{a - b} e {a + b}", f"{a - b}和{a + b}", f"{a - b} und {a + b}", f"{a - b} et {a + b}",
    ]  # fmt: skip
    near = [
        str(a + b), str(a - b), rf"{a} \pm {b + 1}", rf"\pm {a + b}", f"({a + b}, {a - b})", f"{a + b}, {a - b + 1}",
        f"{a + b}, {a - b}, {a}", f"x={a + b} oder x={a - b - 1}", rf"x={a + b} \quad y={a - b}", f"{a + b}:{a - b}",
    ]  # fmt: skip
    return Mutations("plus-minus", tuple(equal), tuple(near))


def numbers(values: Sequence[int], dice: Random) -> Mutations:
    """A list without order of different integers."""
    orders = dice.sample(list(permutations(values)), 4)
    equal = []
    for order in orders:
        texts = [str(number) for number in order]
        equal += [
            ", ".join(texts), ",".join(texts), ";".join(texts), rf"\{{{', '.join(texts)}\}}", " and ".join(texts),
            ", ".join(f"x={text}" for text in texts), r" \quad ".join(f"x = {text}" for text in texts), "x = " + ", ".join(texts),
            rf"x \in \{{{','.join(texts)}\}}", "、".join(texts), "\n".join(f"x = {text}" for text in texts),
        ]  # fmt: skip
    changed = [*values[:-1], values[-1] + dice.choice([1, 2, 1000])]
    near = [
        ", ".join(map(str, changed)), ", ".join(map(str, values[1:])), f"({', '.join(map(str, values))})",
        ", ".join(map(str, [*values, max(values) + 1])), rf"\{{{', '.join(map(str, changed))}\}}",
        r" \quad ".join(f"x = {each}" for each in changed), rf"{values[0]}, \ldots, {values[-1]}", ":".join(map(str, values)),
    ]  # fmt: skip
    return Mutations("list", tuple(equal), tuple(near))


def point(a: int, b: int, dice: Random) -> Mutations:
    equal = [
        f"({a},{b})", f"({a}, {b})", f"(x,y)=({a},{b})", f"x={a}, y={b}", f"y={b}, x={a}", rf"x={a} \quad y={b}",
        rf"\left({a},{b}\right)", rf"\begin{{cases}}x={a}\\y={b}\end{{cases}}", f"x={a} and y={b}", rf"x={a}\\y={b}",
        f"x={a}\ny={b}", rf"\langle {a},{b}\rangle", rf"\left\{{\begin{{array}}{{l}}x={a}\\y={b}\end{{array}}\right.",
        rf"\begin{{aligned}}x&={a}\\y&={b}\end{{aligned}}", f"x = {a} und y = {b}", f"x={a},y={b}。", f"x={a}; y={b}",
        rf"x = {a}\text{{ and }}y = {b}", f"$x={a}$, $y={b}$", f"{a} apples and {b} pears" if min(a, b) > 0 else f"({a},{b})",
        f"({a};{b})",
    ]  # fmt: skip
    near = [
        f"({b},{a})", f"({a},{b + 1})", f"x={b}, y={a}", f"{a}, {b}", f"{b}", rf"x={a} \quad x={b}", f"({a},{b},0)",
        rf"\{{{a},{b}\}}", rf"x={b} \quad y={a}", f"{a}:{b}", f"({-a or 7},{b})", f"{b} apples and {a} pears" if min(a, b) > 0 else f"{a}",
        f"[{a},{b}]", rf"\begin{{cases}}x={b}\\y={a}\end{{cases}}", rf"\begin{{pmatrix}}{a}\\{b}\end{{pmatrix}}",
    ]  # fmt: skip
    return Mutations("point", tuple(equal), tuple(near))


def interval(a: int, b: int, dice: Random) -> Mutations:
    middle = dice.randint(a + 1, b - 1)
    equal = [
        f"[{a},{b})", rf"{a} \le x < {b}", rf"{b} > x \ge {a}", rf"x \in [{a},{b})", rf"\{{x \mid {a} \le x < {b}\}}",
        rf"[{a},{middle}]\cup[{middle},{b})", rf"x \ge {a} \text{{ and }} x < {b}", rf"\left[{a},{b}\right)", f"{a}<=x<{b}",
        rf"[{a},{b}]\cap[{a},{b})", rf"\{{x \in \mathbb{{R}} : {a} \le x < {b}\}}", rf"[{a},{middle})\cup\{{{middle}\}}\cup({middle},{b})",
        rf"x<{b}, x\geq {a}", rf"{2 * a} \le 2x < {2 * b}", f"x≥{a} 且 x<{b}".replace("且", "and"), rf"{-b} < -x \le {-a}",
    ]  # fmt: skip
    near = [
        f"[{a},{b}]", f"({a},{b})", f"({a},{b}]", f"[{a},{b + 1})", rf"[{a},{middle})\cup({middle},{b})", f"{a}, {b}",
        rf"\{{x \in \mathbb{{Z}} : {a} \le x < {b}\}}", rf"x<{a} \text{{ or }} x\ge{b}", rf"{a} < x \le {b}", rf"x \ge {a}",
        rf"\{{x \in \mathbb{{N}} : {a} \le x < {b}\}}", rf"\mathbb{{R}}\setminus[{a},{b})", rf"[{a},{b})\setminus\{{{middle}\}}",
    ]  # fmt: skip
    return Mutations("interval", tuple(equal), tuple(near))


def distance(c: int, r: int, dice: Random) -> Mutations:
    equal = [
        f"|x-{c}|<{r}", rf"\lvert x-{c}\rvert < {r}", f"({c - r},{c + r})", f"{c - r}<x<{c + r}", f"{r}>|x-{c}|", f"|{c}-x|<{r}",
        f"(x-{c})^2<{r * r}", rf"x \in ({c - r},{c + r})", f"|2x-{2 * c}|<{2 * r}",
        rf"\mathbb{{R}}\setminus((-\infty,{c - r}]\cup[{c + r},\infty))",
    ]  # fmt: skip
    near = [
        rf"|x-{c}|\le{r}", f"|x-{c}|>{r}", f"|x-{c + 1}|<{r}", f"|x-{c}|<{r + 1}", f"|x+{c + 1}|<{r}", f"({c - r},{c + r}]",
        rf"x<{c - r} \text{{ or }} x>{c + r}",
    ]  # fmt: skip
    return Mutations("absolute value", tuple(equal), tuple(near))


def polynomial(a: int, b: int, c: int, dice: Random) -> Mutations:
    equal = [
        f"{a}x^2+{b}x+{c}", f"{b}x+{a}x^2+{c}", f"{c}+{b}x+{a}x^2", f"y={a}x^2+{b}x+{c}", f"f(x)={a}x^2+{b}x+{c}",
        f"{a}*x**2+{b}*x+{c}", f"x({a}x+{b})+{c}", rf"{a}\cdot x^2+{b}\cdot x+{c}", f"{a}x²+{b}x+{c}",
        rf"\frac{{{2 * a}x^2+{2 * b}x+{2 * c}}}{{2}}", f"f^{{-1}}(x)={a}x^2+{b}x+{c}", f"-(-{a}x^2-{b}x-{c})",
    ]  # fmt: skip
    near = [
        f"{a}x^2+{b}x-{c}", f"{a}x^2-{b}x+{c}", f"{a + 1}x^2+{b}x+{c}", f"{a}x^2+{b}x+{c + 1}", f"{a}x^3+{b}x+{c}",
        f"{a}x^2+{b}x+{c}=0", f"{a}t^2+{b}t+{c}", f"{a}x^2+{b}|x|+{c}", f"{a}x^2+{b}x", f"{a}x^2+{b}x+{c}, 1",
    ]  # fmt: skip
    return Mutations("polynomial", tuple(equal), tuple(near))


def quantity(value: int, dice: Random) -> Mutations:
    names, others = dice.choice(
        [
            (("km", "kilometers", "kilometre", r"\text{ km}", r"\,\mathrm{km}", "км", "公里"), ("metres", "miles", r"\text{ cm}")),
            (("kg", "kilograms", r"\text{ kg}", r"\ \mathrm{kg}", "кг"), ("grams", "pounds", r"\text{ g}")),
            (("min", "minutes", r"\text{ min}", r"\mathrm{~min}", "分钟"), ("hours", "seconds", "days")),
            (("m/s", "meters per second", r"\,\mathrm{m/s}", r"\ \text{m}\,\text{s}^{-1}"), ("km/h", "mph", r"\text{ m/s}^2")),
            (("cm^2", "square centimeters", r"\text{ cm}^2", "sq cm"), ("cm", "square meters", "cm^3")),
            (("dollars", "USD", r"\text{ dollars}"), ("cents", "euros", "yen")),
            (("°C", "degrees Celsius", r"^\circ\text{C}"), ("°F", "degrees Fahrenheit")),
        ]
    )  # fmt: skip
    equal = [str(value), *(f"{value} {name}" for name in names), *(f"x = {value} {name}" for name in names)]
    near = [f"{value} {name}" for name in others] + [f"{value + 1} {name}" for name in names]
    return Mutations("quantity", (f"{value} {names[0]}", *equal[1:]), tuple(near))


def base(value: int, dice: Random) -> Mutations:
    equal = [
        f"{value}_7", f"{value}_{{7}}", f"({value})_7", f"{value} base 7", f"{value} (base 7)", f"{value} in base 7",
        rf"{value}_{{\text{{seven}}}}", f"{value}_{{(7)}}", rf"({value})_{{\text{{seven}}}}", f"{value}₇",
    ]  # fmt: skip
    near = [f"{value}", f"{value}_8", f"{value + 1}_7", f"({value})_9", f"{value} base 8", f"{value}_{{11}}"]
    return Mutations("numeral", tuple(equal), tuple(near))


def ratio(a: int, b: int, dice: Random) -> Mutations:
    equal = [
        f"{a}:{b}",
        f"{a} : {b}",
        f"{a} to {b}",
        f"{a}∶{b}",
        rf"S_1:S_2={a}:{b}",
        f"{a}：{b}",
        rf"\text{{{a}:{b}}}",
    ]
    near = [f"{b}:{a}", f"{a}:{b + 1}", f"{a}{b}", f"({a},{b})", f"{a}, {b}", f"{a + 1} to {b}"]
    return Mutations("ratio", tuple(equal), tuple(near))


def written(a: int, b: int, dice: Random) -> Mutations:
    """Dates, ranges, clock times, scores, hexadecimal numbers: text."""
    day, month = a % 28 + 1, b % 12 + 1
    forms = (
        "2020-{1:02}-{0:02}",
        "2020/{1:02}/{0:02}",
        "{0}–{1}",
        "{0}-{1}",
        "{0:02}:{1:02} pm",
        "0x{0:02X}{1:02X}",
        "555-{0:02}{1:02}",
    )
    form = dice.choice(forms)
    text = form.format(day, month)
    others = {
        form.format(day + 1, month + 1),
        form.format(day, month + 1),
        form.format(day + 1, month),
        str(day - month),
    }
    return Mutations("written out", (text, f"${text}$", f" {text} ", f"{text}.", f"**{text}**"), tuple(others - {text}))


DIGIT = re.compile(r"(?<![\d.])[1-9](?![\d.])")


def real(gold: str, dice: Random) -> Mutations:
    spaced = re.sub(r"(?<=[+=<>])(?! )", " ", gold) if "\\" not in gold else gold
    equal = [form.format(gold) for form in AROUND] + [
        gold.replace(r"\frac", r"\dfrac"),
        spaced,
        gold.replace(r"\left", "").replace(r"\right", ""),
    ]
    digits = list(DIGIT.finditer(gold))
    near = []
    for found in dice.sample(digits, min(3, len(digits))):
        digit = dice.choice([each for each in "123456789" if each != found[0]])
        near.append(gold[: found.start()] + digit + gold[found.end() :])
    return Mutations("gold of a public set", tuple(equal), tuple(near))


def _two(values: range, dice: Random) -> tuple[int, int]:
    first, second = dice.sample(values, 2)
    return first, second


def generate(golds: Sequence[str], count: int, seed: int) -> Iterator[Mutations]:
    """Yield the mutations of the golds, then of `count` drawn values."""
    dice = Random(seed)
    for gold in golds:
        yield real(gold, dice)
        if re.fullmatch(r"-?\d{1,9}", gold):
            yield integer(int(gold), dice)
    writers: tuple[Callable[[], Mutations], ...] = (
        lambda: integer(dice.randint(2, 10 ** dice.randint(1, 8)), dice),
        lambda: fraction(Fraction(dice.randint(1, 400), dice.randint(2, 97)), dice),
        lambda: surd(dice.randint(1, 30), dice.randint(2, 20), dice.choice([2, 3, 5, 6, 7, 10, 11, 13]), dice),
        lambda: plus_minus(dice.choice([-1, 1]) * dice.randint(1, 20), dice.randint(1, 30), dice),
        lambda: numbers(dice.sample(range(-30, 99), 3), dice),
        lambda: point(*_two(range(-20, 40), dice), dice),
        lambda: interval(dice.randint(-20, 5), dice.randint(8, 40), dice),
        lambda: distance(dice.randint(1, 20), dice.randint(1, 9), dice),
        lambda: polynomial(dice.randint(2, 9), dice.randint(2, 30), dice.randint(2, 60), dice),
        lambda: quantity(dice.randint(2, 900), dice),
        lambda: base(int("".join(dice.choices("123456", k=4))), dice),
        lambda: ratio(*_two(range(1, 30), dice), dice),
        lambda: written(dice.randint(1, 90), dice.randint(1, 90), dice),
    )
    for _ in range(count):
        yield dice.choice(writers)()
