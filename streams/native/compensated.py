"""Sums and averages of floats that lose next to nothing: Kahan's, as Neumaier improved it.

Source: Prometheus 3.8, promql/functions.go (kahanSumInc, sum_over_time, avg_over_time).
"""

import math
from collections.abc import Iterable, Sequence


def _plus(total: float, lost: float, value: float) -> tuple[float, float]:
    """The sum and what it lost so far, one value later."""
    risen = total + value
    if math.isinf(risen):
        return risen, 0.0
    if abs(total) >= abs(value):
        return risen, lost + ((total - risen) + value)
    return risen, lost + ((value - risen) + total)


def total_of(values: Iterable[float]) -> float:
    """The sum; 0 of nothing."""
    total = lost = 0.0
    for value in values:
        total, lost = _plus(total, lost, value)
    return total if math.isinf(total) else total + lost


def average_of(values: Sequence[float]) -> float:
    """The mean of at least one value; it does not overflow where the sum would."""
    total, lost = values[0], 0.0
    for count, value in enumerate(values[1:], 2):
        risen, lost_then = _plus(total, lost, value)
        if math.isinf(risen):
            return _average_on(values[count - 1 :], count - 1, total / (count - 1), lost / (count - 1))
        total, lost = risen, lost_then
    return total / len(values) + lost / len(values)


def _average_on(values: Sequence[float], count: int, mean: float, lost: float) -> float:
    """The mean of `count` values that is known, and of more values."""
    for value in values:
        count += 1
        share = (count - 1) / count
        mean, lost = _plus(share * mean, share * lost, value / count)
    return mean + lost
