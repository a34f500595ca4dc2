"""One native histogram as PromQL sees it: all counts are floats, whatever was sent.

Buckets are sparse: only those that a sender wrote are there (some of them may be empty), each with its index, in
ascending order. The bucket with index i of schema s ends at 2 ** (i * 2 ** -s); with custom bounds (schema -53) it
ends at `bounds[i]`, and the one after the last bound at infinity.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from streams.native.bounds import FEW_BUCKETS, custom_bounds, exponential_ends
from streams.wire.histogram import CUSTOM_BUCKETS, is_float
from streams.wire.histogram_message import Histogram, HistogramMessage, Span
from streams.wire.samples import STALE_NAN_BITS

_GAUGE = 3
# What one takes besides its buckets, and what each bucket takes: measured with CPython 3.11 and numpy 2.4.
_OBJECT_BYTES, _ARRAYS_BYTES, _BUCKET_BYTES, _BOUND_BYTES = 240, 320, 12, 32

Hint: TypeAlias = Literal["unknown", "reset", "not_reset", "gauge"]
IndexArray: TypeAlias = npt.NDArray[np.int32]
Counts: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Buckets:
    """Buckets of one sign.

    indices: (n,) ascending. counts: (n,) how many observations fell into each; not cumulative.
    """

    indices: IndexArray
    counts: Counts


EMPTY: Final = Buckets(np.empty(0, np.int32), np.empty(0))


@dataclass(frozen=True, slots=True, eq=False)
class NativeHistogram:
    """Observations by bucket; immutable, its arrays too.

    schema: -4 to 8, or CUSTOM_BUCKETS. zero_threshold: the zero bucket holds what lies within +-threshold.
    count: all observations, also those that are no number and so in no bucket. bounds: upper ones, custom only.
    hint: what is known about a counter reset before this sample; "gauge" = it is not a counter.
    """

    schema: int
    hint: Hint
    zero_threshold: float
    zero_count: float
    count: float
    sum: float
    positive: Buckets
    negative: Buckets
    bounds: tuple[float, ...] = ()

    @property
    def is_custom(self) -> bool:
        """Whether its buckets have bounds of their own."""
        return self.schema == CUSTOM_BUCKETS


# A sample of a series: Unix ms (or ms since any epoch), and what was there.
Sample: TypeAlias = tuple[int, float | NativeHistogram]


class ShownBucket(NamedTuple):
    """Observations from lower to upper. rule: which end is in, as the API has it: 0 upper, 1 lower, 2 none, 3 both."""

    lower: float
    upper: float
    observations: float
    rule: int


class _Spans(Protocol):
    """What protobuf's lists of messages are when they are written."""

    def add(self, *, offset: int, length: int) -> Span: ...


class Layout(NamedTuple):
    """All buckets in ascending order, negative ones first, the zero bucket between them if it has observations."""

    lower: Counts
    upper: Counts
    counts: Counts


@lru_cache(maxsize=4096)
def _indices(spans: tuple[tuple[int, int], ...]) -> IndexArray:
    """One array for all histograms of a layout: less memory, and whether samples are alike is seen at a glance."""
    parts, at = [np.empty(0, np.int64)], 0
    for offset, length in spans:
        at += offset
        parts.append(np.arange(at, at + length))
        at += length
    # What a sender makes too large wraps around, as it does in Prometheus.
    indices = np.concatenate(parts).astype(np.int32)
    indices.flags.writeable = False
    return indices


@lru_cache(maxsize=4096)
def _shared(bounds: tuple[float, ...]) -> tuple[float, ...]:
    """One tuple for all histograms with these bounds."""
    return bounds


def _buckets(spans: Sequence[Span], counts: Counts) -> Buckets:
    if not len(counts):
        return EMPTY
    laid_out = tuple((span.offset, span.length) for span in spans)
    few = max(len(laid_out), len(counts)) <= FEW_BUCKETS
    return Buckets(_indices(laid_out) if few else _indices.__wrapped__(laid_out), counts)


def _bounds(values: Sequence[float]) -> tuple[float, ...]:
    return _shared(tuple(values)) if len(values) <= FEW_BUCKETS else tuple(values)


def from_message(message: HistogramMessage) -> NativeHistogram | None:
    """A valid message's histogram; None if it is a stale marker.

    Of the sender's hint only "gauge" is kept: a Prometheus that stored it would not know the rest any more when it is
    queried, and looks for resets in the numbers. So do we.
    """
    if struct.pack("<d", message.sum) == struct.pack("<Q", STALE_NAN_BITS):
        return None
    if is_float(message):
        zero_count, count = message.zero_count_float, message.count_float
        positive, negative = np.array(message.positive_counts, float), np.array(message.negative_counts, float)
    else:
        zero_count, count = float(message.zero_count_int), float(message.count_int)
        positive = np.cumsum(np.array(message.positive_deltas, float))
        negative = np.cumsum(np.array(message.negative_deltas, float))
    return NativeHistogram(
        message.schema,
        "gauge" if message.reset_hint == _GAUGE else "unknown",
        # No number as a threshold is none: comparing with it would never end.
        message.zero_threshold if message.zero_threshold > 0 else 0.0,
        zero_count,
        count,
        message.sum,
        _buckets(message.positive_spans, positive),
        _buckets(message.negative_spans, negative),
        _bounds(message.custom_values),
    )


