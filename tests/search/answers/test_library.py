"""The answers as a library: what others import, how little that loads, and that its README is right."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import search.answers

README = Path(search.answers.__file__).with_name("README.md").read_text()


@pytest.mark.parametrize("name", search.answers.__all__)
def test_every_name_of_the_face_is_there(name: str) -> None:
    assert getattr(search.answers, name).__name__ == name


def test_no_other_name_is() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Pool'"):
        _ = search.answers.Pool


def test_to_import_it_loads_nothing_of_it_and_no_library() -> None:
    code = "import search.answers, sys; print([n for n in sys.modules if n.startswith(('search.', 'sympy', 'mpmath'))])"
    assert run(code) == ["['search.answers']"]


def test_to_find_an_answer_takes_no_mathematics() -> None:
    code = "from search.answers import extract_answer as e; import sys; print(e('#### 42'), 'sympy' in sys.modules)"
    assert run(code) == ["42 False"]


def test_the_readme_is_right() -> None:
    first, second = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert run(first) == [r"\frac{1}{2}", "True", "False", "True"]
    assert run(second) == ["same canonical value", "False"]


def run(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()
