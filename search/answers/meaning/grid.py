"""Arithmetic of matrices, given as the tuple of their rows. Knows nothing of trees."""

from functools import reduce

from search.answers.meaning.scalar import Scalar, add, divide, multiply
from search.answers.reading.syntax import UnreadableError

Grid = tuple[tuple[Scalar, ...], ...]
Value = Scalar | Grid
"""A scalar, or the rows of a matrix."""

MAX_DETERMINANT = 5
"""Rows of a determinant, which is expanded by its minors."""


def is_grid(value: Value) -> bool:
    """Say whether the value is a matrix."""
    return isinstance(value, tuple)


def add_values(first: Value, second: Value) -> Value:
    """Return the sum of two scalars or of two matrices of one shape."""
    if not is_grid(first) and not is_grid(second):
        return add(first, second)
    if not is_grid(first) or not is_grid(second) or _shape(first) != _shape(second):
        raise UnreadableError
    return tuple(tuple(map(add, row, other)) for row, other in zip(first, second, strict=True))


def multiply_values(first: Value, second: Value) -> Value:
    """Return the product of scalars and matrices."""
    if is_grid(first) and is_grid(second):
        if len(first[0]) != len(second):
            raise UnreadableError
        columns = tuple(zip(*second, strict=True))
        return tuple(tuple(_dot(row, column) for column in columns) for row in first)
    if is_grid(first):
        return tuple(tuple(multiply(cell, second) for cell in row) for row in first)
    return multiply_values(second, first) if is_grid(second) else multiply(first, second)


def divide_values(first: Value, second: Value) -> Value:
    """Return the quotient of a scalar or a matrix by a scalar."""
    if is_grid(second):
        raise UnreadableError
    if is_grid(first):
        return tuple(tuple(divide(cell, second) for cell in row) for row in first)
    return divide(first, second)


def absolute(value: Value) -> Scalar:
    """Return the absolute value of a scalar."""
    if isinstance(value, tuple):
        raise UnreadableError
    return abs(value)


def determinant(value: Value) -> Scalar:
    """Return the determinant of a small square matrix."""
    if not is_grid(value) or len(value) != len(value[0]) or len(value) > MAX_DETERMINANT:
        raise UnreadableError
    if len(value) == 1:
        return value[0][0]
    minors = (tuple((*row[:column], *row[column + 1 :]) for row in value[1:]) for column in range(len(value)))
    signed = (determinant(minor) * (-1) ** column for column, minor in enumerate(minors))
    return _dot(value[0], tuple(signed))


def _dot(row: tuple[Scalar, ...], column: tuple[Scalar, ...]) -> Scalar:
    return reduce(add, map(multiply, row, column))


def _shape(grid: Grid) -> tuple[int, int]:
    return len(grid), len(grid[0])
