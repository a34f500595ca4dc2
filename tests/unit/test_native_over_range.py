"""Range functions of one series with native histograms: cases computed by hand."""

import math
from collections.abc import Sequence
from itertools import pairwise
from random import Random

import pytest

from streams.native.algebra import is_reset
from streams.native.histogram import NativeHistogram, Sample
from streams.native.over_range import NATIVE, Outcome, reset_places, without_buckets
from tests.unit.native_values import custom, filled, native

Value = float | NativeHistogram
# Whole minutes, the first one in the middle of one: nothing is extrapolated beyond half a minute.
BEGIN_MS, END_MS = 0, 180_000


def at(*values: Value, every_ms: int = 60_000, first_ms: int = 30_000) -> list[Sample]:
    return [(first_ms + place * every_ms, value) for place, value in enumerate(values)]


def ask(function: str, *values: Value) -> Outcome:
    return NATIVE[function](at(*values), BEGIN_MS, END_MS)


def histogram(outcome: Outcome) -> NativeHistogram:
    assert isinstance(outcome, NativeHistogram)
    return outcome


MIXED: Sequence[Value] = (1.0, native({1: 1.0}), 2.0)


@pytest.mark.parametrize("function", ["increase", "rate", "delta", "irate", "idelta", "sum_over_time", "avg_over_time"])
def test_floats_and_histograms_mixed_give_nothing(function: str) -> None:
    assert ask(function, *MIXED) is None


@pytest.mark.parametrize(
    ("function", "expected"),
    [("changes", 2.0), ("resets", 2.0), ("count_over_time", 3.0), ("last_over_time", 2.0), ("present_over_time", 1.0)],
)
def test_some_functions_take_a_mixture(function: str, expected: float) -> None:
    assert ask(function, *MIXED) == expected


@pytest.mark.parametrize("function", sorted(NATIVE))
def test_of_no_samples_there_is_nothing(function: str) -> None:
    assert ask(function) is None


@pytest.mark.parametrize("function", ["increase", "rate", "delta", "irate", "idelta"])
@pytest.mark.parametrize("value", [1.0, native({1: 1.0})])
def test_one_sample_does_not_move(function: str, value: Value) -> None:
    assert ask(function, value) is None


def test_an_increase_is_extrapolated_to_the_ends_of_the_range() -> None:
    # From 30 s to 150 s, three minutes in all: half as much again.
    found = histogram(ask("increase", native({1: 90.0, 2: 9.0}), native({1: 91.0, 2: 9.0}), native({1: 94.0, 2: 11.0})))
    assert (filled(found.positive), found.count) == ({1: 6.0, 2: 3.0}, 9.0)


def test_an_increase_is_not_extrapolated_to_before_the_counter_was_zero() -> None:
    # It rose by 4 in two minutes from 0.5: zero was 15 s before.
    found = histogram(ask("increase", native({1: 0.5}), native({1: 4.5}), native({1: 4.5})))
    assert found.count == pytest.approx(4.0 * (120 + 15 + 30) / 120)


def test_a_series_that_begins_late_is_taken_to_begin_half_an_interval_before() -> None:
    samples = at(native({1: 90.0}), native({1: 100.0}), every_ms=20_000, first_ms=90_000)
    found = histogram(NATIVE["increase"](samples, BEGIN_MS, END_MS))
    assert found.count == pytest.approx(10.0 * (20 + 10 + 10) / 20)


def test_a_reset_adds_what_was_counted_before_it() -> None:
    values = [native({1: 10.0}), native({1: 16.0}), native({1: 4.0})]
    assert histogram(ask("increase", *values)).count == pytest.approx((4.0 - 10.0 + 16.0) * 1.5)


def test_of_a_first_sample_before_a_reset_nothing_counts_and_it_need_not_match() -> None:
    values = [custom((1.0,), {0: 10.0}), native({1: 2.0}), native({1: 4.0})]
    found = histogram(ask("increase", *values))
    assert filled(found.positive) == {1: pytest.approx(6.0)}
    assert ask("delta", *values) is None


@pytest.mark.parametrize(
    "values",
    [
        [native({1: 1.0}), native({1: 2.0}), custom((1.0,), {0: 9.0})],
        [native({1: 1.0}), custom((1.0,), {0: 9.0}), native({1: 2.0})],
    ],
)
def test_a_counter_whose_buckets_change_their_kind_has_no_increase(values: list[Value]) -> None:
    assert ask("increase", *values) is None


def test_a_gauge_looks_at_its_ends_only() -> None:
    values = [native({1: 6.0}, hint="gauge"), custom((1.0,), {0: 9.0}), native({1: 2.0}, hint="gauge")]
    found = histogram(ask("delta", *values))
    assert (filled(found.positive), found.hint) == ({1: -6.0}, "gauge")


def test_the_lowest_resolution_of_all_samples_is_taken() -> None:
    values = [native({4: 100.0}, schema=2), native({1: 104.0}, schema=0), native({4: 6.0, 8: 1.0}, schema=2)]
    found = histogram(ask("increase", *values))
    assert found.schema == 0
    # The last one tells of a reset, because its resolution rose.
    assert filled(found.positive) == {1: pytest.approx((6.0 - 100.0 + 104.0) * 1.5), 2: pytest.approx(1.5)}


