"""Many native histograms added up or averaged, in the order in which they come.

Most are alike: of one series, or of several instances of one program. Those are computed as rows of numbers. Averages
are Prometheus' incremental ones, which do not overflow; neither they nor sums are compensated in 3.8.

Source: Prometheus 3.8, promql/engine.go (aggregation), promql/functions.go (sum_over_time, avg_over_time).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from streams.native.algebra import are_alike, beyond_zero, compact, hint_of_both, joined, over
from streams.native.histogram import EMPTY, Buckets, NativeHistogram

_Numbers = npt.NDArray[np.float64]


def are_of_one_layout(histograms: Sequence[NativeHistogram]) -> bool:
    """Whether their numbers can be taken side by side: they have the same buckets, none within the zero bucket."""
    first = histograms[0]
    for buckets in (first.positive, first.negative):
        if beyond_zero(buckets, first.schema, first.zero_threshold) is not buckets:
            return False
    return all(
        histogram.schema == first.schema
        and histogram.zero_threshold == first.zero_threshold
        and are_alike(histogram.positive.indices, first.positive.indices)
        and are_alike(histogram.negative.indices, first.negative.indices)
        and histogram.bounds == first.bounds
        for histogram in histograms
    )


def _rows(histograms: Sequence[NativeHistogram]) -> _Numbers:
    """(histograms, 3 + buckets): zero count, count, sum, positive and negative buckets."""
    single = [(histogram.zero_count, histogram.count, histogram.sum) for histogram in histograms]
    positive = [histogram.positive.counts for histogram in histograms]
    negative = [histogram.negative.counts for histogram in histograms]
    return np.hstack((np.array(single), np.array(positive), np.array(negative)))


def _of_row(row: _Numbers, histograms: Sequence[NativeHistogram]) -> NativeHistogram:
    first = histograms[0]
    hint = first.hint
    for histogram in histograms:
        hint = hint_of_both(hint, histogram.hint)
    zero_count, count, total = row[:3].tolist()
    end = 3 + len(first.positive.counts)
    return NativeHistogram(
        first.schema,
        hint,
        first.zero_threshold,
        zero_count,
        count,
        total,
        Buckets(first.positive.indices, row[3:end]) if end > 3 else EMPTY,
        Buckets(first.negative.indices, row[end:]) if end < len(row) else EMPTY,
        first.bounds,
    )


def total_over_time(histograms: Sequence[NativeHistogram]) -> NativeHistogram | None:
    """The sum of at least one; empty buckets stay. None if exponential buckets meet custom ones."""
    if len(histograms) > 2 and are_of_one_layout(histograms):
        return _of_row(np.add.reduce(_rows(histograms), axis=0), histograms)
    result: NativeHistogram | None = histograms[0]
    for histogram in histograms[1:]:
        if result is None:
            return None
        result = joined(result, histogram, 1)
    return result


def average_over_time(histograms: Sequence[NativeHistogram]) -> NativeHistogram | None:
    """The mean of at least one; empty buckets stay. None if exponential buckets meet custom ones."""
    if len(histograms) > 2 and are_of_one_layout(histograms):
        rows = _rows(histograms)
        row = rows[0]
        for count, later in enumerate(rows[1:], 2):
            row = row + (later / count - row / count)
        return _of_row(row, histograms)
    result = histograms[0]
    for count, histogram in enumerate(histograms[1:], 2):
        change = joined(over(histogram, count), over(result, count), -1)
        moved = joined(result, change, 1) if change is not None else None
        if moved is None:
            return None
        result = moved
    return result


def total(histograms: Sequence[NativeHistogram]) -> NativeHistogram | None:
    """`sum` of at least one."""
    result = total_over_time(histograms)
    return None if result is None else compact(result)


def average(histograms: Sequence[NativeHistogram]) -> NativeHistogram | None:
    """`avg` of at least one."""
    result = average_over_time(histograms)
    return None if result is None else compact(result)
