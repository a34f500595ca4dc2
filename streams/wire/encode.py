"""WriteRequests made here: for tests, the demo and benchmarks. Written as Prometheus writes them."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import TypeAlias

from streams.wire.frame import encode_sample
from streams.wire.histogram_message import HistogramMessage
from streams.wire.labels import encode_labels
from streams.wire.protobuf import encode_bytes
from streams.wire.request import join_series

# A (timestamp_ms, value) pair, or a native histogram, which has its time in itself.
Sample: TypeAlias = tuple[int, float] | HistogramMessage


def encode_frame(labels: Mapping[str, str], samples: Iterable[Sample]) -> bytes:
    """One series and its samples as a frame. Its readers take the numbers before the histograms."""
    return encode_labels(labels) + b"".join(map(_encode, samples))


def encode_write_request(series: Iterable[tuple[Mapping[str, str], Iterable[Sample]]]) -> bytes:
    """Series, each with its samples, as an uncompressed WriteRequest.

    Where numbers and histograms take turns, each turn has a frame of its own: the order of samples is kept.
    """
    return join_series([frame for labels, samples in series for frame in _frames(labels, samples)])


def _frames(labels: Mapping[str, str], samples: Iterable[Sample]) -> Iterator[bytes]:
    turns = [encode_frame(labels, turn) for _, turn in groupby(samples, key=lambda sample: isinstance(sample, tuple))]
    yield from turns or [encode_frame(labels, ())]


def _encode(sample: Sample) -> bytes:
    return encode_sample(*sample) if isinstance(sample, tuple) else encode_bytes(4, sample.SerializeToString())
