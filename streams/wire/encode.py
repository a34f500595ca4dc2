"""WriteRequests made here: for tests, the demo and benchmarks. Written as Prometheus writes them."""

from collections.abc import Iterable, Mapping

from streams.wire.frame import encode_sample
from streams.wire.labels import encode_labels
from streams.wire.request import join_series


def encode_frame(labels: Mapping[str, str], samples: Iterable[tuple[int, float]]) -> bytes:
    """One series and its (timestamp_ms, value) pairs as a frame."""
    return encode_labels(labels) + b"".join(encode_sample(timestamp_ms, value) for timestamp_ms, value in samples)


def encode_write_request(series: Iterable[tuple[Mapping[str, str], Iterable[tuple[int, float]]]]) -> bytes:
    """Series, each with its (timestamp_ms, value) pairs, as an uncompressed WriteRequest."""
    return join_series([encode_frame(labels, samples) for labels, samples in series])
