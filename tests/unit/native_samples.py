"""Series of native histograms as a sender writes them, for tests."""

from collections.abc import Mapping, Sequence

import numpy as np

from streams.native.histogram import Buckets, Hint, NativeHistogram, to_message
from streams.wire.frame import encode_sample
from streams.wire.labels import encode_labels
from streams.wire.protobuf import encode_bytes
from streams.wire.request import join_series

Samples = Sequence[tuple[int, float | NativeHistogram]]


def histogram(*counts: float, hint: Hint = "unknown", total: float | None = None) -> NativeHistogram:
    """Schema 0: bucket number n, of these counts, ends at 2 ** n."""
    filled = [number for number, count in enumerate(counts) if count]
    positive = Buckets(np.array(filled, np.int32), np.array([counts[number] for number in filled], np.float64))
    nothing = Buckets(np.zeros(0, np.int32), np.zeros(0))
    return NativeHistogram(0, hint, 0.0, 0.0, sum(counts), sum(counts) if total is None else total, positive, nothing)


def native_request(series: Sequence[tuple[Mapping[str, str], Samples]]) -> bytes:
    """A WriteRequest of series whose samples are floats, native histograms or both."""
    return join_series([encode_labels(labels) + b"".join(map(_encode, samples)) for labels, samples in series])


def _encode(sample: tuple[int, float | NativeHistogram]) -> bytes:
    time_ms, value = sample
    if isinstance(value, float):
        return encode_sample(time_ms, value)
    message = to_message(value)
    message.timestamp = time_ms
    return encode_bytes(4, message.SerializeToString())
