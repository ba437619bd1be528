"""The program of a response is its last closed block of Python."""

import time

import pytest

from search.code.block import last_program


@pytest.mark.parametrize(
    ("response", "program"),
    [
        ("```python\nx = 1\n```", "x = 1\n"),
        ("```\nx = 1\n```", "x = 1\n"),
        ("```Python3\nx = 1\n```\nDone.", "x = 1\n"),
        ("~~~py\nx = 1\n~~~", "x = 1\n"),
        ("  ```python title=a\nx = 1\n  ```", "x = 1\n"),
        ("```python\nx = 1\n```\nBetter:\n```python\nx = 2\n```", "x = 2\n"),
        ("```python\nx = 1\n```\nIt prints\n```text\n1\n```", "x = 1\n"),
        ("```python\nx = 1\n```\nRun it:\n```bash\npython x.py\n```", "x = 1\n"),
        ("```python\nx = 1\n```\n```python\nx = 2", "x = 1\n"),
        ("````python\nx = '''\n```\n'''\n````", "x = '''\n```\n'''\n"),
        ("```python\n# ```not a fence\nx = 1\n```", "# ```not a fence\nx = 1\n"),
        ("```python\r\nx = 1\r\n```", "x = 1\r\n"),
        ("```python\n\n```", None),
        ("```python\n```", None),
        ("x = 1", None),
        ("`x = 1`", None),
        ("```python\nx = 1", None),
        ("```text\nx = 1\n```", None),
        ("", None),
    ],
)
def test_it_is_found(response: str, program: str | None) -> None:
    assert last_program(response) == program


def test_a_long_response_is_read_in_linear_time() -> None:
    assert last_program("```" * 200_000 + "\n" + "```\n" * 200_000) is None
    assert last_program("`" * 1_000_000) is None
    assert last_program("\n" * 1_000_000 + " " * 1_000_000) is None


@pytest.mark.parametrize("line", ["~" * 20_000 + "`", "```" + "a" * 20_000 + "`", "```" + " " * 20_000 + "`"])
def test_a_line_that_is_nearly_a_fence_is_read_once(line: str) -> None:
    started = time.process_time()
    assert last_program(line) is None
    assert time.process_time() - started < 1  # read again for each of its characters it took four seconds
