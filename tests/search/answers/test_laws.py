from fractions import Fraction
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from search.answers.canonical import answer_key
from search.answers.reading.words import UNIT_LETTERS
from tests.search.answers.spellings import CLASSES

relaxed = settings(max_examples=50)

rationals = st.fractions(max_denominator=1000)
answers = st.sampled_from([spelling for spellings in CLASSES for spelling in spellings])
symbols = st.sampled_from(["x", "y", "n", r"\theta"])
expressions = st.recursive(
    st.integers(0, 20).map(str) | symbols,
    lambda inner: st.one_of(
        st.tuples(st.sampled_from("+-*"), inner, inner).map(lambda parts: f"({parts[1]}){parts[0]}({parts[2]})"),
        inner.map(lambda content: rf"\sqrt{{{content}}}"),
        inner.map(lambda content: rf"\frac{{{content}}}{{7}}"),
        inner.map(lambda content: rf"\left({content}\right)^{{2}}"),
    ),
    max_leaves=6,
)

units = st.sampled_from(sorted(UNIT_LETTERS)).map(r"\mathrm{{{}}}".format)
insertions = st.lists(
    st.tuples(st.integers(0, 80), st.sampled_from(r"{}()[]\^_!|=<>,;:.+-*/ 0123456789xeiπ∞√²%$&a")), max_size=4
)


def latex(value: Fraction) -> str:
    return rf"\frac{{{value.numerator}}}{{{value.denominator}}}"


@relaxed
@given(rationals, rationals)
def test_rationals_are_equivalent_exactly_when_they_are_equal(one: Fraction, other: Fraction) -> None:
    assert (answer_key(str(one)) == answer_key(latex(other))) is (one == other)


@relaxed
@given(rationals.filter(bool), st.integers(1, 10**6))
def test_a_fraction_need_not_be_reduced(value: Fraction, factor: int) -> None:
    unreduced = rf"\frac{{{value.numerator * factor}}}{{{value.denominator * factor}}}"
    assert answer_key(unreduced) == answer_key(str(value))


@relaxed
@given(st.decimals(-1000, 1000, places=4))
def test_a_decimal_is_its_fraction(value: object) -> None:
    assert answer_key(f"{value}") == answer_key(latex(Fraction(f"{value}")))


@relaxed
@given(st.integers(-(10**18), 10**18))
def test_an_integer_is_its_own_key(value: int) -> None:
    assert answer_key(str(value)) == str(value)


@relaxed
@given(st.integers(-(10**20), 10**20))
def test_thousands_may_be_set_apart(value: int) -> None:
    assert answer_key(f"{value:,}") == answer_key(str(value))


@relaxed
@given(expressions, expressions)
def test_sums_and_products_have_no_order(one: str, other: str) -> None:
    assert answer_key(f"({one})+({other})") == answer_key(f"({other})+({one})")
    assert answer_key(f"({one})({other})") == answer_key(rf"({other})\cdot({one})")


@relaxed
@given(expressions)
def test_adding_one_makes_another_answer(expression: str) -> None:
    assert answer_key(expression) != answer_key(f"{expression}+1")


@relaxed
@given(expressions, expressions, st.integers(2, 50))
def test_an_equation_may_be_multiplied(one: str, other: str, factor: int) -> None:
    left, right = f"w+{one}", f"w^2+{other}"
    assert answer_key(f"{left}={right}") == answer_key(f"{factor}({right})={factor}({left})")


@relaxed
@given(expressions, expressions)
def test_an_inequality_may_be_turned_round_but_not_over(one: str, other: str) -> None:
    left, right = f"xy+{one}", f"x^3+{other}"
    assert answer_key(f"{left}<{right}") == answer_key(f"{right}>{left}")
    assert answer_key(f"{left}<{right}") != answer_key(f"{left}>{right}")


@relaxed
@given(st.lists(expressions, min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_a_list_has_no_order(items: list[str], random: Random) -> None:
    shuffled = random.sample(items, len(items))
    assert answer_key(", ".join(items)) == answer_key(r"\text{ and }".join(shuffled))


@settings(max_examples=300)
@given(st.text(max_size=600))
def test_any_text_has_one_key(text: str) -> None:
    assert answer_key(text) == answer_key(text) != ""


@settings(max_examples=400)
@given(answers, insertions)
def test_a_mutilated_answer_has_a_key(answer: str, insertions: list[tuple[int, str]]) -> None:
    for position, character in insertions:
        answer = answer[:position] + character + answer[position:]
    assert answer_key(answer)


@settings(max_examples=400)
@given(st.lists(answers | units | st.sampled_from([*"0123456789(){}[]^_=,;/+-| "]), max_size=6))
def test_pieces_in_any_order_have_a_key(pieces: list[str]) -> None:
    assert answer_key("".join(pieces))


@relaxed
@given(answers, st.sampled_from(["$ {} $", " {} ", r"\({}\)", r"\[ {} \]", "{}.", r"\ {}\,"]))
def test_what_stands_around_an_answer_does_not_count(answer: str, around: str) -> None:
    assert answer_key(around.replace("{}", answer)) == answer_key(answer)
