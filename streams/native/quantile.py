"""What one native histogram says of its observations: quantiles, fractions, mean and spread.

Within exponential buckets observations are taken to lie evenly on a logarithmic scale, in the zero bucket and in
custom ones on a linear scale.

Source: Prometheus 3.8, promql/quantile.go (HistogramQuantile, HistogramFraction), promql/functions.go.
"""

import math
from typing import NamedTuple

import numpy as np

from streams.native.algebra import ratio
from streams.native.compensated import total_of
from streams.native.histogram import NativeHistogram, layout_of, rows_of


def _narrowed(lower: float, upper: float, histogram: NativeHistogram) -> tuple[float, float]:
    """The zero bucket's ends: 0 is one of them if all other observations are on the other side."""
    positive, negative = len(histogram.positive.counts), len(histogram.negative.counts)
    if positive and not negative:
        return 0.0, upper
    if negative and not positive:
        return lower, 0.0
    return lower, upper


def _exp2(power: float) -> float:
    return math.inf if power >= 1024.0 else math.exp2(power)


def _between(lower: float, upper: float, share: float) -> float:
    """The point of an exponential bucket below which this share of its observations lies."""
    log_lower, log_upper = math.log2(abs(lower)), math.log2(abs(upper))
    if lower > 0:
        return _exp2(log_lower + (log_upper - log_lower) * share)
    return -_exp2(log_upper + (log_lower - log_upper) * (1.0 - share))


class _Reached(NamedTuple):
    """The bucket in which a rank is reached: where it is, its observations, and those up to and with it."""

    at: int
    lower: float
    upper: float
    inside: float
    up_to: float


def _reach(rank: float, histogram: NativeHistogram, *, upwards: bool) -> _Reached:
    """The bucket; the last one if the rank is beyond it."""
    order = slice(None, None, 1 if upwards else -1)
    lower, upper, counts = (column[order] for column in layout_of(histogram))
    if not len(counts):
        return _Reached(0, 0.0, 0.0, 0.0, 0.0)
    running = np.cumsum(counts)
    reached = (running >= rank) & (counts != 0)
    at = int(reached.argmax()) if reached.any() else len(counts) - 1
    return _Reached(at, float(lower[at]), float(upper[at]), float(counts[at]), float(running[at]))


def quantile(q: float, histogram: NativeHistogram) -> float:
    """`histogram_quantile`: the value that q of the observations do not exceed.

    Observations that are no number count as larger than all others: a quantile among them is NaN.

    Returns:
        NaN of no observations, minus infinity below q = 0, infinity above 1.
    """
    if q < 0 or q > 1:
        return math.copysign(math.inf, q)
    if histogram.count == 0 or math.isnan(q):
        return math.nan
    # Going from the nearer end loses less. With NaNs only the lower end is known.
    upwards = math.isnan(histogram.sum) or q < 0.5
    rank = (q if upwards else 1.0 - q) * histogram.count
    found = _reach(rank, histogram, upwards=upwards)
    return _within(rank, found, histogram, upwards=upwards)


def _within(rank: float, found: _Reached, histogram: NativeHistogram, *, upwards: bool) -> float:
    """Where in the bucket the rank lies."""
    lower, upper = found.lower, found.upper
    if histogram.is_custom:
        if lower == -math.inf and upper > 0:
            lower = 0.0
        elif math.isinf(lower) or math.isinf(upper):
            # Of a bucket without end, the end that it has.
            return upper if math.isinf(lower) else lower
    elif lower < 0 < upper:
        lower, upper = _narrowed(lower, upper, histogram)
    # Added up in another order they may seem more than there are.
    count = min(found.up_to, histogram.count)
    if count < rank:
        return math.nan if math.isnan(histogram.sum) else upper
    rank = rank - (count - found.inside) if upwards else count - rank
    inside = found.inside
    if math.isnan(histogram.sum):
        # As Prometheus 3.8 has it: it looks for NaNs in the buckets above, and stays at the last one that it saw.
        above = list(rows_of(histogram))[found.at + 1 :]
        lower, upper, inside = above[-1] if above else (lower, upper, inside)
    share = ratio(rank, inside)
    if histogram.is_custom or lower <= 0 <= upper:
        return lower + (upper - lower) * share
    return _between(lower, upper, share)


def _share_below(value: float, lower: float, upper: float) -> float:
    """The share of an exponential bucket's observations that lie below a value inside it."""
    log_lower, log_upper, log_value = (math.log2(abs(end)) for end in (lower, upper, value))
    if value > 0:
        return ratio(log_value - log_lower, log_upper - log_lower)
    return 1.0 - ratio(log_value - log_upper, log_lower - log_upper)


def _rank_of(limit: float, histogram: NativeHistogram) -> float:
    """How many observations lie below a limit."""
    below = 0.0
    for lower, upper, count in rows_of(histogram):
        around_zero = lower <= 0 <= upper
        begin, end = _narrowed(lower, upper, histogram) if around_zero else (lower, upper)
        if begin >= limit:
            return below
        if end > limit:
            if not (histogram.is_custom or around_zero):
                return below + count * _share_below(limit, begin, end)
            # A bucket without a beginning counts as a whole.
            return count if begin == -math.inf else below + ratio(count * (limit - begin), end - begin)
        below += count
    return math.inf


def fraction(lower: float, upper: float, histogram: NativeHistogram) -> float:
    """`histogram_fraction`: the share of the observations that lie between two limits.

    Returns:
        NaN of no observations; 0 if the limits are the wrong way round.
    """
    if histogram.count == 0 or math.isnan(lower) or math.isnan(upper):
        return math.nan
    if lower >= upper:
        return 0.0
    counted = histogram.count
    if math.isnan(histogram.sum):
        counted = float(np.cumsum(np.append(0.0, layout_of(histogram).counts))[-1])
    return ratio(min(_rank_of(upper, histogram), counted) - min(_rank_of(lower, histogram), counted), histogram.count)


def mean(histogram: NativeHistogram) -> float:
    """`histogram_avg`."""
    return ratio(histogram.sum, histogram.count)


def _middle(lower: float, upper: float, histogram: NativeHistogram) -> float:
    """Where a bucket's observations are taken to lie, all of them."""
    if histogram.is_custom:
        return (upper + lower) / 2.0
    if lower <= 0 <= upper:
        return 0.0
    return math.copysign(math.sqrt(upper * lower), upper)


def variance(histogram: NativeHistogram) -> float:
    """`histogram_stdvar`."""
    average = mean(histogram)
    parts = ((count, _middle(lower, upper, histogram) - average) for lower, upper, count in rows_of(histogram) if count)
    return ratio(total_of(count * off * off for count, off in parts), histogram.count)


def deviation(histogram: NativeHistogram) -> float:
    """`histogram_stddev`."""
    spread = variance(histogram)
    return math.sqrt(spread) if not spread < 0 else math.nan
