"""Steady stretches of real curves, and copies of them with a change multiplied in.

A stretch is taken from the first half of a one-minute curve of the KPI data, so that nothing here looks at the scored
half: as many whole days without any label as there are in a row, at least `_LEAST_DAYS` and at most `_MOST_DAYS`, in
which the daily medians stay within `_STEADY` of each other. Curves that are zero at times are left out: nothing can be
multiplied into zero. *Quiet* stretches are the same without the rule about daily medians: there a level may move
without anybody having called it an anomaly.

The residual of a stretch is its distance from the same minute of the other days, each day relative to its own median:
its deviation (from the median absolute one) is what a step is measured in, and its correlation from minute to minute
gives the limit, as for AR(1) noise.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from benchmarks.detection.curves import Curve, regular
from benchmarks.detection.data import KpiCurve
from benchmarks.detection.kpi_score import runs
from benchmarks.detection.method import FloatArray

STEP_MS = 60_000
DAY = 1_440
_LEAST_DAYS = 4
_MOST_DAYS = 10
_STEADY = 1.2  # largest / smallest daily median
_MOST_ZEROS = 0.01
_SMOOTHED = 15
_TO_SIGMA = 1.4826
_CLIPPED = 3.0

Shape = Literal["step", "ramp", "transient"]
RAMP = 120
TRANSIENT = 10
# A copy ends so long after its change has ended: time to find it, and to close a transient.
_TAIL = 180
_FIRST_PLACE = 3 * DAY
CHANGES: tuple[tuple[Shape, float], ...] = (
    *(("step", sign * size) for size in (0.05, 0.1, 0.2, 0.5) for sign in (1, -1)),
    *(("ramp", sign * size) for size in (0.2, 0.5) for sign in (1, -1)),
    *(("transient", sign * 0.5) for sign in (1, -1)),
)


class Stretch(NamedTuple):
    """sigma: of the residual, relative to the level. correlation: of the residual, from one minute to the next."""

    curve: Curve
    sigma: float
    correlation: float


class Copy(NamedTuple):
    """A stretch with one change. size: relative, signed. place: row of its first changed value."""

    curve: Curve
    shape: Shape
    size: float
    place: int
    sigma: float
    correlation: float


def stretches(curves: list[KpiCurve], *, steady: bool) -> list[Stretch]:
    """All stretches of the curves' first halves, by name."""
    found = []
    for curve in curves:
        if curve.curve.step_ms != STEP_MS:
            continue
        for first, end in zip(*runs(~curve.label[: curve.half]), strict=True):
            for start, stop in _days(curve.curve.values[first:end], steady=steady):
                found += _stretch(curve.curve, int(first) + start, int(first) + stop)
    return found


def _days(values: FloatArray, *, steady: bool) -> Iterator[tuple[int, int]]:
    """(first, end) rows of stretches, one after the other, each as long as it can be."""
    days = len(values) // DAY
    if days < _LEAST_DAYS or np.mean(values <= 0) > _MOST_ZEROS:
        return
    level = np.median(values[: days * DAY].reshape(days, DAY), axis=1)
    first = 0
    while first + _LEAST_DAYS <= days:
        end = first + 1
        while end < min(days, first + _MOST_DAYS):
            seen = level[first : end + 1]
            if steady and seen.max() > _STEADY * seen.min():
                break
            end += 1
        if end - first >= _LEAST_DAYS:
            yield first * DAY, end * DAY
            first = end
        else:
            first += 1


def _stretch(curve: Curve, first: int, end: int) -> list[Stretch]:
    values = curve.values[first:end]
    sigma, correlation = residual(values)
    if sigma <= 0:
        return []
    start_ms = curve.start_ms + first * STEP_MS
    return [Stretch(regular(f"{curve.name}+{first}", STEP_MS, start_ms, values), sigma, correlation)]


def residual(values: FloatArray) -> tuple[float, float]:
    """(deviation relative to the level, correlation between neighbours) of whole days of positive values."""
    days = values.reshape(-1, DAY)
    relative = days / np.median(days, axis=1, keepdims=True)
    usual = np.median(relative, axis=0)
    around = np.concatenate([usual[-(_SMOOTHED // 2) :], usual, usual[: _SMOOTHED // 2]])
    usual = np.convolve(around, np.full(_SMOOTHED, 1.0 / _SMOOTHED), "valid")
    deviation = (relative / usual - 1.0).ravel()
    deviation -= np.median(deviation)
    sigma = _TO_SIGMA * float(np.median(np.abs(deviation)))
    clipped = np.clip(deviation, -_CLIPPED * sigma, _CLIPPED * sigma)
    power = float(np.mean(clipped * clipped))
    return sigma, float(np.clip(np.mean(clipped[1:] * clipped[:-1]) / power, 0.0, 0.99)) if power > 0 else 0.0


def copies(stretch: Stretch, seed: int) -> list[Copy]:
    """One copy for each of `CHANGES`, its place drawn after three days; what comes long after it is cut off."""
    rng = np.random.default_rng([seed, *stretch.curve.name.encode()])
    made = []
    for shape, size in CHANGES:
        length = {"step": 0, "ramp": RAMP, "transient": TRANSIENT}[shape]
        place = int(rng.integers(_FIRST_PLACE, len(stretch.curve.values) - length - _TAIL + 1))
        values = stretch.curve.values[: place + length + _TAIL] * factor(shape, size, place, place + length + _TAIL)
        name = f"{stretch.curve.name} {shape} {size:+}"
        curve = regular(name, STEP_MS, stretch.curve.start_ms, values)
        made.append(Copy(curve, shape, size, place, stretch.sigma, stretch.correlation))
    return made


def factor(shape: Shape, size: float, place: int, count: int) -> FloatArray:
    """What the values are multiplied with: 1 before the place."""
    after = np.arange(count) - place
    if shape == "ramp":
        return 1.0 + size * np.clip((after + 1) / RAMP, 0.0, 1.0)
    changed = (after >= 0) & ((after < TRANSIENT) | (shape == "step"))
    return np.where(changed, 1.0 + size, 1.0)
