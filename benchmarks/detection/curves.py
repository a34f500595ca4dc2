"""Recorded curves, judged all at once: one row of a method a curve, each at its own time of day and of the week.

Curves of a set begin at different dates. They are laid side by side in one week, each moved by whole weeks, so that one
call a step serves all of them and every method still sees the right hour. A hole in a curve is a hole there too.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.method import BoolArray, FloatArray, Kind, Scope

_WEEK_MS = 7 * 86_400_000
_BASE_MS = 1_790_000_000_000 // _WEEK_MS * _WEEK_MS  # weeks since a Thursday, as Unix time has them


class Curve(NamedTuple):
    """values: (n,) float64. steps: (n,) int64, ascending: how many steps after the first value each one comes."""

    name: str
    step_ms: int
    start_ms: int
    values: FloatArray
    steps: NDArray[np.int64]


class Judged(NamedTuple):
    """What a method said of one curve, a row a value. alarm: an anomaly is open or a lasting change began."""

    name: str
    alarm: BoolArray
    began: BoolArray
    lasting: BoolArray
    score: NDArray[np.float32]


def regular(name: str, step_ms: int, start_ms: int, values: FloatArray) -> Curve:
    """A curve without holes."""
    return Curve(name, step_ms, start_ms, values, np.arange(len(values), dtype=np.int64))


def judge(kind: Kind, curves: list[Curve], scope: Scope = "all") -> list[Judged]:
    """Feed curves of one step to a method, value by value."""
    if not curves:
        return []
    (step_ms,) = {curve.step_ms for curve in curves}
    places = [curve.start_ms % _WEEK_MS // step_ms + curve.steps for curve in curves]
    first = min(int(place[0]) for place in places)
    count = max(int(place[-1]) for place in places) - first + 1
    grid = np.full((count, len(curves)), np.nan)
    for column, (curve, place) in enumerate(zip(curves, places, strict=True)):
        grid[place - first, column] = curve.values
    began, lasting, anomaly = (np.zeros(grid.shape, dtype=np.bool_) for _ in range(3))
    score = np.zeros(grid.shape, dtype=np.float32)
    method = kind.create(len(curves), step_ms, scope)
    for number, values in enumerate(grid):
        at_ms = _BASE_MS + (first + number) * step_ms
        began[number], lasting[number], anomaly[number], score[number] = method.observe(at_ms, values)
    return [
        Judged(
            curve.name,
            *((anomaly | began)[seen, column], began[seen, column], lasting[seen, column], score[seen, column]),
        )
        for column, (curve, place) in enumerate(zip(curves, places, strict=True))
        for seen in [place - first]
    ]
