import pytest

from search.answers.checking.question import MAX_PROBLEM, read_question

ASKED = [
    # problem, what is asked for, equations and conditions
    ("Solve 5 * (x + 4) = 2x + 38 for x.", ("x",), 1),
    ("Find x if 3x = 12.", ("x",), 1),
    ("What is x if 5 * (x + 11) - 6 = x + 61?", ("x",), 1),
    ("Solve t^2 = 4.", ("t",), 1),
    ("Find a if 2a = 4", ("a",), 1),
    (r"Solve for $x$: $2^{2x} = 256^\frac{1}{2}$.", ("x",), 1),
    (r"If $\sqrt{3x-5}=2$, find all possible values of $x$.", ("x",), 1),
    (r"Find the value of $r$ such that $$\frac{6r^2 -19r - 7}{2r-7} = 4r-3.$$", ("r",), 1),
    (r"For what value of \(x\) is \[2^3\cdot3^x=72?\]", ("x",), 1),
    ("Solve x + y = 3, x - y = 1.", ("x", "y"), 2),
    ("Find (y, x) if x + y = 3 and x - y = 1.", ("y", "x"), 2),
    (r"Find $y$ and $x$ if $x + y = 3, x - y = 1$.", ("y", "x"), 2),
    (r"Find $x$ if $x > 2$ and $x^2 = 9$.", ("x",), 2),
]

NOT_ASKED = [
    "", "What is 5 + 3?", "How many shells does Ana have now?",
    "Find 2x if 3x = 12.", "Find x + y if x + y = 3.", "Find x if twice x = 12.", "Find x if 30% of x = 12.",
    "The sum of x and 3 = 7. Find x.", "Find the sum of the solutions of x^2 = 4.",
    "Find the number of solutions of x^2 = 4.", "Find x if x = 4 rounded to the nearest ten.",
    "Solve 3x = 4 mod 7.", "Solve x + k = 5 for x.", "Find z if x + y = 3 and x - y = 1.",
    "Suppose x^2 = 4 or x^2 = 9. Find x.", "Suppose x^2 = 4 and x^3 = 8. Find x.", "Find x if x > 4.",
    "Solve x + y = 7 if x = 2.", "When x = 24, y = 15. What are x and y when y = 3?",
    "Solve x = 0.333333y.", "What is x?", "Solve 2 = 2.", "Solve x + = 7.", r"Find $x$ @ $x = 2$.",
    r"Find $x$ if $x \approx 2$ and $x^2 = 4$.", r"It costs \$5. Solve $x = 5$.", "Find i if 2i = 4.",
    "Solve x = 2. " + " " * MAX_PROBLEM, "Solve " + "(" * 200 + "x = 2" + ")" * 200,
]  # fmt: skip


@pytest.mark.parametrize(("problem", "unknowns", "num_relations"), ASKED)
def test_equations_to_solve_are_found_with_their_unknowns(
    problem: str, unknowns: tuple[str, ...], num_relations: int
) -> None:
    question = read_question(problem)
    assert question is not None
    assert (question.unknowns, len(question.relations)) == (unknowns, num_relations)


@pytest.mark.parametrize("problem", NOT_ASKED)
def test_what_is_not_understood_as_a_whole_asks_for_nothing(problem: str) -> None:
    assert read_question(problem) is None
