"""Functions of each element by itself (`abs`, `clamp_min`, `hour`, …), and between scalars and vectors."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.promql.calendar import CALENDAR
from streams.promql.expression import Call, Expression, Number, ValueType
from streams.promql.vector import OneElement, Vector
from streams.series.arrays import Floats


@dataclass(frozen=True, slots=True)
class ElementFunction:
    """A function from a vector's values, and scalars, to values.

    compute: of the vector's values and the scalars.
    takes: the types of its arguments; the vector stands first. defaults: what the last ones are when they are left out.
    has_result: whether there is any, from the scalars; None = always.
    """

    compute: Callable[..., Floats]
    takes: tuple[ValueType, ...] = ("vector",)
    defaults: tuple[Expression, ...] = ()
    has_result: Callable[..., bool] | None = None


def _at_least(values: Floats, lowest: float) -> Floats:
    # Go's larger of infinity and NaN is infinity.
    endless = (values == np.inf) | (lowest == np.inf)
    return np.where(endless, np.inf, np.maximum(values, lowest))


def _at_most(values: Floats, highest: float) -> Floats:
    endless = (values == -np.inf) | (highest == -np.inf)
    return np.where(endless, -np.inf, np.minimum(values, highest))


def _clamp(values: Floats, lowest: float, highest: float) -> Floats:
    return _at_least(_at_most(values, highest), lowest)


def _round(values: Floats, nearest: float) -> Floats:
    # By the inverse, as Prometheus does: 0.1 is less exact than 10.
    inverse = np.float64(1.0) / np.float64(nearest)
    rounded: Floats = np.floor(values * inverse + 0.5) / inverse
    return rounded


def _sign(values: Floats) -> Floats:
    return np.where(values == 0.0, values, np.sign(values))


def _log2(values: Floats) -> Floats:
    """As Go has it: the exponent, and the logarithm of the rest, which is less exact close to 1."""
    rest, exponent = np.frexp(values)
    return np.where(rest == 0.5, exponent - 1.0, np.log(rest) * (1.0 / math.log(2.0)) + exponent)


def _log10(values: Floats) -> Floats:
    return _log2(values) * (math.log(2.0) / math.log(10.0))


_NOW = Call("vector", (Call("time", ()),))
ELEMENTWISE: Final[dict[str, ElementFunction]] = {
    "abs": ElementFunction(np.abs),
    "ceil": ElementFunction(np.ceil),
    "floor": ElementFunction(np.floor),
    "round": ElementFunction(_round, ("vector", "scalar"), (Number.of(1.0),)),
    "sgn": ElementFunction(_sign),
    "exp": ElementFunction(np.exp),
    "ln": ElementFunction(np.log),
    "log2": ElementFunction(_log2),
    "log10": ElementFunction(_log10),
    "sqrt": ElementFunction(np.sqrt),
    "sin": ElementFunction(np.sin),
    "cos": ElementFunction(np.cos),
    "tan": ElementFunction(np.tan),
    "asin": ElementFunction(np.arcsin),
    "acos": ElementFunction(np.arccos),
    "atan": ElementFunction(np.arctan),
    "sinh": ElementFunction(np.sinh),
    "cosh": ElementFunction(np.cosh),
    "tanh": ElementFunction(np.tanh),
    "asinh": ElementFunction(np.arcsinh),
    "acosh": ElementFunction(np.arccosh),
    "atanh": ElementFunction(np.arctanh),
    "deg": ElementFunction(lambda values: values * 180.0 / math.pi),
    "rad": ElementFunction(lambda values: values * math.pi / 180.0),
    "clamp": ElementFunction(
        _clamp, ("vector", "scalar", "scalar"), has_result=lambda lowest, highest: not highest < lowest
    ),
    "clamp_min": ElementFunction(_at_least, ("vector", "scalar")),
    "clamp_max": ElementFunction(_at_most, ("vector", "scalar")),
    **{name: ElementFunction(compute, defaults=(_NOW,)) for name, compute in CALENDAR.items()},
}


def apply_to_elements(function: ElementFunction, vector: Vector, scalars: list[float]) -> Vector:
    """The function's result, with the names still on."""
    present = vector.present
    if function.has_result is not None and not function.has_result(*scalars):
        present = np.zeros(len(present), np.bool_)
    return Vector(vector.domain, function.compute(vector.values, *scalars), present)


def scalar_of(vector: Vector) -> float:
    """`scalar`: the value of the only element; NaN if there is none or there are several."""
    values = vector.values[vector.present]
    return float(values[0]) if len(values) == 1 else math.nan


def vector_of(scalar: float, domain: OneElement) -> Vector:
    """`vector`: one element without labels."""
    return Vector(domain, np.array([scalar]), domain.kept)
