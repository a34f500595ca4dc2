"""Sums and averages of many native histograms, alike or not, and of floats."""

import math
from collections.abc import Callable, Sequence
from random import Random

import numpy as np
import pytest

from streams.native.algebra import added, equal
from streams.native.compensated import average_of, total_of
from streams.native.histogram import Hint, NativeHistogram
from streams.native.total import average, average_over_time, total, total_over_time
from tests.unit.native_values import custom, filled, native

Fold = Callable[[Sequence[NativeHistogram]], NativeHistogram | None]


def known(histogram: NativeHistogram | None) -> NativeHistogram:
    assert histogram is not None
    return histogram


def drawn(random: Random, *, alike: bool) -> NativeHistogram:
    indices = range(-3, 5) if alike else random.sample(range(-3, 5), 5)
    counts = {index: random.randrange(1, 9) / 4 for index in indices}
    return native(counts, {1: 2.0, 2: 1.0}, zero=1.0, threshold=0.03125, total=random.randrange(99) / 4)


@pytest.mark.parametrize("alike", [True, False])
def test_a_sum_is_what_adding_one_after_the_other_gives(alike: bool) -> None:
    histograms = [drawn(Random(seed), alike=alike) for seed in range(9)]
    expected = histograms[0]
    for histogram in histograms[1:]:
        expected = known(added(expected, histogram))
    assert equal(known(total(histograms)), expected)


@pytest.mark.parametrize("alike", [True, False])
def test_an_average_is_the_sum_divided(alike: bool) -> None:
    histograms = [drawn(Random(seed), alike=alike) for seed in range(9)]
    found, expected = known(average(histograms)), known(total(histograms))
    np.testing.assert_array_equal(found.positive.indices, expected.positive.indices)
    np.testing.assert_allclose(found.positive.counts, expected.positive.counts / 9, rtol=1e-14)
    np.testing.assert_allclose(found.negative.counts, expected.negative.counts / 9, rtol=1e-14)
    assert (found.count, found.sum) == pytest.approx((expected.count / 9, expected.sum / 9))
    assert found.zero_count == pytest.approx(1.0)


def test_an_average_does_not_overflow_where_the_sum_does() -> None:
    histograms = [native({1: 1e308}, total=1e308) for _ in range(4)]
    with np.errstate(over="ignore"):
        assert known(total(histograms)).sum == math.inf
    assert known(average(histograms)).sum == pytest.approx(1e308)


@pytest.mark.parametrize("fold", [total, average, total_over_time, average_over_time])
def test_one_is_its_own_sum_and_average(fold: Fold) -> None:
    histogram = native({1: 1.0}, total=3.0, hint="not_reset")
    assert fold([histogram]) is histogram


@pytest.mark.parametrize("fold", [total, average])
def test_across_series_there_are_no_empty_buckets_and_over_time_there_are(fold: Fold) -> None:
    histograms = [native({1: 1.0, 2: 0.0})] * 3
    over_time = total_over_time if fold is total else average_over_time
    assert filled(known(fold(histograms)).positive).keys() == {1}
    assert filled(known(over_time(histograms)).positive).keys() == {1, 2}


@pytest.mark.parametrize("fold", [total, average, total_over_time, average_over_time])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_exponential_and_custom_buckets_have_no_sum(fold: Fold, place: int) -> None:
    histograms = [native({1: 1.0}), native({1: 1.0})]
    histograms.insert(place, custom((1.0,), {0: 1.0}))
    assert fold(histograms) is None


@pytest.mark.parametrize("fold", [total, average])
@pytest.mark.parametrize("alike", [True, False])
def test_what_is_known_of_all_is_known_of_their_sum(fold: Fold, alike: bool) -> None:
    def hint(*hints: Hint) -> Hint:
        histograms = [
            native({1 if alike else place: 1.0}, hint=one) for place, one in enumerate(hints)
        ]  # fmt: skip
        return known(fold(histograms)).hint

    assert hint("reset", "reset", "reset") == "reset"
    assert hint("reset", "reset", "not_reset") == "unknown"
    assert hint("reset", "not_reset", "gauge") == "gauge"


def test_buckets_within_the_zero_bucket_of_all_but_the_first_do_not_count() -> None:
    histograms = [native({-3: 1.0, 2: 1.0}, threshold=1.0)] * 3
    assert filled(known(total(histograms)).positive) == {-3: 1.0, 2: 3.0}


@pytest.mark.parametrize("fold", [total, average])
def test_custom_bounds_that_not_all_have_go(fold: Fold) -> None:
    histograms = [custom(bounds, {0: 1.0}) for bounds in ((1.0, 2.0), (1.0, 2.0), (2.0, 3.0))]
    assert known(fold(histograms)).bounds == (2.0,)


def test_sums_of_floats_lose_next_to_nothing() -> None:
    assert total_of([1.0, 1e100, 1.0, -1e100]) == 2.0
    assert total_of([1.0, math.inf]) == math.inf
    assert math.isnan(total_of([math.inf, -math.inf]))
    assert total_of([]) == 0.0


def test_averages_of_floats_do_not_overflow() -> None:
    assert average_of([1.0, 2.0, 6.0]) == 3.0
    assert average_of([1e308] * 5) == pytest.approx(1e308)
    assert average_of([math.inf, 1.0]) == math.inf
