"""The Meter against the obvious way to compute the same, over generated stories of samples."""

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.frame import point_id
from streams.meter import Meter
from streams.promql.parse import parse_expression
from streams.query import Query
from streams.wire.encode import encode_write_request
from tests.property.reference_promql import FailedQueryError, Reference, without
from tests.property.sample_stories import as_series, tell

STEP_MS, DELAY_MS = 15_000, 10_000
EXPRESSIONS = (
    "rate(requests[5m])",
    "increase(requests[1m])",
    "rate(requests[10s])",
    "irate(requests[5m])",
    "delta(queue[2m])",
    "idelta(queue[5m])",
    'sum(rate(requests{code=~"5.."}[5m])) / sum(rate(requests[5m]))',
    "sum by (code) (rate(requests[1m]))",
    "avg without (pod) (requests)",
    "min by (zone) (queue)",
    "max(queue)",
    "count by (zone, code) (requests)",
    "histogram_quantile(0.95, sum by (le) (rate(latency_bucket[5m]))) * 1000",
    "histogram_quantile(0.5, rate(latency_bucket[1m]))",
    "histogram_quantile(0, sum by (le, zone) (latency_bucket))",
    "1 - avg(up)",
    "queue",
    "requests offset 1m",
    "rate(requests[2m] offset 90s)",
    *(f"{name}_over_time(queue[3m])" for name in ("avg", "min", "max", "sum", "count", "last", "present", "stddev")),
    "queue > 0",
    "queue > bool 10",
    "0 < queue",
    "-queue ^ 2 % 7",
    "requests / ignoring (code) group_left sum without (code) (requests)",
    "sum by (pod) (requests) * on (pod) group_right (zone) requests",
    "up * on (pod, zone) queue",
    "up == on (pod) (queue > 0)",
    'requests{code="200"} > ignoring (code) requests{code="404"}',
    "queue and on (pod) (up == 1)",
    "queue unless requests",
    "sum(requests) or vector(0)",
    "up or queue",
    "sum by (zone) (up or queue)",
    "abs(clamp_max(clamp_min(queue, -50), 50))",
    "scalar(sum(queue)) / 0",
    'scalar(up{pod="pod-1"}) + vector(2)',
    '{__name__=~"up|queue"}',
    '{__name__=~"up|queue", pod="pod-1"} * 2',
    "requests + queue",
    "requests * on (zone) up",
    'sum by (__name__) ({__name__=~".+"})',
    "changes(queue[3m])",
    "resets(requests[3m])",
    "deriv(requests[5m])",
    "sum(group by (pod) (queue))",
    "stddev by (zone) (requests)",
    "quantile by (zone) (0.5, queue)",
    "topk by (zone) (1, queue)",
    'count_values by (pod) ("up", up)',
    "max_over_time(sum by (zone) (rate(requests[1m]))[3m:20s])",
    "count_over_time((queue > 0)[2m:7s] offset 1m)",
    "sum_over_time((sum_over_time(up[30s:10s]) or requests)[1m:30s])",
    "missing",
    "sum(missing) / 2",
)


def expected_points(reference: Reference, query: Query, step_ms: int) -> dict[str, float]:
    nothing = {query.id: math.nan}
    try:
        result = reference.evaluate(parse_expression(query.expr), step_ms)
    except FailedQueryError:
        return nothing
    if not isinstance(result, dict):
        result = {(): result}
    points = {point_id(query.id, dict(without(labels, "__name__"))): value for labels, value in result.items()}
    return points if points and len(points) == len(result) else nothing


def is_same(found: float | None, expected: float) -> bool:
    if found is None:
        return not math.isfinite(expected)
    return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-300)


def check_story(seed: int, minutes: int, targets: int, expressions: tuple[str, ...]) -> int:
    """Plays a story to the Meter and to the reference; how many points were compared."""
    queries = [Query(f"svc/{number}", expr) for number, expr in enumerate(expressions)]
    meter, reference = Meter(STEP_MS, DELAY_MS), Reference()
    meter.define("svc", queries, 0)
    compared = 0
    for write in tell(Random(seed), minutes, targets):
        for frame in meter.advance(write.log_time_ms):
            found = dict(zip(frame.points.id, frame.points.value, strict=True))
            expected: dict[str, float] = {}
            for query in queries:
                expected |= expected_points(reference, query, frame.at)
            assert set(found) == set(expected), f"at {frame.at}"
            wrong = {
                point: (found[point], expected[point]) for point in found if not is_same(found[point], expected[point])
            }
            assert not wrong, f"at {frame.at}: {wrong}"
            compared += len(found)
        observed = meter.observe("svc", encode_write_request(as_series(write.samples)), write.log_time_ms)
        answers = [reference.add(labels, time_ms, value) for labels, time_ms, value in write.samples]
        assert observed.samples == answers.count(None)
        assert sum(observed.dropped.values()) == len(answers) - answers.count(None)
    return compared


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_expression_has_the_value_that_samples_one_by_one_come_to(seed: int) -> None:
    assert check_story(seed, minutes=12, targets=3, expressions=EXPRESSIONS) > 1000


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_each_expression_has_values_in_some_story(expression: str) -> None:
    assert check_story(1, minutes=4, targets=3, expressions=(expression,)) > 0
