"""`*_over_time` and instant selectors by hand."""

import math

import pytest

from streams.wire.samples import STALE_NAN
from tests.unit.promql_cases import INF, NAN, ask, value

FOUR = [(-400.0, 100.0), (-250.0, 4.0), (-200.0, STALE_NAN), (-150.0, 1.0), (-20.0, 7.0)]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("avg", 4.0),
        ("min", 1.0),
        ("max", 7.0),
        ("sum", 12.0),
        ("count", 3.0),
        ("last", 7.0),
        ("present", 1.0),
        ("stddev", math.sqrt(6)),
    ],
)
def test_samples_of_the_range_count_and_stale_markers_do_not(function: str, expected: float) -> None:
    assert value(f"{function}_over_time(g[5m])", {"g": FOUR}) == pytest.approx(expected, rel=1e-15)
    assert value(f"{function}_over_time(g[10s])", {"g": FOUR}) is None


@pytest.mark.parametrize(
    ("function", "values", "expected"),
    [
        ("sum", [1e100, 1.0, -1e100], 1.0),
        ("avg", [1e100, 3.0, -1e100], 1.0),
        ("avg", [1.7e308, 1.7e308], 1.7e308),
        ("sum", [1.7e308, 1.7e308], None),
        ("avg", [1.0, INF], None),
        ("min", [NAN, 3.0, 2.0], 2.0),
        ("max", [3.0, NAN], 3.0),
        ("max", [NAN], None),
        ("sum", [3.0, NAN], None),
        ("count", [3.0, NAN], 2.0),
        ("stddev", [5.0], 0.0),
        ("stddev", [1e9 + 1, 1e9 + 3], 1.0),
        ("last", [3.0, NAN], None),
    ],
)
def test_odd_numbers(function: str, values: list[float], expected: float | None) -> None:
    samples = [(-10.0 * (len(values) - place), number) for place, number in enumerate(values)]
    assert value(f"{function}_over_time(g[5m])", {"g": samples}) == expected


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([(-299.999, 3.0)], 3.0),
        ([(-300.0, 3.0)], None),
        ([(0.0, 3.0)], 3.0),
        ([(-20.0, 3.0), (0.5, 4.0)], 3.0),
        ([(0.5, 4.0)], None),
        ([(-20.0, 3.0), (-10.0, STALE_NAN)], None),
        ([(-20.0, 3.0), (-10.0, STALE_NAN), (-5.0, 4.0)], 4.0),
        ([(-20.0, 3.0), (0.5, STALE_NAN)], 3.0),
        ([(-20.0, STALE_NAN), (0.5, 4.0)], None),
    ],
)
def test_an_instant_selector_takes_the_latest_of_five_minutes_unless_the_series_ended(
    samples: list[tuple[float, float]], expected: float | None
) -> None:
    assert value("g", {"g": samples}) == expected


def test_last_over_time_keeps_the_name_and_others_do_not() -> None:
    series = {'g{a="1"}': [(-5.0, 3.0)], 'h{a="1"}': [(-5.0, 3.0)]}
    assert ask('count by (__name__) (last_over_time({a="1"}[1m]))', series) == {"": None}  # two points, one id
    assert value('count(last_over_time({a="1"}[1m]))', series) == 2.0
    assert value('max_over_time({a="1"}[1m])', series) is None  # the same labels twice: Prometheus fails
