"""One expression at one moment: the same as a Meter publishes, and more than a frame can say."""

import math

import pytest

from streams.meter import Meter
from streams.native.histogram import NativeHistogram
from streams.promql.evaluate import Element, Series, evaluate, write_request_of
from streams.promql.parse import PromqlError, PromqlSyntaxError, parse_expression
from streams.promql.vector import EvaluationError
from streams.query import Query
from streams.wire.samples import STALE_NAN

STEP_MS = 60_000
SERIES: list[Series] = [
    ({"__name__": "hits_total", "job": "a"}, [(t * 15_000, float(t * t)) for t in range(60)]),
    ({"__name__": "hits_total", "job": "b"}, [(t * 15_000, float(t)) for t in range(0, 60, 3)]),
    ({"__name__": "load", "job": "a"}, [(0, 1.5), (30_000, math.nan), (60_000, math.inf), (90_000, STALE_NAN)]),
]


def at(expr: str, at_ms: int) -> dict[str, float | NativeHistogram]:
    return {
        dict(element.labels).get("job", ""): element.value
        for element in evaluate(parse_expression(expr), SERIES, at_ms)
    }


@pytest.mark.parametrize(
    "expr",
    [
        "rate(hits_total[5m])",
        "sum(increase(hits_total[2m]))",
        "hits_total / 3",
        "avg_over_time(hits_total[4m] offset 1m)",
    ],
)
def test_it_is_what_a_meter_publishes(expr: str) -> None:
    meter = Meter(STEP_MS, evaluation_delay_ms=0)
    meter.define("api", [Query("api/x", expr)], 0)
    meter.resume_after(0)
    for step in range(STEP_MS, 16 * STEP_MS, STEP_MS):
        arrived = [(labels, [p for p in pairs if step - STEP_MS < p[0] <= step]) for labels, pairs in SERIES]
        meter.observe("api", write_request_of([item for item in arrived if item[1]]), step)
        (frame,) = meter.advance(step)
        since = [(labels, [pair for pair in pairs if pair[0] > 0]) for labels, pairs in SERIES]
        elements = evaluate(parse_expression(expr), since, step)
        assert [value for value in frame.points.value if value is not None] == [e.value for e in elements]
        assert elements or step <= 2 * STEP_MS


def test_nan_and_infinities_are_themselves() -> None:
    value = at("load", 30_000)["a"]
    assert isinstance(value, float)
    assert math.isnan(value)
    assert at("load", 60_000) == {"a": math.inf}
    assert at("-load", 89_999) == {"a": -math.inf}
    assert at("load", 90_000) == {}
    assert at("0 / 0 > bool 1", 0) == {"": 0.0}


def test_samples_after_the_moment_do_not_matter() -> None:
    assert at('hits_total{job="a"}', 14_999) == {"a": 0.0}
    assert at('hits_total{job="a"}', 15_000) == {"a": 1.0}


def test_names_stay_where_promql_keeps_them() -> None:
    assert evaluate(parse_expression('load{job="a"} < 2'), SERIES, 0) == (
        Element((("__name__", "load"), ("job", "a")), 1.5),
    )


def test_what_cannot_be_said_raises() -> None:
    with pytest.raises(EvaluationError):
        at("load + on() hits_total", 0)
    with pytest.raises(PromqlError, match="looks back further than 20 days"):
        at("rate(hits_total[3w])", 0)


def test_what_is_no_promql_is_told_from_what_is_not_supported() -> None:
    with pytest.raises(PromqlSyntaxError):
        parse_expression("sum(")
    with pytest.raises(PromqlError) as caught:
        parse_expression("hits_total @ 5")
    assert not isinstance(caught.value, PromqlSyntaxError)
