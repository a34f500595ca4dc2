"""Operators over the elements of a vector: `sum avg min max count group stddev stdvar`, by groups.

Sums are exact before they are rounded, so they do not depend on the order of the series, which differs between a worker
that has run for a week and one that was just restarted. They are at least as good as Prometheus' compensated ones.
"""

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from streams.series.arrays import Floats, Indices

# Beyond this, splitting a sum could overflow.
_LARGEST = 1e290
_FEW = 128


def sum_groups(values: Floats, groups: Indices, size: int) -> Floats:
    """The sum of the values of each group, 0 for a group without any.

    Each round cuts the values at a power of two that is high enough for the upper parts of all to be added without any
    rounding, and goes on with the lower parts until nothing is left: error-free vector transformation.

    Source: Rump, Ogita, Oishi, "Accurate floating-point summation", SIAM J. Sci. Comput. 31 (2008).
    """
    top = float(np.abs(values).max(initial=0.0))
    if not top < _LARGEST:
        return _sum_extremes(values, groups, size)
    if len(values) <= _FEW:
        return _sum_few(values, groups, size)
    spare = int(len(values) + 2).bit_length() + 1
    parts: list[Floats] = []
    rest = values
    while top > 0.0:
        cut = np.ldexp(1.0, int(np.frexp(top)[1]) + spare)
        upper = (cut + rest) - cut
        parts.append(np.bincount(groups, upper, size).astype(np.float64, copy=False))
        rest = rest - upper
        top = float(np.abs(rest).max())
    total = np.zeros(size)
    for part in reversed(parts):
        total += part
    return total


def _sum_few(values: Floats, groups: Indices, size: int) -> Floats:
    """The same for a small system, whose steps are all overhead: exact as well, ten times as fast for a few values."""
    if size == 1:
        return np.array([math.fsum(values.tolist())])
    terms: list[list[float]] = [[] for _ in range(size)]
    for group, value in zip(groups.tolist(), values.tolist(), strict=True):
        terms[group].append(value)
    return np.array([math.fsum(some) for some in terms])


def _sum_extremes(values: Floats, groups: Indices, size: int) -> Floats:
    """Groups with infinite or huge values are added as they are, the others as ever."""
    extreme = np.zeros(size, np.bool_)
    extreme[groups[~(np.abs(values) < _LARGEST)]] = True
    calm = ~extreme[groups]
    total = sum_groups(values[calm], groups[calm], size)
    # In ascending order, so that the result does not depend on the order of the series.
    order = np.argsort(values, kind="stable")
    plain = np.bincount(groups[order], values[order], size)
    return np.where(extreme, plain, total)


def _sum(values: Floats, groups: Indices, size: int) -> Floats:
    return sum_groups(values, groups, size)


def _count(_values: Floats, groups: Indices, size: int) -> Floats:
    return np.bincount(groups, minlength=size).astype(np.float64)


def _avg(values: Floats, groups: Indices, size: int) -> Floats:
    count = _count(values, groups, size)
    total = sum_groups(values, groups, size)
    mean: Floats = total / count
    overflown = np.isinf(total)
    if overflown.any():
        # A sum beyond the largest number may still have a mean below it.
        mean = np.where(overflown, sum_groups(values / count[groups], groups, size), mean)
    return mean


def _min(values: Floats, groups: Indices, size: int) -> Floats:
    lowest = np.full(size, np.nan)
    np.fmin.at(lowest, groups, values)
    return lowest


def _max(values: Floats, groups: Indices, size: int) -> Floats:
    highest = np.full(size, np.nan)
    np.fmax.at(highest, groups, values)
    return highest


def _group(_values: Floats, _groups: Indices, size: int) -> Floats:
    return np.ones(size)


def _variance(values: Floats, groups: Indices, size: int) -> Floats:
    """From exact sums of what is left after the mean; at least as good as Prometheus' running one.

    Counted from the lowest value, so that equal ones have none: the mean of three times 0.1 is not 0.1.
    """
    count = _count(values, groups, size)
    above = values - _min(values, groups, size)[groups]
    off = above - (sum_groups(above, groups, size) / count)[groups]
    variance: Floats = sum_groups(off * off, groups, size) / count
    return variance


def _deviation(values: Floats, groups: Indices, size: int) -> Floats:
    return np.sqrt(_variance(values, groups, size))


# (values, groups, how many groups) -> a value for each group that has any.
AGGREGATORS: Final[dict[str, Callable[[Floats, Indices, int], Floats]]] = {
    "sum": _sum,
    "avg": _avg,
    "min": _min,
    "max": _max,
    "count": _count,
    "group": _group,
    "stddev": _deviation,
    "stdvar": _variance,
}
