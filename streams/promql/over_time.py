"""What the samples of a range come to: `*_over_time`.

Samples are laid out oldest first and added up row by row, all series at once, in Prometheus' own order and with its
compensated summation (promql/functions.go, `kahanSumInc`). Padding adds zero, which changes no sum.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from streams.native.compensated import average_of
from streams.native.over_range import NATIVE
from streams.promql.column import Column, RangeFunction, with_native
from streams.series.arrays import Floats
from streams.series.window import Samples, Span


def kahan_add(term: Floats, total: Floats, rest: Floats) -> tuple[Floats, Floats]:
    """Neumaier's step: the new total, and what rounding has left out so far."""
    new = total + term
    lost = np.where(np.abs(total) >= np.abs(term), (total - new) + term, (term - new) + total)
    return new, np.where(np.isinf(new), 0.0, rest + lost)


def _fold(fold: Callable[[Samples], Floats]) -> Callable[[Span], Column]:
    def compute(span: Span) -> Column:
        values = np.zeros(len(span.rows))
        present = np.zeros(len(span.rows), np.bool_)
        for samples in span.lay_out(np.arange(len(span.rows))):
            values[samples.which] = fold(samples)
            present[samples.which] = samples.there.any(axis=0)
        return Column(values, present)

    return compute


def _total(samples: Samples) -> tuple[Floats, Floats]:
    total = rest = np.zeros(samples.values.shape[1])
    for term in np.where(samples.there, samples.values, 0.0):
        total, rest = kahan_add(term, total, rest)
    return total, rest


def _sum(samples: Samples) -> Floats:
    total, rest = _total(samples)
    return np.where(np.isinf(total), total, total + rest)


def _avg(samples: Samples) -> Floats:
    total, rest = _total(samples)
    count = samples.there.sum(axis=0)
    mean: Floats = total / count + rest / count
    for place in np.flatnonzero(np.isinf(total)).tolist():
        # A sum that overflows, or infinite values.
        mean[place] = average_of(samples.values[samples.there[:, place], place].tolist())
    return mean


def _extreme(choose: np.ufunc) -> Callable[[Samples], Floats]:
    def fold(samples: Samples) -> Floats:
        # NaN is the answer only where there is nothing else.
        chosen: Floats = choose.reduce(np.where(samples.there, samples.values, np.nan), axis=0)
        return chosen

    return fold


def _variance(samples: Samples) -> Floats:
    width = samples.values.shape[1]
    count = mean = mean_rest = squares = squares_rest = np.zeros(width)
    for value, there in zip(samples.values, samples.there, strict=True):
        count = count + there
        off = value - (mean + mean_rest)
        new_mean, new_rest = kahan_add(off / count, mean, mean_rest)
        term = off * (value - (new_mean + new_rest))
        new_squares, new_squares_rest = kahan_add(term, squares, squares_rest)
        mean, mean_rest = np.where(there, new_mean, mean), np.where(there, new_rest, mean_rest)
        squares = np.where(there, new_squares, squares)
        squares_rest = np.where(there, new_squares_rest, squares_rest)
    variance: Floats = (squares + squares_rest) / count
    return variance


def _stddev(samples: Samples) -> Floats:
    return np.sqrt(_variance(samples))


def _count(samples: Samples) -> Floats:
    return np.asarray(samples.there.sum(axis=0), np.float64)


def _present(samples: Samples) -> Floats:
    return np.ones(samples.values.shape[1])


def _last(samples: Samples) -> Floats:
    at = len(samples.there) - 1 - samples.there[::-1].argmax(axis=0)
    last: Floats = samples.values[at, np.arange(len(at))]
    return last


def _with_native(name: str, fold: Callable[[Samples], Floats]) -> Callable[[Span], Column]:
    return with_native(_fold(fold), NATIVE[name])


# Which series have any sample in the range; `absent_over_time` asks.
present_samples: Final = _with_native("present_over_time", _present)

FUNCTIONS: Final = {
    "avg_over_time": RangeFunction(_with_native("avg_over_time", _avg)),
    "min_over_time": RangeFunction(_fold(_extreme(np.fmin))),
    "max_over_time": RangeFunction(_fold(_extreme(np.fmax))),
    "sum_over_time": RangeFunction(_with_native("sum_over_time", _sum)),
    "count_over_time": RangeFunction(_with_native("count_over_time", _count)),
    "last_over_time": RangeFunction(_with_native("last_over_time", _last), keeps_name=True),
    "present_over_time": RangeFunction(present_samples),
    "stddev_over_time": RangeFunction(_fold(_stddev)),
    "stdvar_over_time": RangeFunction(_fold(_variance)),
}
