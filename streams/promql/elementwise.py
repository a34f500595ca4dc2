"""Functions of each element by itself (`abs`, `clamp_min`, …), and between scalars and vectors."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.promql.expression import ValueType
from streams.promql.vector import OneElement, Vector
from streams.series.arrays import Floats


@dataclass(frozen=True, slots=True)
class ElementFunction:
    """A function from a vector's values, and scalars, to values.

    takes: the types of its arguments; the vector stands first.
    """

    takes: tuple[ValueType, ...]
    compute: Callable[..., Floats]


ELEMENTWISE: Final = {
    "abs": ElementFunction(("vector",), np.abs),
    "clamp_min": ElementFunction(("vector", "scalar"), np.maximum),
    "clamp_max": ElementFunction(("vector", "scalar"), np.minimum),
}


def scalar_of(vector: Vector) -> float:
    """`scalar`: the value of the only element; NaN if there is none or there are several."""
    values = vector.values[vector.present]
    return float(values[0]) if len(values) == 1 else math.nan


def vector_of(scalar: float, domain: OneElement) -> Vector:
    """`vector`: one element without labels."""
    return Vector(domain, np.array([scalar]), domain.kept)
