"""Native histograms for tests, in few words."""

from collections.abc import Sequence

import numpy as np

from streams.native.histogram import Buckets, Hint, NativeHistogram, Sample

Samples = Sequence[Sample]


def histogram(*counts: float, hint: Hint = "unknown", total: float | None = None) -> NativeHistogram:
    """Schema 0: bucket number n, of these counts, ends at 2 ** n."""
    filled = [number for number, count in enumerate(counts) if count]
    positive = Buckets(np.array(filled, np.int32), np.array([counts[number] for number in filled], np.float64))
    nothing = Buckets(np.zeros(0, np.int32), np.zeros(0))
    return NativeHistogram(0, hint, 0.0, 0.0, sum(counts), sum(counts) if total is None else total, positive, nothing)
