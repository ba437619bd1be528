import pytest

from search.answers.canonical import answer_key


@pytest.mark.parametrize(
    ("answer", "plain"),
    [
        ("\N{MINUS SIGN}5", "-5"),
        ("\N{FULLWIDTH DIGIT ONE}\N{FULLWIDTH DIGIT TWO}", "12"),
        ("\N{ARABIC-INDIC DIGIT THREE}", "3"),
        ("1\N{VULGAR FRACTION ONE HALF}", r"\frac{3}{2}"),
        ("x\N{SUPERSCRIPT TWO}\N{SUPERSCRIPT THREE}", "x^{23}"),
        ("x\N{SUBSCRIPT ONE}", "x_1"),
        ("2\N{MULTIPLICATION SIGN}3\N{DIVISION SIGN}4", "3/2"),
        ("\N{SQUARE ROOT}2 \N{PLUS-MINUS SIGN} \N{GREEK SMALL LETTER PI}", r"\sqrt2 \pm \pi"),
        ("30\N{DEGREE SIGN}", "30"),
        ("\N{EURO SIGN}30", "30"),
        ("1\N{ZERO WIDTH SPACE}2", "12"),
        ("1\x002", "12"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}12", "12"),
        ("x\N{NO-BREAK SPACE}\N{LESS-THAN OR EQUAL TO} 5", r"x \leq 5"),
        ("\N{MATHEMATICAL ITALIC SMALL X} + 1", "x + 1"),
    ],
)
def test_a_character_is_read_as_its_plain_spelling(answer: str, plain: str) -> None:
    assert answer_key(answer) == answer_key(plain)
