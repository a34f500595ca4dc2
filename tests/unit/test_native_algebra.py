"""Native histograms scaled, added and compared, in layouts that differ: cases computed by hand."""

import math

import numpy as np
import pytest

from streams.native.algebra import added, compact, divided, equal, is_reset, lowered, negated, ratio, scaled, subtracted
from streams.native.histogram import Hint, NativeHistogram
from tests.unit.native_values import custom, filled, native


def known(histogram: NativeHistogram | None) -> NativeHistogram:
    assert histogram is not None
    return histogram


def test_scaling_scales_everything_that_is_counted() -> None:
    found = scaled(native({1: 2.0}, {0: 4.0}, zero=6.0, threshold=0.5, total=8.0, hint="reset"), 0.5)
    assert (found.count, found.sum, found.zero_count, found.zero_threshold) == (6.0, 4.0, 3.0, 0.5)
    assert (filled(found.positive), filled(found.negative)) == ({1: 1.0}, {0: 2.0})
    assert found.hint == "reset"


def test_buckets_that_become_empty_go_except_by_negation() -> None:
    histogram = native({1: 2.0, 2: 0.0})
    assert filled(scaled(histogram, 0.0).positive) == {}
    assert filled(divided(histogram, 2.0).positive) == {1: 1.0}
    assert filled(negated(histogram).positive) == {1: -2.0, 2: 0.0}


def test_a_negative_factor_makes_a_gauge() -> None:
    histogram = native({1: 2.0})
    assert [scaled(histogram, -1.0).hint, divided(histogram, -1.0).hint, negated(histogram).hint] == ["gauge"] * 3


def test_divided_by_zero_there_are_no_buckets_any_more() -> None:
    found = divided(native({1: 2.0}, total=-3.0), 0.0)
    assert (found.count, found.sum) == (math.inf, -math.inf)
    assert math.isnan(found.zero_count)
    assert filled(found.positive) == {}


@pytest.mark.parametrize(
    ("value", "by", "quotient"), [(1.0, 0.0, math.inf), (1.0, -0.0, -math.inf), (-2.0, 4.0, -0.5), (0.0, 0.0, math.nan)]
)
def test_ratios_are_those_of_floats_by_zero_too(value: float, by: float, quotient: float) -> None:
    assert ratio(value, by) == pytest.approx(quotient, nan_ok=True)


def test_buckets_of_either_are_buckets_of_the_sum() -> None:
    found = known(added(native({1: 1.0, 3: 2.0}, total=1.0), native({0: 4.0, 3: 8.0}, {2: 16.0}, total=2.0)))
    assert filled(found.positive) == {0: 4.0, 1: 1.0, 3: 10.0}
    assert filled(found.negative) == {2: 16.0}
    assert (found.count, found.sum) == (31.0, 3.0)


def test_a_difference_is_a_gauge_without_buckets_that_cancel() -> None:
    found = known(subtracted(native({1: 3.0, 2: 5.0}, total=7.0), native({1: 3.0, 2: 6.0, 9: 1.0}, total=1.0)))
    assert filled(found.positive) == {2: -1.0, 9: -1.0}
    assert (found.count, found.sum, found.hint) == (-2.0, 6.0, "gauge")


def test_of_two_resolutions_the_lower_is_taken() -> None:
    fine, coarse = native({0: 1.0, 1: 2.0, 2: 4.0, 3: 8.0}, schema=1), native({1: 16.0}, schema=0)
    # Bucket i of schema 1 is in bucket ceil(i / 2) of schema 0.
    for one, other in ((fine, coarse), (coarse, fine)):
        found = known(added(one, other))
        assert (found.schema, filled(found.positive)) == (0, {0: 1.0, 1: 22.0, 2: 8.0})


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (2, {-4: 1.0, -3: 2.0, 0: 4.0, 1: 8.0}),
        (1, {-2: 1.0, -1: 2.0, 0: 4.0, 1: 8.0}),
        (0, {-1: 1.0, 0: 6.0, 1: 8.0}),
        (-4, {0: 7.0, 1: 8.0}),
    ],
)
def test_lowering_the_resolution_adds_buckets_up(schema: int, expected: dict[int, float]) -> None:
    assert filled(lowered(native({-4: 1.0, -3: 2.0, 0: 4.0, 1: 8.0}, schema=2), schema).positive) == expected


