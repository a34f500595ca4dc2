"""Quantiles of values, over time or over elements: `quantile_over_time mad_over_time` and the operator `quantile`."""

from typing import Final

import numpy as np

from streams.promql.column import Column, RangeFunction
from streams.series.arrays import Floats, Indices
from streams.series.window import Samples, Span


def quantile_of_groups(quantile: float, values: Floats, groups: Indices, size: int) -> Floats:
    """The quantile of the values of each group, NaN for a group without any; NaN is the lowest of values.

    Between two values it is interpolated, in Prometheus' own way (promql/quantile.go, `quantile`).
    """
    counts = np.bincount(groups, minlength=size)
    if np.isnan(quantile):
        return np.full(size, np.nan)
    if quantile < 0.0 or quantile > 1.0:
        return np.where(counts > 0, np.copysign(np.inf, quantile), np.nan)
    ordered = values[np.lexsort((values, ~np.isnan(values), groups))]
    result = np.full(size, np.nan)
    there = np.flatnonzero(counts)
    ends = np.cumsum(counts)[there]
    counts = counts[there]
    starts = ends - counts
    rank = quantile * (counts - 1.0)
    low = np.maximum(np.floor(rank), 0.0)
    high = np.minimum(low + 1.0, counts - 1.0)
    weight = rank - np.floor(rank)
    lower, upper = ordered[starts + low.astype(np.intp)], ordered[starts + high.astype(np.intp)]
    result[there] = lower * (1.0 - weight) + upper * weight
    return result


def _of_samples(quantile: float, values: Floats, samples: Samples) -> Floats:
    columns = np.broadcast_to(np.arange(values.shape[1]), values.shape)[samples.there]
    return quantile_of_groups(quantile, values[samples.there], columns, values.shape[1])


def _quantile_over_time(span: Span, quantile: float) -> Column:
    values, present = np.zeros(len(span.rows)), np.zeros(len(span.rows), np.bool_)
    for samples in span.lay_out(np.arange(len(span.rows))):
        values[samples.which] = _of_samples(quantile, samples.values, samples)
        present[samples.which] = samples.there.any(axis=0)
    return Column(values, present)


def _mad_over_time(span: Span) -> Column:
    values, present = np.zeros(len(span.rows)), np.zeros(len(span.rows), np.bool_)
    for samples in span.lay_out(np.arange(len(span.rows))):
        median = _of_samples(0.5, samples.values, samples)
        values[samples.which] = _of_samples(0.5, np.abs(samples.values - median), samples)
        present[samples.which] = samples.there.any(axis=0)
    return Column(values, present)


FUNCTIONS: Final = {
    "quantile_over_time": RangeFunction(_quantile_over_time, ("scalar", "range")),
    "mad_over_time": RangeFunction(_mad_over_time),
}