def test_hints_decide_about_resets() -> None:
    falling = [native({1: 10.0}), native({1: 9.0}, hint="not_reset"), native({1: 8.0}, hint="not_reset")]
    assert ask("resets", *falling) == 0.0
    assert ask("resets", native({1: 1.0}), native({1: 2.0}, hint="reset"), native({1: 3.0})) == 1.0


@pytest.mark.parametrize("seed", range(8))
def test_resets_of_samples_that_are_alike_are_found_as_one_by_one(seed: int) -> None:
    random = Random(seed)
    indices = range(-2, 4)
    threshold = random.choice((0.0, 0.25, 1.0))
    counts = dict.fromkeys(indices, 5.0)
    histograms = []
    for _ in range(30):
        index = random.choice(indices)
        counts[index] += random.choice((0, 1, 2, -1))
        zero = float(random.randrange(20, 22))
        histograms.append(native(counts, {1: float(random.randrange(8, 11) // 2)}, zero=zero, threshold=threshold))
    one_by_one = [place for place, (older, newer) in enumerate(pairwise(histograms), 1) if is_reset(newer, older)]
    assert one_by_one
    assert reset_places(histograms) == one_by_one


def test_a_rate_is_the_increase_by_the_seconds_of_the_range() -> None:
    samples = at(native({1: 90.0}), native({1: 91.0}), native({1: 94.0}))
    assert histogram(NATIVE["rate"](samples, BEGIN_MS, END_MS)).count == pytest.approx(6.0 / 180.0)
    assert NATIVE["rate"](at(1.0, 3.0, 5.0), BEGIN_MS, END_MS) == pytest.approx(
        6.0 / 180.0 / 4.0 * (120 + 30 + 30) / 45.0
    )


def test_the_last_two_samples_make_irate_and_idelta() -> None:
    values = [native({1: 90.0}), native({1: 10.0}), native({1: 40.0, 2: 0.0})]
    slope, change = histogram(ask("irate", *values)), histogram(ask("idelta", *values))
    assert (filled(slope.positive), slope.hint) == ({1: 0.5}, "gauge")
    assert (filled(change.positive), change.hint) == ({1: 30.0}, "gauge")


def test_after_a_reset_irate_is_all_that_was_counted_since() -> None:
    values = [native({1: 90.0}), native({1: 30.0})]
    assert histogram(ask("irate", *values)).count == 0.5
    assert histogram(ask("idelta", *values)).count == -60.0


@pytest.mark.parametrize("function", ["irate", "idelta"])
def test_the_last_two_samples_must_match(function: str) -> None:
    assert ask(function, native({1: 1.0}), custom((1.0,), {0: 9.0})) is None or function == "irate"
    assert ask(function, custom((1.0,), {0: 1.0}), native({1: 9.0}, hint="not_reset")) is None
    assert ask(function, 1.0, native({1: 1.0})) is None
    assert ask(function, native({1: 1.0}), 1.0) is None


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("increase", 18.0),
        ("delta", -6.0),
        ("irate", 0.1),
        ("idelta", -10.0),
        ("changes", 2.0),
        ("resets", 1.0),
        ("sum_over_time", 32.0),
        ("avg_over_time", 32.0 / 3.0),
        ("count_over_time", 3.0),
        ("last_over_time", 6.0),
        ("present_over_time", 1.0),
    ],
)
def test_floats_alone_are_what_they_always_were(function: str, expected: float) -> None:
    assert ask(function, 10.0, 16.0, 6.0) == pytest.approx(expected)


def test_changes_do_not_see_empty_buckets_nor_that_no_number_is_another_one() -> None:
    assert ask("changes", native({1: 1.0}), native({1: 1.0, 2: 0.0}), native({1: 1.0}, {3: 0.0})) == 0.0
    assert ask("changes", native({1: 1.0}), native({1: 2.0}), native({1: 2.0}, total=1.0)) == 2.0
    assert ask("changes", math.nan, math.nan, 1.0) == 1.0


def test_sums_and_averages_over_time_are_histograms() -> None:
    values = [native({1: 1.0}), native({1: 2.0, 2: 3.0}), native({1: 3.0})]
    assert filled(histogram(ask("sum_over_time", *values)).positive) == {1: 6.0, 2: 3.0}
    assert filled(histogram(ask("avg_over_time", *values)).positive) == {1: pytest.approx(2.0), 2: pytest.approx(1.0)}
    assert histogram(ask("last_over_time", *values)) is values[-1]


def test_without_buckets_all_go_together_and_resets_are_kept() -> None:
    values: list[Value] = [
        native({1: 9.0}),
        native({2: 9.0}),
        custom((1.0,), {0: 12.0}),
        custom((1.0,), {0: 13.0}),
        5.0,
    ]
    bare = [value for _, value in without_buckets(at(*values))]
    assert [value.hint for value in bare if isinstance(value, NativeHistogram)] == [
        "unknown",
        "reset",
        "reset",
        "not_reset",
    ]
    assert bare[-1] == 5.0
    assert ask("increase", *values[:-1]) is None
    assert histogram(NATIVE["increase"](at(*bare[:-1], every_ms=40_000), BEGIN_MS, END_MS)).count == pytest.approx(
        (13.0 - 9.0 + 9.0 + 9.0) * 180 / 120
    )