def test_the_narrower_zero_bucket_grows_to_the_end_of_a_bucket_with_observations() -> None:
    # 0.75 lies in (0.5, 1], which has observations: so both zero buckets end at 1.
    narrow = native({-1: 1.0, 0: 2.0, 1: 4.0}, {0: 8.0, 1: 16.0}, zero=32.0, threshold=0.125)
    wide = native({2: 100.0}, zero=200.0, threshold=0.75)
    for one, other in ((narrow, wide), (wide, narrow)):
        found = known(added(one, other))
        assert (found.zero_threshold, found.zero_count) == (1.0, 243.0)
        assert filled(found.positive) == {1: 4.0, 2: 100.0}
        assert filled(found.negative) == {1: 16.0}


def test_a_zero_bucket_that_grows_may_make_the_other_one_grow() -> None:
    # One ends at 0.75, so the other at 1; there the first has (0.7, 1.41], so both at 1.41.
    one = native({0: 2.0}, schema=-1, zero=1.0, threshold=0.75)
    other = native({0: 4.0, 4: 8.0}, zero=0.0)
    found = known(added(one, other))
    assert (found.schema, found.zero_threshold, found.zero_count) == (-1, 1.0, 7.0)
    assert filled(found.positive) == {2: 8.0}


def test_of_custom_bounds_those_stay_that_both_have() -> None:
    one = custom((1.0, 2.0, 5.0), {0: 1.0, 1: 2.0, 2: 4.0, 3: 8.0})
    other = custom((2.0, 3.0, 5.0), {0: 16.0, 1: 32.0, 3: 64.0})
    found = known(added(one, other))
    assert (found.bounds, filled(found.positive)) == ((2.0, 5.0), {0: 19.0, 1: 36.0, 2: 72.0})
    assert filled(known(subtracted(one, other)).positive) == {0: -13.0, 1: -28.0, 2: -56.0}


def test_custom_bounds_with_nothing_in_common_leave_one_bucket() -> None:
    found = known(added(custom((1.0,), {0: 1.0}), custom((2.0,), {0: 2.0, 1: 4.0})))
    assert (found.bounds, filled(found.positive)) == ((), {0: 7.0})


def test_exponential_and_custom_buckets_do_not_go_together() -> None:
    one, other = native({1: 1.0}), custom((1.0,), {0: 1.0})
    assert [added(one, other), added(other, one), subtracted(one, other), subtracted(other, one)] == [None] * 4


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("reset", "reset", "reset"),
        ("reset", "not_reset", "unknown"),
        ("not_reset", "unknown", "unknown"),
        ("gauge", "reset", "gauge"),
        ("unknown", "gauge", "gauge"),
    ],
)
def test_what_is_known_of_a_sum_is_what_is_known_of_both(first: Hint, second: Hint, expected: Hint) -> None:
    assert known(added(native({1: 1.0}, hint=first), native({1: 1.0}, hint=second))).hint == expected


def test_equal_is_what_has_the_same_bits_and_buckets_whatever_its_hint() -> None:
    one = native({1: 1.0}, {2: 3.0}, total=math.nan)
    assert equal(one, native({1: 1.0}, {2: 3.0}, total=math.nan, hint="gauge"))


@pytest.mark.parametrize(
    "other",
    [
        native({1: 1.0, 2: 0.0}),
        native({2: 1.0}),
        native({1: 1.0}, schema=1),
        native({1: 1.0}, total=-0.0),
        native({1: 1.0}, threshold=0.5),
        native({}, {1: 1.0}),
        custom((1.0, 2.0), {1: 1.0}),
    ],
)
def test_unequal_is_what_differs_in_a_bit_or_an_empty_bucket(other: NativeHistogram) -> None:
    assert not equal(native({1: 1.0}), other)


def test_custom_bounds_are_compared() -> None:
    assert equal(custom((1.0,), {0: 1.0}), custom((1.0,), {0: 1.0}))
    assert not equal(custom((1.0,), {0: 1.0}), custom((2.0,), {0: 1.0}))


