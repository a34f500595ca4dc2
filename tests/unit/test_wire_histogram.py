"""Native histograms: what is taken, and what is refused because its numbers contradict each other."""

import math
from typing import Any

import pytest

from streams.wire.encode import encode_frame, encode_write_request
from streams.wire.errors import MalformedError, TooLargeError
from streams.wire.frame import read_frame
from streams.wire.histogram import MAX_HISTOGRAM_BYTES, is_float, read_histogram
from streams.wire.limits import DEFAULT_LIMITS
from streams.wire.protobuf import encode_bytes
from streams.wire.request import split_series
from streams.wire.samples import STALE_NAN
from tests.unit.write_request_2 import Histogram

NOW_MS = 1_764_000_000_000
EXPONENTIAL = {
    "count_int": 13,
    "sum": 18.4,
    "schema": 1,
    "zero_threshold": 0.001,
    "zero_count_int": 2,
    "positive_spans": [{"offset": 0, "length": 2}, {"offset": 1, "length": 2}],
    "positive_deltas": [1, 1, -1, 0],
    "negative_spans": [{"offset": -2, "length": 2}],
    "negative_deltas": [2, 2],
    "timestamp": NOW_MS,
}
FLOAT = {
    "count_float": 7.5,
    "sum": -1.5,
    "schema": -4,
    "zero_count_float": 0.5,
    "positive_spans": [{"offset": 3, "length": 2}],
    "positive_counts": [1.5, 5.5],
    "timestamp": NOW_MS,
}
CUSTOM = {
    "count_int": 6,
    "sum": 9.0,
    "schema": -53,
    "custom_values": [0.1, 0.5, 1.0],
    "positive_spans": [{"offset": 1, "length": 3}],
    "positive_deltas": [1, 1, 1],
    "reset_hint": 3,
    "timestamp": NOW_MS,
}


def encode(fields: dict[str, Any]) -> bytes:
    content: bytes = Histogram(**fields).SerializeToString()
    return content


@pytest.mark.parametrize(
    ("fields", "floats"),
    [
        (EXPONENTIAL, False),
        (FLOAT, True),
        (CUSTOM, False),
        ({"count_int": 0, "timestamp": NOW_MS}, False),
        ({"sum": STALE_NAN, "timestamp": NOW_MS}, False),
        ({"count_float": 0.0, "sum": STALE_NAN, "timestamp": NOW_MS}, True),
        (EXPONENTIAL | {"count_int": 20, "sum": math.nan}, False),
        ({"count_float": 3.0, "schema": -53, "custom_values": [1.0], "timestamp": 1}, True),
    ],
)
def test_what_prometheus_stores_is_taken(fields: dict[str, Any], floats: bool) -> None:
    content = encode(fields)
    histogram = read_histogram(content)
    assert is_float(histogram) is floats
    assert histogram.timestamp == fields["timestamp"]
    assert histogram.SerializeToString() == content


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (EXPONENTIAL | {"count_int": 14}, "counts 14 observations, its buckets 13"),
        (EXPONENTIAL | {"count_int": 12, "sum": math.nan}, "counts 12 observations"),
        (EXPONENTIAL | {"positive_deltas": [1, -2, 1, 0]}, "negative count"),
        (EXPONENTIAL | {"positive_deltas": [1]}, "spans ask for 4 buckets, there are 1"),
        (EXPONENTIAL | {"schema": 9}, "unknown schema 9"),
        (EXPONENTIAL | {"schema": -5}, "unknown schema -5"),
        (EXPONENTIAL | {"custom_values": [1.0]}, "custom bounds"),
        (EXPONENTIAL | {"positive_spans": [{"offset": 0, "length": 3}, {"offset": -1, "length": 1}]}, "overlap"),
        (FLOAT | {"positive_counts": [1.5, -5.5]}, "negative count"),
        (FLOAT | {"count_float": -1.0}, "negative count"),
        (CUSTOM | {"zero_count_int": 1}, "zero bucket or negative ones"),
        (CUSTOM | {"negative_spans": [{"offset": 0, "length": 0}]}, "zero bucket or negative ones"),
        (CUSTOM | {"custom_values": [0.1, 0.1, 1.0]}, "do not ascend"),
        (CUSTOM | {"custom_values": [0.1, 0.5, math.inf]}, "do not ascend"),
        (CUSTOM | {"custom_values": [0.1, math.nan, 1.0]}, "do not ascend"),
        (CUSTOM | {"custom_values": [0.1]}, "more custom buckets than bounds"),
        (CUSTOM | {"positive_spans": [{"offset": -1, "length": 3}]}, "before the first one"),
    ],
)
def test_contradictions_are_refused(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(MalformedError, match=says):
        read_histogram(encode(fields))


def test_what_is_no_histogram_is_refused() -> None:
    with pytest.raises(MalformedError, match="not a histogram"):
        read_histogram(b"\x42\x05\x08")


def test_a_histogram_of_millions_of_buckets_is_refused_unread() -> None:
    with pytest.raises(TooLargeError, match="at most 65536"):
        read_histogram(encode_bytes(9, bytes(MAX_HISTOGRAM_BYTES + 1)))


def test_a_frame_says_which_histograms_it_has() -> None:
    labels = {"__name__": "latency"}
    frame = encode_frame(labels, []) + encode_bytes(4, encode(EXPONENTIAL)) + encode_bytes(4, encode(FLOAT))
    read = read_frame(frame, DEFAULT_LIMITS, 10)
    assert read.histograms == 2
    assert [one.timestamp for one in read.native] == [NOW_MS, NOW_MS]
    with pytest.raises(MalformedError, match="negative count"):
        read_frame(frame + encode_bytes(4, encode(FLOAT | {"count_float": -1.0})), DEFAULT_LIMITS, 10)


def test_numbers_and_histograms_of_a_series_are_written_in_their_order() -> None:
    first, second = read_histogram(encode(EXPONENTIAL)), read_histogram(encode(CUSTOM))
    request = encode_write_request([({"__name__": "h"}, [(1, 1.0), (2, 2.0), first, second, (NOW_MS + 1, 3.0)])])
    frames = [read_frame(frame, DEFAULT_LIMITS, 10) for frame in split_series(request)]
    assert [frame.values for frame in frames] == [[1.0, 2.0], [], [3.0]]
    assert [frame.native for frame in frames] == [[], [first, second], []]
    assert len({frame.blob for frame in frames}) == 1
    (empty,) = split_series(encode_write_request([({"__name__": "h"}, [])]))
    assert read_frame(empty, DEFAULT_LIMITS, 10).fields == 0
