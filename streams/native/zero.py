"""The zero bucket when two histograms meet: how far it must reach, and what falls into it.

Histograms are added, subtracted and compared only with zero buckets of one width. The narrower one grows; if it ends
inside a bucket with observations it grows on to that bucket's end, and then the other one has to follow.
"""

from dataclasses import replace

import numpy as np

from streams.native.histogram import Buckets, Counts, NativeHistogram, ends_of


def _swallowed(lower: Counts, upper: Counts, counts: Counts, threshold: float) -> tuple[int, float]:
    """How many of the buckets of one sign begin below the threshold, and where the last of them makes it end."""
    inside = int(np.searchsorted(lower, threshold, side="left"))
    if inside and upper[inside - 1] > threshold and counts[inside - 1] != 0:
        return inside, float(upper[inside - 1])
    return inside, threshold


def widened_zero(histogram: NativeHistogram, threshold: float) -> tuple[float, float]:
    """What a zero bucket as wide as this or a little wider counts, and how wide it then is.

    Args:
        threshold: not below the histogram's own.
    """
    if threshold == histogram.zero_threshold:
        return histogram.zero_count, threshold
    sides = [(*ends_of(histogram, buckets), buckets.counts) for buckets in (histogram.positive, histogram.negative)]
    while True:
        before, count = threshold, histogram.zero_count
        for lower, upper, counts in sides:
            inside, threshold = _swallowed(lower, upper, counts, threshold)
            count = sum(counts[:inside].tolist(), count)
        if threshold == before:
            return count, threshold


def _without(histogram: NativeHistogram, buckets: Buckets, threshold: float) -> Buckets:
    """Without what the zero bucket swallowed, and compact."""
    kept = (ends_of(histogram, buckets)[0] >= threshold) & (buckets.counts != 0)
    return Buckets(buckets.indices[kept], buckets.counts[kept])


def with_zero_of_one_width(one: NativeHistogram, other: NativeHistogram) -> tuple[NativeHistogram, float]:
    """The first with a zero bucket wide enough for both, and what the other's zero bucket then counts."""
    other_count, other_threshold = other.zero_count, other.zero_threshold
    while other_threshold != one.zero_threshold:
        if one.zero_threshold > other_threshold:
            other_count, other_threshold = widened_zero(other, one.zero_threshold)
        if other_threshold > one.zero_threshold:
            count, threshold = widened_zero(one, other_threshold)
            one = replace(
                one,
                zero_count=count,
                zero_threshold=threshold,
                positive=_without(one, one.positive, threshold),
                negative=_without(one, one.negative, threshold),
            )
    return one, other_count
