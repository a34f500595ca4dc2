"""`histogram_quantile` by hand, and its rules for odd buckets."""

import math

import pytest

from streams.promql.histogram import bucket_quantile, parse_bound
from tests.unit.promql_cases import INF, NAN, ask, value


@pytest.mark.parametrize(
    ("quantile", "bounds", "counts", "expected"),
    [
        (0.5, [1, 2, INF], [4, 8, 8], 1.0),
        (0.75, [1, 2, INF], [4, 8, 8], 1.5),
        (0.25, [1, 2, INF], [4, 8, 8], 0.5),
        (1.0, [1, 2, INF], [4, 8, 8], 2.0),
        (0.0, [1, 2, INF], [4, 8, 8], 0.0),
        (0.99, [1, 2, INF], [4, 8, 100], 2.0),  # in the last bucket: its lower bound
        (0.1, [-1, 2, INF], [4, 8, 8], -1.0),  # no lower bound is known below zero
        (0.75, [-1, 2, INF], [4, 8, 8], 0.5),
        (0.1, [0, 2, INF], [4, 8, 8], 0.0),
        (0.5, [1, 2], [4, 8], NAN),
        (0.5, [INF], [4], NAN),
        (0.5, [1, INF], [0, 0], NAN),
        (0.0, [1, 2, INF], [0, 8, 8], NAN),
        (-0.1, [1, INF], [1, 1], -INF),
        (1.1, [1, INF], [1, 1], INF),
        (NAN, [1, INF], [1, 1], NAN),
        (0.75, [1, 2, 3, INF], [4, 2, 8, 8], 2.5),  # a decrease counts as none
        (0.5, [1, 1, 2, INF], [2, 2, 8, 8], 1.0),  # equal bounds are added up
        (0.5, [1, 2, INF], [4, 4 + 1e-13, 8], 1.0),
        (0.9, [1, 2, INF], [8, 8 + 1e-13, 8 + 2e-13], 0.9),
        (0.5, [1, 2, INF], [NAN, NAN, NAN], 2.0),
        (0.5, [1, 2, INF], [1, INF, INF], NAN),
    ],
)
def test_the_quantile_of_buckets(quantile: float, bounds: list[float], counts: list[float], expected: float) -> None:
    found = bucket_quantile(quantile, bounds, counts)
    assert found == pytest.approx(expected, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("0.5", 0.5),
        ("1e-3", 0.001),
        ("+Inf", INF),
        ("-inf", -INF),
        ("Infinity", INF),
        ("0x1p-2", 0.25),
        (".5", 0.5),
        ("5.", 5.0),
        ("", NAN),
        (" 1", NAN),
        ("1_000", NAN),
        ("1e999", NAN),
        ("0x1p9999", NAN),
        ("\u0661", NAN),
        ("abc", NAN),
    ],
)
def test_a_bound_is_read_as_prometheus_reads_it(text: str, bound: float) -> None:
    assert parse_bound(text) == bound or (math.isnan(parse_bound(text)) and math.isnan(bound))


def buckets(labels: str, counts: dict[str, float]) -> dict[str, list[tuple[float, float]]]:
    return {f'b{{le="{bound}"{labels}}}': [(-5.0, count)] for bound, count in counts.items()}


def test_each_histogram_has_its_quantile() -> None:
    series = {
        **buckets(',pod="a"', {"+Inf": 8, "2": 8, "1": 4}),
        **buckets(',pod="b"', {"1": 0, "2.0": 10, "+Inf": 10}),
        **buckets(',pod="c"', {"1": 5}),
        **buckets(',pod="d"', {"x": 5}),
    }
    assert ask("histogram_quantile(0.75, b)", series) == {"pod=a": 1.5, "pod=b": 1.75, "pod=c": None}
    # `2` and `2.0` are the same bound: 18 of 18 up to 2, 4 of them up to 1.
    assert value("histogram_quantile(0.75, sum by (le) (b{pod=~'a|b'}))", series) == pytest.approx(1 + 9.5 / 14)


def test_bounds_are_numbers_not_texts() -> None:
    series = {**buckets(',pod="a"', {"1": 4, "+Inf": 4}), **buckets(',pod="b"', {"1.0": 4, "2.0": 8, "Inf": 8})}
    assert value("histogram_quantile(0.25, sum by (le) (b))", series) == pytest.approx(3 / 8)


def test_without_buckets_there_is_nothing() -> None:
    assert value("histogram_quantile(0.5, b)", {"b": [(-5.0, 1.0)]}) is None
    assert value("histogram_quantile(0.5, missing)", {"b": [(-5.0, 1.0)]}) is None
