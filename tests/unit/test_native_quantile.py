"""Quantiles, fractions, mean and spread of native histograms: cases computed by hand."""

import math
from collections.abc import Callable

import pytest

from streams.native.histogram import NativeHistogram
from streams.native.quantile import deviation, fraction, mean, quantile, variance
from tests.unit.native_values import custom, native

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("q", "histogram", "expected"),
    [
        (0.5, native({}), NAN),
        (NAN, native({1: 1.0}), NAN),
        (-0.1, native({1: 1.0}), -INF),
        (1.1, native({1: 1.0}), INF),
        # In the middle of (1, 2] on a logarithmic scale.
        (0.5, native({1: 2.0}), math.sqrt(2.0)),
        (0.0, native({1: 2.0}), 1.0),
        (1.0, native({1: 2.0}), 2.0),
        (0.75, native({1: 2.0, 3: 2.0}), 4.0 * math.sqrt(2.0)),
        # Three quarters up from -4 to -2.
        (0.75, native({}, {2: 4.0}), -(2.0**1.25)),
        (0.25, native({}, {2: 4.0}), -(2.0**1.75)),
        (0.25, native({2: 1.0}, {2: 1.0}), -math.sqrt(8.0)),
        # The zero bucket is linear; it ends at 0 where nothing is beyond.
        (0.25, native({1: 2.0}, zero=2.0, threshold=0.5), 0.25),
        (0.75, native({}, {1: 2.0}, zero=2.0, threshold=0.5), -0.25),
        (0.5, native({}, zero=2.0, threshold=0.5), 0.0),
        (0.25, native({1: 1.0}, {1: 1.0}, zero=2.0, threshold=0.5), -1.0),
        (0.625, native({1: 1.0}, {1: 1.0}, zero=2.0, threshold=0.5), 0.25),
        # Custom buckets are linear, and the outer ones have one end only.
        (0.5, custom((2.0, 4.0), {1: 2.0}), 3.0),
        (0.5, custom((2.0, 4.0), {0: 2.0}), 1.0),
        (0.5, custom((-2.0, 4.0), {0: 2.0}), -2.0),
        (0.5, custom((2.0, 4.0), {2: 2.0}), 4.0),
        (0.5, custom((), {0: 2.0}), INF),
        # A bucket that nobody fell into is none.
        (0.5, native({1: 1.0, 2: 0.0, 3: 1.0}), 4.0),
        (0.25, native({1: 1.0, 2: 0.0, 3: 1.0}), math.sqrt(2.0)),
        # The bucket of infinities, and the last finite one.
        (1.0, native({1024: 1.0}), INF),
        (1.0, native({1025: 1.0}), INF),
    ],
)
def test_quantiles(q: float, histogram: NativeHistogram, expected: float) -> None:
    assert quantile(q, histogram) == pytest.approx(expected, rel=1e-12, nan_ok=True)


def test_observations_that_are_no_number_are_above_all_others() -> None:
    histogram = native({1: 2.0, 2: 2.0}, total=NAN, beyond=4.0)
    assert quantile(0.5, histogram) == 4.0
    assert math.isnan(quantile(0.6, histogram))


def test_with_no_numbers_a_quantile_lies_in_the_last_bucket_as_in_prometheus_3_8() -> None:
    # A quarter of (1, 2], but taken of the last bucket that Prometheus looked at.
    assert quantile(0.125, native({1: 4.0, 3: 4.0}, total=NAN)) == pytest.approx(4.0 * 2.0**0.25)


def test_a_count_beyond_the_buckets_gives_the_end_of_the_outermost_one() -> None:
    assert quantile(1.0, native({1: 2.0}, beyond=2.0)) == 2.0
    # From above, there are not enough observations to get down to this rank.
    assert quantile(0.5, native({3: 0.5}, beyond=2.0)) == 8.0
    assert quantile(0.4, native({3: 0.5}, beyond=2.0)) == 8.0


