"""A native histogram from the wire, to the wire, and as people see it."""

import math
import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest

from streams.native.algebra import equal
from streams.native.bounds import _ends, exponential_bounds, first_beyond
from streams.native.histogram import (
    NativeHistogram,
    _indices,
    _shared,
    buckets_of,
    byte_count,
    from_message,
    text_of,
    to_message,
)
from streams.wire.histogram import read_histogram
from streams.wire.samples import STALE_NAN
from tests.unit.native_values import custom, filled, native
from tests.unit.write_request_2 import Histogram

INTEGER = {
    "count_int": 13,
    "sum": 18.5,
    "schema": 1,
    "zero_threshold": 0.001,
    "zero_count_int": 2,
    "positive_spans": [{"offset": 0, "length": 2}, {"offset": 1, "length": 2}],
    "positive_deltas": [1, 1, -1, 0],
    "negative_spans": [{"offset": -2, "length": 2}],
    "negative_deltas": [2, 2],
}


def read(**fields: Any) -> NativeHistogram | None:
    return from_message(read_histogram(Histogram(**fields).SerializeToString()))


def known(histogram: NativeHistogram | None) -> NativeHistogram:
    assert histogram is not None
    return histogram


def test_integer_counts_are_written_as_differences() -> None:
    found = known(read(**INTEGER))
    assert (found.schema, found.count, found.sum) == (1, 13.0, 18.5)
    assert (found.zero_count, found.zero_threshold) == (2.0, 0.001)
    assert filled(found.positive) == {0: 1.0, 1: 2.0, 3: 1.0, 4: 1.0}
    assert filled(found.negative) == {-2: 2.0, -1: 4.0}


def test_float_counts_and_custom_bounds_are_read() -> None:
    found = known(
        read(
            count_float=2.5,
            sum=3.0,
            schema=-53,
            custom_values=[1.0, 2.0],
            positive_spans=[{"offset": 1, "length": 2}],
            positive_counts=[2.0, 0.5],
        )
    )
    assert found.is_custom
    assert found.bounds == (1.0, 2.0)
    assert filled(found.positive) == {1: 2.0, 2: 0.5}


def test_a_stale_marker_is_no_histogram() -> None:
    assert read(count_int=0, sum=STALE_NAN) is None
    assert read(count_float=0.0, sum=STALE_NAN) is None
    assert read(count_int=1, sum=math.nan) is not None


@pytest.mark.parametrize(("sent", "kept"), [(0, "unknown"), (1, "unknown"), (2, "unknown"), (3, "gauge")])
def test_of_hints_only_gauges_are_kept_as_a_store_keeps_them(sent: int, kept: str) -> None:
    assert known(read(count_int=0, reset_hint=sent)).hint == kept


def test_one_layout_is_one_array_and_nobody_writes_to_it() -> None:
    first, second = known(read(**INTEGER)), known(read(**INTEGER))
    assert first.positive.indices is second.positive.indices
    with pytest.raises(ValueError, match="read-only"):
        first.positive.indices[0] = 1


def test_layouts_of_many_buckets_are_not_kept() -> None:
    """A sender could fill the memory with them."""
    before = _indices.cache_info().currsize, _ends.cache_info().currsize, _shared.cache_info().currsize
    many = known(read(count_int=5000, positive_spans=[{"offset": 0, "length": 5000}], positive_deltas=[1] + [0] * 4999))
    read(count_int=0, positive_spans=[{"offset": 1, "length": 0}] * 5000)
    read(count_int=0, schema=-53, custom_values=[float(bound) for bound in range(5000)])
    assert len(list(buckets_of(many))) == 5000
    assert before == (_indices.cache_info().currsize, _ends.cache_info().currsize, _shared.cache_info().currsize)


def test_indices_that_a_sender_makes_too_large_wrap_around() -> None:
    spans = [{"offset": 2**31 - 1, "length": 1}, {"offset": 2**31 - 1, "length": 1}]
    found = known(read(count_int=2, positive_spans=spans, positive_deltas=[1, 0]))
    assert filled(found.positive) == {2**31 - 1: 1.0, -1: 1.0}


@pytest.mark.parametrize("threshold", [math.nan, -1.0])
def test_a_threshold_that_is_none_is_zero(threshold: float) -> None:
    assert known(read(count_int=0, zero_threshold=threshold)).zero_threshold == 0.0


