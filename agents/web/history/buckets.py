"""Points of one indicator brought to fewer: buckets of a step, each with its newest, smallest and largest value."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from agents.storage.history import PointColumns


@dataclass(frozen=True, slots=True)
class Bucket:
    """The points in (at - step, at]; at: Unix ms, a multiple of the step. None = no data in any of them."""

    at: int
    value: float | None
    min: float | None
    max: float | None
    weight: float | None


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def buckets_of(points: PointColumns, step_ms: int) -> Iterator[Bucket]:
    """One bucket for each step that has points, oldest first.

    A step of the points' own gives each point as it was; a bucket's weight is the newest point's.
    """
    if points.at.size == 0:
        return
    ends = -(-points.at // step_ms) * step_ms
    firsts = np.flatnonzero(np.diff(ends, prepend=ends[0] - 1))
    lasts = np.append(firsts[1:], ends.size) - 1
    # A bucket of nothing but NaN stays NaN.
    smallest = np.fmin.reduceat(points.value, firsts)
    largest = np.fmax.reduceat(points.value, firsts)
    for first, last, low, high in zip(firsts.tolist(), lasts.tolist(), smallest, largest, strict=True):
        newest = _newest(points, first, last)
        yield Bucket(int(ends[last]), newest, _number(low), _number(high), _number(float(points.weight[last])))


def _newest(points: PointColumns, first: int, last: int) -> float | None:
    known = np.flatnonzero(~np.isnan(points.value[first : last + 1]))
    return float(points.value[first + known[-1]]) if known.size else None