@pytest.mark.parametrize(
    ("lower", "upper", "histogram", "expected"),
    [
        (0.0, 1.0, native({}), NAN),
        (NAN, 1.0, native({1: 1.0}), NAN),
        (2.0, 1.0, native({1: 1.0}), 0.0),
        (1.0, 1.0, native({1: 1.0}), 0.0),
        (-INF, INF, native({1: 1.0}, {1: 1.0}), 1.0),
        (1.0, math.sqrt(2.0), native({1: 4.0}), 0.5),
        (2.0, 4.0, native({1: 1.0, 2: 2.0, 3: 1.0}), 0.5),
        (-math.sqrt(2.0), -1.0, native({1: 1.0}, {1: 1.0}), 0.25),
        # The zero bucket, with and without the other side.
        (0.0, 0.25, native({1: 2.0}, zero=2.0, threshold=0.5), 0.25),
        (0.0, 0.25, native({}, zero=2.0, threshold=0.5), 0.25),
        (-0.25, 0.0, native({}, {1: 2.0}, zero=2.0, threshold=0.5), 0.25),
        (2.0, 3.0, custom((2.0, 4.0), {1: 4.0}), 0.5),
        (0.0, 1.0, custom((2.0, 4.0), {0: 4.0}), 0.5),
        # Nothing is known about the outer buckets.
        (-9.0, -5.0, custom((-2.0, 4.0), {0: 2.0, 1: 2.0}), 0.0),
        (-5.0, INF, custom((-2.0, 4.0), {0: 2.0, 1: 2.0}), 0.5),
        (-INF, 9.0, custom((2.0, 4.0), {1: 2.0, 2: 2.0}), 0.5),
        # No numbers are in no bucket.
        (-INF, INF, native({1: 2.0}, total=NAN, beyond=2.0), 0.5),
        (-INF, 2.0, native({1: 2.0}, beyond=2.0), 1.0),
    ],
)
def test_fractions(lower: float, upper: float, histogram: NativeHistogram, expected: float) -> None:
    assert fraction(lower, upper, histogram) == pytest.approx(expected, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("q", [0.03, 0.2, 0.5, 0.77, 0.99])
@pytest.mark.parametrize(
    "histogram",
    [
        native({-2: 1.0, 1: 4.0, 7: 3.0}, {0: 2.0, 3: 1.0}, zero=2.0, threshold=0.01, schema=1),
        native({1: 5.0, 2: 2.0}, zero=1.0, threshold=0.5),
        custom((1.0, 2.0, 8.0), {0: 3.0, 1: 4.0, 2: 5.0}),
    ],
)
def test_the_fraction_below_a_quantile_is_the_quantile(q: float, histogram: NativeHistogram) -> None:
    assert fraction(-INF, quantile(q, histogram), histogram) == pytest.approx(q)


@pytest.mark.parametrize(
    ("function", "histogram", "expected"),
    [
        (mean, native({1: 2.0}, total=3.0), 1.5),
        (mean, native({}), NAN),
        (mean, custom((), {}, total=1.0), INF),
        # All observations at the geometric middle of (1, 4], 2; mean 3.
        (variance, native({1: 2.0}, schema=-1, total=6.0), 1.0),
        (variance, native({}, {1: 2.0}, schema=-1, total=-6.0), 1.0),
        (variance, native({}, zero=2.0, threshold=0.5, total=4.0), 4.0),
        # At the middles 1 and 3, mean 2.
        (variance, custom((0.0, 2.0, 4.0), {1: 2.0, 2: 2.0}, total=8.0), 1.0),
        (variance, custom((0.0, 2.0), {0: 2.0}), INF),
        (variance, native({}), NAN),
        (deviation, native({}, zero=2.0, threshold=0.5, total=4.0), 2.0),
        (deviation, native({1: -2.0, 2: 4.0}, total=6.0), NAN),
    ],
)
def test_mean_and_spread(
    function: Callable[[NativeHistogram], float], histogram: NativeHistogram, expected: float
) -> None:
    assert function(histogram) == pytest.approx(expected, rel=1e-12, nan_ok=True)