def to_message(histogram: NativeHistogram) -> HistogramMessage:
    """The histogram as a sender of float histograms would write it; its time is left at 0."""
    message = Histogram()
    message.schema, message.sum = histogram.schema, histogram.sum
    message.zero_threshold = histogram.zero_threshold
    message.zero_count_float, message.count_float = histogram.zero_count, histogram.count
    message.reset_hint = ("unknown", "reset", "not_reset", "gauge").index(histogram.hint)
    cast("list[float]", message.custom_values).extend(histogram.bounds)
    for buckets, spans, counts in (
        (histogram.positive, message.positive_spans, message.positive_counts),
        (histogram.negative, message.negative_spans, message.negative_counts),
    ):
        end = None
        for index in buckets.indices.tolist():
            if index != end:
                cast("_Spans", spans).add(offset=index - (end or 0), length=0)
            spans[-1].length += 1
            end = index + 1
        cast("list[float]", counts).extend(buckets.counts.tolist())
    return message


def bare(histogram: NativeHistogram, hint: Hint = "unknown") -> NativeHistogram:
    """Count and sum alone: what is left goes together with any other."""
    return NativeHistogram(0, hint, 0.0, 0.0, histogram.count, histogram.sum, EMPTY, EMPTY)


def byte_count(histogram: NativeHistogram) -> int:
    """What it takes in memory, about; as if it shared its indices and bounds with no other."""
    size = _OBJECT_BYTES + _BOUND_BYTES * len(histogram.bounds)
    for buckets in (histogram.positive, histogram.negative):
        if buckets is not EMPTY:
            size += _ARRAYS_BYTES + _BUCKET_BYTES * len(buckets.counts)
    return size


def ends_of(histogram: NativeHistogram, buckets: Buckets) -> tuple[Counts, Counts]:
    """Where each bucket begins and ends, by absolute value if it is a negative one's."""
    if histogram.is_custom:
        before = custom_bounds(buckets.indices - np.int32(1), histogram.bounds)
        return before, custom_bounds(buckets.indices, histogram.bounds)
    return exponential_ends(buckets.indices, histogram.schema)


def _not_within(ends: Counts, threshold: float) -> Counts:
    """Ends next to the zero bucket, by absolute value and ascending; those within it are where it ends."""
    if not len(ends) or ends[0] >= threshold:
        return ends
    return np.where((ends > 0) & (ends < threshold), threshold, ends)


def layout_of(histogram: NativeHistogram) -> Layout:
    """Its buckets, empty ones too. One that overlaps the zero bucket begins where that ends."""
    lower, upper = ends_of(histogram, histogram.positive)
    if histogram.is_custom:
        return Layout(lower, upper, histogram.positive.counts)
    lower = _not_within(lower, histogram.zero_threshold)
    if histogram.zero_count <= 0 and not len(histogram.negative.counts):
        return Layout(lower, upper, histogram.positive.counts)
    nearer, farther = ends_of(histogram, histogram.negative)
    nearer = _not_within(nearer, histogram.zero_threshold)
    zero = np.array([histogram.zero_count] if histogram.zero_count > 0 else [])
    edge = np.full(len(zero), histogram.zero_threshold)
    return Layout(
        np.concatenate((-farther[::-1], -edge, lower)),
        np.concatenate((-nearer[::-1], edge, upper)),
        np.concatenate((histogram.negative.counts[::-1], zero, histogram.positive.counts)),
    )


def rows_of(histogram: NativeHistogram) -> Iterator[tuple[float, float, float]]:
    """The same, bucket by bucket: where it begins and ends, and what it counts."""
    lower, upper, counts = layout_of(histogram)
    return zip(lower.tolist(), upper.tolist(), counts.tolist(), strict=True)


def buckets_of(histogram: NativeHistogram) -> Iterator[ShownBucket]:
    """Its buckets in ascending order as Prometheus' API shows them: without empty ones."""
    for lower, upper, count in rows_of(histogram):
        if histogram.is_custom:
            rule = 3 if lower == -np.inf else 0
        else:
            rule = 3 if lower <= 0 <= upper else 1 if lower < 0 else 0
        if count:
            yield ShownBucket(lower, upper, count, rule)


def _number(value: float) -> str:
    """As Go's %g writes it: the shortest text that means it, with an exponent from a million on and below 1e-4."""
    if not np.isfinite(value):
        return "NaN" if np.isnan(value) else "+Inf" if value > 0 else "-Inf"
    text = np.format_float_scientific(value, trim="-", exp_digits=2)
    if -4 <= int(text.partition("e")[2]) < 6:
        return np.format_float_positional(value, trim="-")
    return text


def text_of(histogram: NativeHistogram) -> str:
    """As Prometheus writes it, `{count:3, sum:1.5, [-1,-0.5):1, (0.5,1]:2}`: `count_values` labels it by that."""
    parts = [f"count:{_number(histogram.count)}", f"sum:{_number(histogram.sum)}"]
    nearer, farther = ends_of(histogram, histogram.negative)
    for end, begin, count in zip(nearer[::-1], farther[::-1], histogram.negative.counts[::-1], strict=True):
        if count:
            parts.append(f"[{_number(-begin)},{_number(-end)}):{_number(count)}")
    if histogram.zero_count:
        threshold = histogram.zero_threshold
        parts.append(f"[{_number(-threshold)},{_number(threshold)}]:{_number(histogram.zero_count)}")
    lower, upper = ends_of(histogram, histogram.positive)
    for begin, end, count in zip(lower, upper, histogram.positive.counts, strict=True):
        if count:
            left = "[" if begin == -np.inf else "("
            parts.append(f"{left}{_number(begin)},{_number(end)}]:{_number(count)}")
    return "{" + ", ".join(parts) + "}"
