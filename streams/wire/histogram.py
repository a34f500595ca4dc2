"""Native histograms on the wire: read, and refused where their numbers contradict each other.

The rules are Prometheus' own (model/histogram, `Validate`): what it would not store is not taken here either. Buckets
of integer histograms are differences, those of float ones are counts. Schema -53 has its bounds in `custom_values`.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

from google.protobuf.message import DecodeError

from streams.wire.errors import MalformedError, TooLargeError
from streams.wire.histogram_message import Histogram, HistogramMessage, Span

CUSTOM_BUCKETS = -53
_SCHEMAS = range(-4, 9)
# Buckets come a few bytes each, and Prometheus itself keeps to 160; what is read takes ten times as much memory.
MAX_HISTOGRAM_BYTES = 64 * 1024


def read_histogram(content: bytes) -> HistogramMessage:
    """One histogram, validated.

    Raises:
        MalformedError: not a histogram, or one that contradicts itself.
        TooLargeError: too many buckets.
    """
    if len(content) > MAX_HISTOGRAM_BYTES:
        raise TooLargeError(f"a histogram is {len(content)} bytes long, at most {MAX_HISTOGRAM_BYTES} are taken")
    histogram = Histogram()
    try:
        histogram.ParseFromString(content)
    except DecodeError:
        raise MalformedError("not a histogram") from None
    if is_float(histogram):
        _check_float(histogram)
    else:
        _check_integer(histogram)
    return histogram


def is_float(histogram: HistogramMessage) -> bool:
    """Whether its counts are floats."""
    return histogram.WhichOneof("count") == "count_float"


def _check_float(histogram: HistogramMessage) -> None:
    positive, negative = histogram.positive_counts, histogram.negative_counts
    _check_layout(histogram, len(positive), len(negative), histogram.zero_count_float)
    if any(count < 0 for count in (*positive, *negative, histogram.zero_count_float, histogram.count_float)):
        raise MalformedError("a histogram has a negative count")


def _check_integer(histogram: HistogramMessage) -> None:
    positive, negative = histogram.positive_deltas, histogram.negative_deltas
    _check_layout(histogram, len(positive), len(negative), histogram.zero_count_int)
    counts = [*accumulate(positive), *accumulate(negative)]
    if min(counts, default=0) < 0:
        raise MalformedError("a histogram has a negative count")
    found = sum(counts) + histogram.zero_count_int
    # Observations that are no number are in the count and in no bucket; the sum then is none either.
    if found > histogram.count_int or (found < histogram.count_int and not math.isnan(histogram.sum)):
        raise MalformedError(f"a histogram counts {histogram.count_int} observations, its buckets {found}")


def _check_layout(histogram: HistogramMessage, positive: int, negative: int, zero_count: float) -> None:
    _check_spans(histogram.positive_spans, positive)
    _check_spans(histogram.negative_spans, negative)
    if histogram.schema == CUSTOM_BUCKETS:
        if zero_count or histogram.zero_threshold or negative or histogram.negative_spans:
            raise MalformedError("a histogram with custom buckets has a zero bucket or negative ones")
        _check_bounds(histogram.custom_values, histogram.positive_spans)
    elif histogram.schema not in _SCHEMAS:
        raise MalformedError(f"a histogram has the unknown schema {histogram.schema}")
    elif histogram.custom_values:
        raise MalformedError("a histogram with exponential buckets has custom bounds")


def _check_spans(spans: Iterable[Span], buckets: int) -> None:
    wanted = 0
    for place, span in enumerate(spans):
        wanted += span.length
        if place and span.offset < 0:
            raise MalformedError("a histogram's spans overlap")
    if wanted != buckets:
        raise MalformedError(f"a histogram's spans ask for {wanted} buckets, there are {buckets}")


def _check_bounds(bounds: Sequence[float], spans: Sequence[Span]) -> None:
    if not all(lower < upper for lower, upper in pairwise([*bounds, math.inf])):
        raise MalformedError("a histogram's custom bounds do not ascend")
    if spans and spans[0].offset < 0:
        raise MalformedError("a histogram's custom buckets begin before the first one")
    if sum(span.offset + span.length for span in spans) > len(bounds) + 1:
        raise MalformedError("a histogram has more custom buckets than bounds")
