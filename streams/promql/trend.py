"""Where values go: `deriv predict_linear double_exponential_smoothing`.

Sums are added up row by row in Prometheus' own order and with its compensation (promql/functions.go,
`linearRegression`), all series at once: what is left after the cancellation in a slope depends on every rounding.
"""

from typing import Final

import numpy as np

from streams.promql.column import Column, RangeFunction
from streams.promql.over_time import kahan_add
from streams.series.arrays import Floats
from streams.series.window import Samples, Span


def _regression(samples: Samples, origins: Floats) -> tuple[Floats, Floats]:
    """Slope a second, and value at the origins (ms), of the line through the samples of each series."""
    width = samples.values.shape[1]
    count = np.zeros(width)
    sums = [(np.zeros(width), np.zeros(width)) for _ in range(4)]
    first = samples.values[samples.there.argmax(axis=0), np.arange(width)]
    constant = np.ones(width, np.bool_)
    for value, time, there in zip(samples.values, samples.times, samples.there, strict=True):
        constant &= ~there | (value == first) | (count == 0)
        count = count + there
        x = np.where(there, (time - origins) / 1000.0, 0.0)
        y = np.where(there, value, 0.0)
        sums = [kahan_add(term, *total) for term, total in zip((x, y, x * y, x * x), sums, strict=True)]
    x, y, xy, xx = (total + rest for total, rest in sums)
    slope = (xy - x * y / count) / (xx - x * x / count)
    value = y / count - slope * x / count
    known = np.where(np.isinf(first), np.nan, first)
    return np.where(constant, np.where(np.isinf(first), np.nan, 0.0), slope), np.where(constant, known, value)


def _deriv(span: Span) -> Column:
    values, present = np.zeros(len(span.rows)), np.zeros(len(span.rows), np.bool_)
    for samples in span.lay_out(np.arange(len(span.rows))):
        there = samples.there
        origins = samples.times[there.argmax(axis=0), np.arange(there.shape[1])].astype(np.float64)
        values[samples.which] = _regression(samples, origins)[0]
        present[samples.which] = there.sum(axis=0) >= 2
    return Column(values, present)


def _predict(span: Span, behind_ms: float, seconds: float) -> Column:
    """Where the line will be some seconds after the step, which is `behind_ms` after the end of the range."""
    values, present = np.zeros(len(span.rows)), np.zeros(len(span.rows), np.bool_)
    for samples in span.lay_out(np.arange(len(span.rows))):
        origins = np.full(samples.there.shape[1], span.end + behind_ms)
        slope, value = _regression(samples, origins)
        values[samples.which] = slope * seconds + value
        present[samples.which] = samples.there.sum(axis=0) >= 2
    return Column(values, present)


def _smooth(span: Span, smoothing: float, trend: float) -> Column:
    values, present = np.zeros(len(span.rows)), np.zeros(len(span.rows), np.bool_)
    for samples in span.lay_out(np.arange(len(span.rows))):
        values[samples.which] = _smoothed(samples, smoothing, trend)
        present[samples.which] = samples.there.sum(axis=0) >= 2
    return Column(values, present)


def _smoothed(samples: Samples, smoothing: float, trend: float) -> Floats:
    """Holt's linear method: the last level, each value weighed against the level and the slope before it."""
    width = samples.values.shape[1]
    count = level = before = slope = np.zeros(width)
    for value, there in zip(samples.values, samples.there, strict=True):
        slope = np.where(
            there & (count == 1),
            value - level,
            np.where(there & (count > 1), trend * (level - before) + (1.0 - trend) * slope, slope),
        )
        new = np.where(count == 0, value, smoothing * value + (1.0 - smoothing) * (level + slope))
        before, level = np.where(there, level, before), np.where(there, new, level)
        count = count + there
    return level


def _refuse_factors(smoothing: float, trend: float) -> str | None:
    for name, factor in (("smoothing", smoothing), ("trend", trend)):
        if not 0.0 < factor < 1.0:
            return f"the {name} factor must lie between 0 and 1, got {factor:g}"
    return None


FUNCTIONS: Final = {
    "deriv": RangeFunction(_deriv),
    "predict_linear": RangeFunction(_predict, ("range", "scalar"), from_step=True),
    "double_exponential_smoothing": RangeFunction(_smooth, ("range", "scalar", "scalar"), refuses=_refuse_factors),
}
