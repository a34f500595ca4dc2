"""Native histograms scaled, added, subtracted, compared: what PromQL's operators and all other functions are made of.

Two histograms need not look alike. Of two resolutions the lower one is taken, zero buckets grow to one width, and of
custom bounds those are kept that both have. Only exponential and custom buckets do not go together: the answer is None.

Source: Prometheus 3.8, model/histogram/float_histogram.go (Add, Sub, Mul, Div, Equals, DetectReset).
"""

import math
import struct
from dataclasses import replace

import numpy as np

from streams.native.bounds import first_beyond, shared_bounds
from streams.native.histogram import EMPTY, Buckets, Counts, Hint, IndexArray, NativeHistogram
from streams.native.zero import widened_zero, with_zero_of_one_width


def ratio(value: float, by: float) -> float:
    """The quotient as IEEE 754 has it, by zero too."""
    if by != 0:
        return value / by
    return math.nan if value == 0 or math.isnan(value) else math.copysign(math.inf, value) * math.copysign(1.0, by)


def _compact_buckets(buckets: Buckets) -> Buckets:
    filled = buckets.counts != 0
    if filled.all():
        return buckets
    return Buckets(buckets.indices[filled], buckets.counts[filled]) if filled.any() else EMPTY


def compact(histogram: NativeHistogram) -> NativeHistogram:
    """Without empty buckets."""
    positive, negative = _compact_buckets(histogram.positive), _compact_buckets(histogram.negative)
    if positive is histogram.positive and negative is histogram.negative:
        return histogram
    return replace(histogram, positive=positive, negative=negative)


def times(histogram: NativeHistogram, factor: float) -> NativeHistogram:
    """Multiplied; buckets that become empty stay."""
    positive, negative = histogram.positive, histogram.negative
    return NativeHistogram(
        histogram.schema,
        "gauge" if factor < 0 else histogram.hint,
        histogram.zero_threshold,
        histogram.zero_count * factor,
        histogram.count * factor,
        histogram.sum * factor,
        Buckets(positive.indices, positive.counts * factor) if len(positive.counts) else EMPTY,
        Buckets(negative.indices, negative.counts * factor) if len(negative.counts) else EMPTY,
        histogram.bounds,
    )


def over(histogram: NativeHistogram, by: float) -> NativeHistogram:
    """Divided; by zero there are no buckets any more."""
    positive, negative = histogram.positive, histogram.negative
    return NativeHistogram(
        histogram.schema,
        "gauge" if by < 0 else histogram.hint,
        histogram.zero_threshold,
        ratio(histogram.zero_count, by),
        ratio(histogram.count, by),
        ratio(histogram.sum, by),
        Buckets(positive.indices, positive.counts / by) if by and len(positive.counts) else EMPTY,
        Buckets(negative.indices, negative.counts / by) if by and len(negative.counts) else EMPTY,
        histogram.bounds,
    )


def scaled(histogram: NativeHistogram, factor: float) -> NativeHistogram:
    """`histogram * factor`, and the other way round."""
    return compact(times(histogram, factor))


def divided(histogram: NativeHistogram, by: float) -> NativeHistogram:
    """`histogram / by`."""
    return compact(over(histogram, by))


def negated(histogram: NativeHistogram) -> NativeHistogram:
    """`-histogram`: its empty buckets stay, unlike those of `-1 * histogram`."""
    return times(histogram, -1.0)


def hint_of_both(first: Hint, second: Hint) -> Hint:
    """Whatever is added to a gauge is one; of hints that differ nothing is known."""
    if first == second:
        return first
    return "gauge" if "gauge" in (first, second) else "unknown"


def _lowered_buckets(buckets: Buckets, steps: int) -> Buckets:
    if not len(buckets.counts):
        return EMPTY
    indices = ((buckets.indices - 1) >> steps) + 1
    starts = np.flatnonzero(np.concatenate(([True], indices[1:] != indices[:-1])))
    return Buckets(indices[starts], np.add.reduceat(buckets.counts, starts))


def lowered(histogram: NativeHistogram, schema: int) -> NativeHistogram:
    """With exponential buckets of a lower resolution, or the same; what its hint said no longer counts then."""
    steps = histogram.schema - schema
    if not steps:
        return histogram
    return replace(
        histogram,
        schema=schema,
        hint="unknown",
        positive=_lowered_buckets(histogram.positive, steps),
        negative=_lowered_buckets(histogram.negative, steps),
    )


def are_alike(first: IndexArray, second: IndexArray) -> bool:
    """Whether two layouts are the same one."""
    return first is second or (len(first) == len(second) and first.tobytes() == second.tobytes())


def _joined(first: Buckets, second: Buckets, sign: int) -> Buckets:
    if not len(second.counts):
        return first
    if are_alike(first.indices, second.indices):
        return Buckets(first.indices, first.counts + second.counts if sign > 0 else first.counts - second.counts)
    indices: IndexArray = np.union1d(first.indices, second.indices)
    counts: Counts = np.zeros(len(indices))
    counts[np.searchsorted(indices, first.indices)] = first.counts
    counts[np.searchsorted(indices, second.indices)] += sign * second.counts
    return Buckets(indices, counts)


def beyond_zero(buckets: Buckets, schema: int, threshold: float) -> Buckets:
    """Those that do not end within the zero bucket."""
    if not (threshold > 0 and len(buckets.counts)) or buckets.indices[0] >= first_beyond(threshold, schema):
        return buckets
    begin = int(np.searchsorted(buckets.indices, first_beyond(threshold, schema)))
    return Buckets(buckets.indices[begin:], buckets.counts[begin:])


