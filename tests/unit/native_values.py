"""Native histograms written down in one line, for tests."""

from collections.abc import Mapping

import numpy as np

from streams.native.histogram import EMPTY, Buckets, Hint, NativeHistogram
from streams.wire.histogram import CUSTOM_BUCKETS

Counts = Mapping[int, float]


def _buckets(counts: Counts) -> Buckets:
    if not counts:
        return EMPTY
    indices = sorted(counts)
    return Buckets(np.array(indices, np.int32), np.array([counts[index] for index in indices], np.float64))


def native(
    positive: Counts,
    negative: Counts | None = None,
    *,
    schema: int = 0,
    zero: float = 0.0,
    threshold: float = 0.0,
    total: float = 0.0,
    beyond: float = 0.0,
    hint: Hint = "unknown",
) -> NativeHistogram:
    """Exponential buckets by their indices. beyond: observations that are no number."""
    negative = negative or {}
    count = sum(positive.values()) + sum(negative.values()) + zero + beyond
    return NativeHistogram(schema, hint, threshold, zero, count, total, _buckets(positive), _buckets(negative))


def custom(bounds: tuple[float, ...], counts: Counts, *, total: float = 0.0, hint: Hint = "unknown") -> NativeHistogram:
    """Buckets with bounds of their own."""
    count = sum(counts.values())
    return NativeHistogram(CUSTOM_BUCKETS, hint, 0.0, 0.0, count, total, _buckets(counts), EMPTY, bounds)


def filled(buckets: Buckets) -> dict[int, float]:
    """Counts by index, empty buckets too."""
    return dict(zip(buckets.indices.tolist(), buckets.counts.tolist(), strict=True))