@pytest.mark.parametrize(
    "histogram",
    [
        native({}),
        native(
            {-3: 1.0, -2: 2.0, 5: 0.5}, {0: 1.0, 4: 0.0}, schema=3, zero=2.0, threshold=0.25, total=-1.5, hint="gauge"
        ),
        native({7: 1.0}, total=math.nan, beyond=3.0),
        custom((0.5, 1.0), {0: 1.0, 2: 4.0}, total=9.0),
    ],
)
def test_what_is_written_is_read_again(histogram: NativeHistogram) -> None:
    found = known(from_message(read_histogram(to_message(histogram).SerializeToString())))
    assert equal(found, histogram)
    assert found.hint == histogram.hint


@pytest.mark.parametrize("buckets", [0, 1, 30, 1000])
def test_memory_is_known_about(buckets: int) -> None:
    """Never too little: the array of indices that many share is counted for each."""
    message = to_message(native(dict.fromkeys(range(buckets), 1.0)))
    read_once = known(from_message(message))
    tracemalloc.start()
    kept = [from_message(message) for _ in range(1000)]
    used = tracemalloc.get_traced_memory()[0] / len(kept)
    tracemalloc.stop()
    assert 0.9 * used < byte_count(read_once) < 1.8 * used


def test_buckets_are_shown_in_ascending_order_with_the_number_of_their_rule() -> None:
    histogram = native({0: 1.0, 1: 0.0, 2: 3.0}, {1: 5.0, 3: 6.0}, zero=2.0, threshold=0.75)
    assert list(buckets_of(histogram)) == [
        (-8.0, -4.0, 6.0, 1),
        (-2.0, -1.0, 5.0, 1),
        (-0.75, 0.75, 2.0, 3),
        # It overlaps the zero bucket, and begins where that ends.
        (0.75, 1.0, 1.0, 0),
        (2.0, 4.0, 3.0, 0),
    ]


def test_custom_buckets_have_their_lowest_end_inside() -> None:
    shown = list(buckets_of(custom((0.5, 1.0), {0: 1.0, 1: 2.0, 2: 4.0})))
    assert shown == [(-math.inf, 0.5, 1.0, 3), (0.5, 1.0, 2.0, 0), (1.0, math.inf, 4.0, 0)]


@pytest.mark.parametrize(
    ("histogram", "text"),
    [
        (native({}), "{count:0, sum:0}"),
        (
            native({0: 1.0, 1: 0.0, 2: 2.5}, {1: 1.0}, zero=1.0, total=1e6),
            "{count:5.5, sum:1e+06, [-2,-1):1, [-0,0]:1, (0.5,1]:1, (2,4]:2.5}",
        ),
        (
            native({0: 1.0}, zero=123456.0, threshold=0.75, total=math.nan),
            "{count:123457, sum:NaN, [-0.75,0.75]:123456, (0.5,1]:1}",
        ),
        (
            custom((1e-5, 0.0001), {0: 1.0, 2: 2.0**-24}, total=-math.inf),
            "{count:1.0000000596046448, sum:-Inf, [-Inf,1e-05]:1, (0.0001,+Inf]:5.960464477539063e-08}",
        ),
        # One bit below the nearest float of the root of a half: so it stands in Prometheus' table.
        (native({0: 1.0}, schema=1), "{count:1, sum:0, (0.7071067811865475,1]:1}"),
        (native({1: 1.0}, schema=-4), "{count:1, sum:0, (1,65536]:1}"),
    ],
)
def test_text_is_what_prometheus_labels_values_by(histogram: NativeHistogram, text: str) -> None:
    assert text_of(histogram) == text


@pytest.mark.parametrize("schema", range(-4, 9))
def test_the_last_finite_bucket_ends_at_the_largest_float(schema: int) -> None:
    last = math.ldexp(1024, schema)
    indices = np.array([0, last, last + 1, 2**31 - 1, -(2**31)], np.int32)
    assert exponential_bounds(indices, schema).tolist() == [1.0, sys.float_info.max, math.inf, math.inf, 0.0]


@pytest.mark.parametrize("schema", range(-4, 9))
def test_bounds_ascend_and_are_powers_of_two_to_the_last_bits(schema: int) -> None:
    indices = np.arange(-40, 40, dtype=np.int32)
    bounds = exponential_bounds(indices, schema)
    assert (np.diff(bounds) > 0).all()
    np.testing.assert_allclose(bounds, 2.0 ** np.ldexp(indices.astype(float), -schema), rtol=1e-13)


@pytest.mark.parametrize(
    ("threshold", "schema", "first"), [(1.0, 0, 1), (0.99, 0, 0), (2.0**-128, 3, -1023), (3.0, -4, 1)]
)
def test_the_first_bucket_beyond_a_threshold_is_found(threshold: float, schema: int, first: int) -> None:
    assert first_beyond(threshold, schema) == first
    assert first_beyond(math.inf, schema) > 2**31 - 1