def test_compact_is_without_empty_buckets_and_itself_if_it_has_none() -> None:
    histogram = native({1: 1.0}, {1: 1.0})
    assert compact(histogram) is histogram
    found = compact(native({1: 0.0, 2: 1.0, 3: -0.0}, {1: 0.0}))
    assert (filled(found.positive), filled(found.negative)) == ({2: 1.0}, {})


GROWN = [
    (native({1: 2.0, 2: 1.0}), native({1: 2.0})),
    (native({2: 2.0}), native({1: 0.0, 2: 2.0})),
    (native({1: 2.0}, zero=1.0), native({1: 1.0})),
    # Half the resolution, nothing lost.
    (native({0: 1.0, 1: 5.0}), native({0: 1.0, 1: 2.0, 2: 3.0}, schema=1)),
    # A wider zero bucket, up to where a bucket ends.
    (native({2: 4.0}, zero=8.0, threshold=1.0), native({0: 3.0, 2: 4.0}, zero=5.0, threshold=0.5)),
    # Inside an empty one it may end.
    (native({2: 4.0}, zero=5.0, threshold=0.75), native({0: 0.0, 2: 4.0}, zero=5.0, threshold=0.5)),
    # Within the zero bucket nobody looks.
    (native({-3: 1.0, 2: 9.0}, threshold=1.0), native({-3: 2.0, 2: 8.0}, threshold=1.0)),
    (custom((1.0, 2.0), {0: 1.0, 1: 2.0}), custom((1.0, 2.0), {0: 1.0, 1: 1.0})),
    # Between the bounds that both have, nothing less.
    (custom((1.0, 2.0, 3.0), {1: 5.0, 2: 1.0}), custom((1.0, 3.0), {1: 6.0})),
    (native({1: 1.0}, hint="not_reset"), native({1: 9.0})),
]
FALLEN = [
    (native({1: 2.0}), native({1: 3.0})),
    (native({1: 2.0, 2: 9.0}), native({1: 3.0})),
    (native({1: 2.0}, {1: 1.0}), native({1: 1.0}, {1: 2.0})),
    (native({1: 9.0}), native({1: 1.0, 2: 1.0})),
    (native({1: 9.0}), native({}, {1: 1.0})),
    (native({1: 9.0}, zero=1.0), native({1: 1.0}, zero=2.0)),
    # Twice the resolution cannot come from growing, nor can a narrower zero bucket.
    (native({1: 9.0}, schema=1), native({1: 1.0})),
    (native({1: 9.0}, threshold=0.5), native({1: 1.0}, threshold=1.0)),
    # Nor one that ends inside a bucket with observations.
    (native({2: 9.0}, zero=9.0, threshold=0.75), native({0: 1.0}, threshold=0.5)),
    (native({2: 9.0}, zero=3.0, threshold=1.0), native({0: 3.0, 2: 4.0}, zero=5.0, threshold=0.5)),
    (native({0: 1.0, 1: 9.0}), native({0: 2.0, 1: 2.0, 2: 3.0}, schema=1)),
    (custom((1.0, 2.0), {0: 9.0}), custom((1.0, 2.0), {1: 1.0})),
    (custom((1.0, 2.0), {0: 9.0}), custom((2.0, 3.0), {1: 1.0})),
    (custom((1.0,), {0: 9.0}), native({1: 1.0})),
    (native({1: 9.0}), custom((1.0,), {0: 1.0})),
    (native({1: 9.0}, hint="reset"), native({1: 1.0})),
]


@pytest.mark.parametrize(("newer", "older"), GROWN)
def test_what_grew_is_no_reset(newer: NativeHistogram, older: NativeHistogram) -> None:
    assert not is_reset(newer, older)


@pytest.mark.parametrize(("newer", "older"), FALLEN)
def test_what_lost_something_is_a_reset(newer: NativeHistogram, older: NativeHistogram) -> None:
    assert is_reset(newer, older)


def test_arrays_are_left_as_they_are() -> None:
    one, other = native({0: 1.0, 1: 2.0}, schema=1, zero=1.0), native({0: 4.0, 3: 8.0}, threshold=1.0)
    before = [array.copy() for histogram in (one, other) for array in (histogram.positive.counts,)]
    for function in (added, subtracted, is_reset):
        function(one, other)
    np.testing.assert_array_equal(one.positive.counts, before[0])
    np.testing.assert_array_equal(other.positive.counts, before[1])
