"""Operators with at most one vector: `+ - * / % ^ atan2` and comparisons."""

from typing import Final

import numpy as np

from streams.promql.vector import Vector

ARITHMETIC: Final[dict[str, np.ufunc]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}
COMPARISONS: Final[dict[str, np.ufunc]] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}


def between_scalars(operator: str, left: float, right: float) -> float:
    """Both sides are scalars; a comparison answers 0 or 1."""
    function = ARITHMETIC.get(operator) or COMPARISONS[operator]
    return float(function(np.float64(left), np.float64(right)))


def with_scalar(operator: str, vector: Vector, scalar: float, *, scalar_first: bool, as_bool: bool) -> Vector:
    """One side is a vector, whose elements stay what they are; a comparison filters them or answers 0 or 1."""
    sides = (scalar, vector.values) if scalar_first else (vector.values, scalar)
    if operator in ARITHMETIC:
        return Vector(vector.domain, ARITHMETIC[operator](*sides), vector.present)
    holds = COMPARISONS[operator](*sides)
    if as_bool:
        return Vector(vector.domain, holds.astype(np.float64), vector.present)
    return Vector(vector.domain, vector.values, vector.present & holds)
