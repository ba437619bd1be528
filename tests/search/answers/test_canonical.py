import pytest

from search.answers.canonical import answer_key
from search.answers.reading.text import MAX_LENGTH, text_key

UNREADABLE = [
    "", " ", "}{", "$", "\\", "%", "1 2", "1 +", "(1, 2", "1)", "{1", r"\text{a", r"\frac", r"\frac{1}{0}", "1/0",
    "0^0", "x^{0/0}", "9^{9^9}", "10^{10^{10}}", "2^{100000000}", "1E9999", "(x+1)^{1000000}", "1001!", "(-1)!",
    "(-0.5-0.5)!", r"\binom{2}{3}", r"\binom{5000}{1000}", r"\ln 0", r"\exp(10000)", r"\cot 0", "e^{1000}",
    r"\infty-\infty", r"\int x dx", r"\sin(1,2)", r"\max(1)", r"\max(i,1)", r"\gcd(1.5,2)", r"\lfloor i \rfloor",
    r"\sum x", r"\sum_{k=1}^{1000} k",
    r"\sum_{k=1}^{150} \sum_{j=1}^{150} k", r"\pm1\pm1\pm1\pm1\pm1", "204_x", "0.5_2", r"0.\overline{x}",
    r"\begin{cases}1\\2\end{cases}", r"\begin{pmatrix}1&2\\3\end{pmatrix}", r"\begin{pmatrix}1\\2",
    r"\begin{pmatrix}1&2\end{pmatrix}^2", r"\begin{pmatrix}1&2\end{pmatrix}\begin{pmatrix}1&2\end{pmatrix}",
    r"\begin{pmatrix}1&2\end{pmatrix}+1", r"1/\begin{pmatrix}1&2\end{pmatrix}",
    r"\sin\begin{pmatrix}1&2\end{pmatrix}", r"\begin{vmatrix}1&2\end{vmatrix}",
    r"\begin{pmatrix}1\end{pmatrix}x<\begin{pmatrix}2\end{pmatrix}", r"\{1\}\setminus\{x\}", "x in 5 apples",
    r"\log_0 5", r"\cos(10^{1000})", "((((((((((((((((((((((((((((((((((((((((((((((((((1", "-" * 500, r"x \sim 1",
    "1,1," * 120, r"\mathbb{R} \setminus \{x,y\}", r"\{1,2", r"\sum_{k}^{2} k", r"\sum_{k=1,2} k",
    "1 < 2", r"x \equiv 1", "(2x apples)", "5^apples", r"2 \in 3", r"x \in A = 3", "[1]+(1,2)", r"\sqrt[3{8}", "|1",
    r"\lfloor 1", "x_{(1,2)}", r"\sqrt{10^{40}+1}-10^{20}", r"\operatorname{artanh}(1)", "7^{12000}7^{12000}",
    r"\sum_{k=1}^{10^{30}} k", r"1.5e3\overline{3}", r"1.5e333\ldots", "5 " + "kWh^9 " * 80,
    r"\lfloor ((e^{900})^{50000})^{50000} \rfloor",
]  # fmt: skip


@pytest.mark.parametrize("answer", UNREADABLE)
def test_what_is_no_mathematics_compares_as_text(answer: str) -> None:
    assert answer_key(answer) == text_key(answer)
    assert answer_key(answer).startswith("text:")


@pytest.mark.parametrize(
    ("one", "other"),
    [("x + ", "x+"), (r"\text{1 ,2 (}", "1,2("), ("If. So (", "If So("), ("\N{FULLWIDTH DIGIT TWO}(", "2(")],
)
def test_spacing_and_wrapping_do_not_count_in_text(one: str, other: str) -> None:
    assert answer_key(one) == answer_key(other)


def test_prose_has_no_case_but_formulas_have() -> None:
    assert answer_key("A regular Hexagon") == answer_key("a regular hexagon")
    assert answer_key("X^") != answer_key("x^")


@pytest.mark.parametrize("answer", ["", "\ud800", "\x00", "\u200b", "   ", "😀", "5❶", "5\u1369"])
def test_every_answer_has_a_key_that_can_be_encoded(answer: str) -> None:
    assert answer_key(answer).encode()


def test_answers_that_are_not_seen_differ() -> None:
    assert answer_key("\ud800") != answer_key("\ud801") != answer_key("")


def test_a_long_answer_compares_as_a_whole() -> None:
    one, other = "1" * (MAX_LENGTH + 1), "1" * MAX_LENGTH + "2"
    assert answer_key(one) == answer_key(f"  {one} ")
    assert answer_key(one) != answer_key(other)
    assert len(answer_key("1" * 1_000_000)) < 100


def test_a_large_exact_number_is_told_from_its_neighbour() -> None:
    assert answer_key("3^{2025}") != answer_key("3^{2025}+1")
    assert answer_key(r"\frac{3^{2025}}{7}") == answer_key(r"\frac{3^{2026}}{21}")


def test_the_extreme_of_numbers_that_are_computed_as_complex_ones_is_real() -> None:
    assert answer_key(r"\max(i^2,\sqrt{2})") == answer_key(r"\sqrt{2}")


def test_a_large_number_with_decimals_is_itself() -> None:
    assert answer_key("1" * 400 + ".123456") != answer_key("1" * 400 + ".123457")


def test_a_number_of_any_size_has_a_name_at_once() -> None:
    tower = "((e^{900})^{50000})^{50000}"
    assert answer_key(f"1/{tower}") != answer_key(f"2/{tower}")
    assert answer_key(f"f({tower})") != answer_key(f"f(2{tower})")


def test_a_root_of_a_negative_number_has_its_sign_whatever_the_size_of_its_degree() -> None:
    degree = "(10^{400}+1)"
    assert answer_key(f"(-2)^{{-10^{{400}}/{degree}}}") == answer_key(f"2^{{-10^{{400}}/{degree}}}")
    assert answer_key(f"(-2)^{{-1/{degree}}}") == answer_key(f"-2^{{-1/{degree}}}")
