"""Trends, quantiles, changes and shares over time by hand; and subqueries."""

import pytest

from streams.meter import Meter
from streams.promql.expression import Subquery, evaluations_in, reach_of
from streams.promql.parse import parse_expression
from streams.query import Query
from streams.wire.encode import encode_write_request
from streams.wire.samples import STALE_NAN
from tests.unit.promql_cases import AT, INF, NAN, STEP_MS, ask, value

LINE = {"g": [(-50.0, 1.0), (-40.0, 2.0), (-30.0, STALE_NAN), (-20.0, 4.0), (-10.0, 5.0)]}


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("deriv(g[1m])", 0.1),
        ("predict_linear(g[1m], 100)", 16.0),
        ("predict_linear(g[1m] offset 15s, 0)", 6.0),
        ("deriv(g[15s])", None),
        ("changes(g[1m])", 3.0),
        ("resets(g[1m])", 0.0),
        ("quantile_over_time(0.5, g[1m])", 3.0),
        ("quantile_over_time(0.25, g[1m])", 1.75),
        ("mad_over_time(g[1m])", 1.5),
        ("stdvar_over_time(g[1m])", 2.5),
        ("double_exponential_smoothing(g[1m], 0.5, 0.5)", 4.875),
        ("double_exponential_smoothing(g[1m], 1, 0.5)", None),
        ("double_exponential_smoothing(g[15s], 0.5, 0.5)", None),
    ],
)
def test_a_function_of_a_range(expr: str, expected: float | None) -> None:
    assert value(expr, LINE) == (None if expected is None else pytest.approx(expected, rel=1e-14))


@pytest.mark.parametrize(
    ("function", "values", "expected"),
    [
        ("deriv", [7.0, 7.0, 7.0], 0.0),
        ("deriv", [INF, INF], None),
        ("changes", [NAN, NAN, 1.0, NAN], 2.0),
        ("changes", [1.0], 0.0),
        ("resets", [3.0, 1.0, 2.0, 0.0], 2.0),
        ("resets", [NAN, 1.0, NAN, 0.0], 0.0),
        ("mad_over_time", [1.0], 0.0),
    ],
)
def test_odd_numbers(function: str, values: list[float], expected: float | None) -> None:
    samples = [(-10.0 * (len(values) - place), number) for place, number in enumerate(values)]
    assert value(f"{function}(g[5m])", {"g": samples}) == expected


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("histogram_fraction(0, 1, b)", 0.4),
        ("histogram_fraction(0.5, 1.5, b)", 0.4),
        ("histogram_fraction(-Inf, Inf, b)", 1.0),
        ("histogram_fraction(2, 1, b)", 0.0),
        ("histogram_fraction(3, 9, b)", 0.0),
        ("histogram_fraction(NaN, 9, b)", None),
    ],
)
def test_shares_of_a_histogram(expr: str, expected: float | None) -> None:
    buckets = {f'b{{le="{bound}"}}': [(-1.0, count)] for bound, count in (("1", 4.0), ("2", 8.0), ("+Inf", 10.0))}
    assert value(expr, buckets) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("count_over_time(g[5m:1m])", 3.0),  # at 0, -1 and -2 minutes; the samples are 150 s old at most
        ("sum_over_time(g[5m:1m])", 6.0),
        ("sum_over_time(g[5m:1m] offset 1m)", 3.0),
        ("sum_over_time(g[1m:1m])", 3.0),
        ("max_over_time(sum_over_time(g[2m:1m])[3m:1m])", 5.0),
        ("count_over_time(g[1m:7s])", 9.0),
        ("last_over_time((g > 2)[5m:1m])", 3.0),
        ("max_over_time(vector(time())[1m:1m])", AT / 1000),
    ],
)
def test_a_subquery_reads_a_vector_as_samples(expr: str, expected: float) -> None:
    series = {"g": [(-150.0, 1.0), (-100.0, 2.0), (-30.0, 3.0)]}
    assert value(expr, series) == pytest.approx(expected)


def test_moments_of_a_subquery_are_multiples_of_its_step() -> None:
    subquery = Subquery(parse_expression("a"), 10_000, 3_000, 1_000)
    assert list(subquery.times_before(21_000)) == [12_000, 15_000, 18_000]
    assert list(subquery.times_before(19_000)) == [9_000, 12_000, 15_000, 18_000]


def test_a_subquery_needs_the_samples_of_all_its_moments() -> None:
    node = parse_expression("max_over_time(rate(a[5m] offset 1m)[1h:1m] offset 2m) + b")
    assert reach_of(node) == (5 + 1 + 60 + 2) * 60_000
    assert evaluations_in(node) == 60
    meter = Meter(STEP_MS, 0)
    meter.define("svc", [Query("q", "max_over_time(rate(a[5m])[1h:1m])")], 0)
    assert meter.longest_window_ms == 65 * 60_000


def test_a_subquery_follows_steps_and_series_that_come_and_go() -> None:
    meter = Meter(STEP_MS, 0)
    meter.define("svc", [Query("q", "count_over_time(up[3m:1m])"), Query("r", "sum(up)")], 0)
    meter.resume_after(AT - STEP_MS)
    found = []
    for minute in range(12):
        time_ms = AT + minute * STEP_MS - 1
        pods = ["a"] * (minute != 5) + ["b"] * (minute > 3)
        samples = [({"__name__": "up", "pod": pod}, [(time_ms, 1.0)]) for pod in pods]
        if minute == 5:
            samples.append(({"__name__": "up", "pod": "a"}, [(time_ms, STALE_NAN)]))
        meter.observe("svc", encode_write_request(samples), time_ms)
        (frame,) = meter.advance(AT + minute * STEP_MS)
        points = dict(zip(frame.points.id, frame.points.value, strict=True))
        found.append((points.get('q{pod="a"}'), points.get('q{pod="b"}')))
    assert found[:8] == [(1, None), (2, None), (3, None), (3, None), (3, 1), (2, 2), (2, 3), (2, 3)]
    assert found[8:] == [(3, 3)] * 4


def test_what_fails_at_one_moment_of_a_subquery_fails() -> None:
    series = {'g{a="1"}': [(-100.0, 1.0)], 'h{a="1"}': [(-100.0, 1.0)]}
    assert ask('sum(count_over_time(({__name__=~"g|h"} * 2)[5m:1m]))', series) == {"": None}