def counts_by_bounds(histogram: NativeHistogram, bounds: tuple[float, ...]) -> Counts:
    """(len(bounds) + 1,) What custom buckets count between bounds that are some of theirs, and beyond the last."""
    place = np.searchsorted(bounds, [*histogram.bounds, math.inf], side="left")
    counts = np.zeros(len(bounds) + 1)
    np.add.at(counts, place[histogram.positive.indices], histogram.positive.counts)
    return counts


def _join_custom(one: NativeHistogram, other: NativeHistogram, sign: int) -> tuple[Buckets, tuple[float, ...]]:
    if one.bounds == other.bounds:
        return _joined(one.positive, other.positive, sign), one.bounds
    bounds = shared_bounds(one.bounds, other.bounds)
    counts = counts_by_bounds(one, bounds) + sign * counts_by_bounds(other, bounds)
    filled = np.flatnonzero(counts)
    return Buckets(filled.astype(np.int32), counts[filled]), bounds


def joined(one: NativeHistogram, other: NativeHistogram, sign: int) -> NativeHistogram | None:
    """The sum, or the difference if sign is -1; with empty buckets where there were some. None: they do not match."""
    if one.is_custom is not other.is_custom:
        return None
    hint, bounds, negative = hint_of_both(one.hint, other.hint), one.bounds, EMPTY
    zero_count = other.zero_count
    if one.is_custom:
        positive, bounds = _join_custom(one, other, sign)
    else:
        if one.zero_threshold != other.zero_threshold:
            one, zero_count = with_zero_of_one_width(one, other)
        if one.schema != other.schema:
            schema = min(one.schema, other.schema)
            one, other = lowered(one, schema), lowered(other, schema)
        threshold = one.zero_threshold
        positive = _joined(one.positive, beyond_zero(other.positive, one.schema, threshold), sign)
        negative = _joined(one.negative, beyond_zero(other.negative, one.schema, threshold), sign)
    return NativeHistogram(
        one.schema,
        hint,
        one.zero_threshold,
        one.zero_count + sign * zero_count,
        one.count + sign * other.count,
        one.sum + sign * other.sum,
        positive,
        negative,
        bounds,
    )


def added(one: NativeHistogram, other: NativeHistogram) -> NativeHistogram | None:
    """`one + other`; None if exponential buckets meet custom ones."""
    result = joined(one, other, 1)
    return None if result is None else compact(result)


def subtracted(one: NativeHistogram, other: NativeHistogram) -> NativeHistogram | None:
    """`one - other`, a gauge; None if exponential buckets meet custom ones."""
    result = joined(one, other, -1)
    return None if result is None else compact(replace(result, hint="gauge"))


def _bits(histogram: NativeHistogram) -> bytes:
    return struct.pack("<ddd", histogram.count, histogram.sum, histogram.zero_count)


def _same_buckets(first: Buckets, second: Buckets) -> bool:
    return are_alike(first.indices, second.indices) and first.counts.tobytes() == second.counts.tobytes()


def equal(one: NativeHistogram, other: NativeHistogram) -> bool:
    """`one == other`: the same bits, so NaN is NaN, and the same buckets, empty ones too. Hints do not matter."""
    return (
        one.schema == other.schema
        and one.zero_threshold == other.zero_threshold
        and one.bounds == other.bounds
        and _bits(one) == _bits(other)
        and _same_buckets(one.positive, other.positive)
        and _same_buckets(one.negative, other.negative)
    )


def _has_fallen(newer: Buckets, older: Buckets) -> bool:
    """Whether a bucket counts less than before, or is gone and was not empty."""
    if not len(older.counts):
        return False
    if are_alike(newer.indices, older.indices):
        return bool((newer.counts < older.counts).any())
    place = np.searchsorted(newer.indices, older.indices)
    there = np.zeros(len(place), np.bool_)
    inside = place < len(newer.indices)
    there[inside] = newer.indices[place[inside]] == older.indices[inside]
    gone = ~there & (older.counts != 0)
    return bool(gone.any() or (newer.counts[place[there]] < older.counts[there]).any())


def is_reset(newer: NativeHistogram, older: NativeHistogram) -> bool:
    """Whether a counter began anew between the two: its hint says so, or it counts less somewhere than before."""
    if newer.hint in {"reset", "not_reset"}:
        return newer.hint == "reset"
    if newer.count < older.count or newer.schema > older.schema or newer.zero_threshold < older.zero_threshold:
        return True
    if newer.is_custom:
        return _is_custom_reset(newer, older)
    zero_count, threshold = widened_zero(older, newer.zero_threshold)
    # A zero bucket that ends inside a bucket with observations cannot have come from growing.
    if threshold != newer.zero_threshold or newer.zero_count < zero_count:
        return True
    older = lowered(older, newer.schema)
    return any(
        _has_fallen(beyond_zero(now, newer.schema, threshold), beyond_zero(before, newer.schema, threshold))
        for now, before in ((newer.positive, older.positive), (newer.negative, older.negative))
    )


def _is_custom_reset(newer: NativeHistogram, older: NativeHistogram) -> bool:
    if not older.is_custom:
        return True
    if newer.bounds == older.bounds:
        return _has_fallen(newer.positive, older.positive)
    bounds = shared_bounds(newer.bounds, older.bounds)
    return bool((counts_by_bounds(newer, bounds) < counts_by_bounds(older, bounds)).any())
