"""Late samples count as in a Prometheus that takes them out of order: the same records to both, step by step.

Whatever a step has when it closes, its value is what Prometheus answers at that moment for that time; samples that
come after it change later steps only, and these again as in Prometheus.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from time import time

import pytest

from streams.frame import IndicatorFrame
from streams.meter import Meter
from streams.query import Query
from streams.wire.encode import encode_write_request
from tests.integration.late_traffic import LATEST_MS, write_late
from tests.integration.test_exact_values import DELAY_MS, STEP_MS, ask, compare, points_of, write
from tests.servers.prometheus import Prometheus

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

MINUTES = 12
CONFIG = f"storage: {{tsdb: {{out_of_order_time_window: {LATEST_MS // 1000}s}}}}\n"
EXPRESSIONS = (
    *(f"{name}(http_requests_total[1m])" for name in ("rate", "increase", "irate", "resets", "changes")),
    "increase(http_requests_total[5m])",
    *(f"{name}(node_memory_MemAvailable_bytes[2m])" for name in ("delta", "idelta", "deriv")),
    *(
        f"{name}_over_time(node_memory_MemAvailable_bytes[3m])"
        for name in ("avg", "min", "max", "sum", "count", "last", "stddev")
    ),
    "quantile_over_time(0.9, node_memory_MemAvailable_bytes[3m])",
    "up",
    "sum by (job) (up)",
    "count(http_requests_total)",
    "rate(policy_decisions_total[2m] offset 1m)",
    "histogram_quantile(0.9, sum by (le, service) (rate(http_request_duration_seconds_bucket[1m])))",
    "max_over_time(rate(cache_misses_total[1m])[3m:15s])",
)
QUERIES = [Query(f"late/{number}", expr) for number, expr in enumerate(EXPRESSIONS)]


def answers_at(prometheus: Prometheus, step_ms: int, query: Query) -> dict[str, float]:
    vector = points_of(query.id, ask(prometheus, "query", query=query.expr, time=str(step_ms / 1000)))
    return {point: float(value) for point, ((_, value),) in vector.items()}


def compare_frames(prometheus: Prometheus, frames: list[IndicatorFrame]) -> Iterator[tuple[str, float]]:
    """The relative difference of every value of steps that have just closed."""
    for frame in frames:
        found = {frame.at: dict(zip(frame.points.id, frame.points.value, strict=True))}
        for query in QUERIES:
            for difference in compare(found, {frame.at: answers_at(prometheus, frame.at, query)}, query):
                yield query.expr, difference


def test_steps_have_the_late_samples_that_came_before_they_closed_as_prometheus_has_them(
    start_prometheus: Callable[..., Prometheus], capsys: pytest.CaptureFixture[str]
) -> None:
    prometheus = start_prometheus(CONFIG, "--web.enable-remote-write-receiver")
    meter = Meter(STEP_MS, DELAY_MS, out_of_order_ms=LATEST_MS)
    meter.define("all", QUERIES, 0)
    late: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    differences: list[tuple[str, float]] = []
    steps = 0
    start_ms = int(time() * 1000) // STEP_MS * STEP_MS - (MINUTES + 2) * 60_000
    for log_ms, samples in write_late(Random(5), start_ms, MINUTES):
        frames = meter.advance(log_ms)
        differences += compare_frames(prometheus, frames)
        steps += len(frames)
        if samples:
            request = encode_write_request([(labels, [(at_ms, value)]) for labels, at_ms, value in samples])
            write(prometheus, request)
            observed = meter.observe("all", request, log_ms)
            late.update(observed.late)
            dropped.update(observed.dropped)
    assert not meter.failures
    worst, expr = max((difference, expr) for expr, difference in differences)
    assert worst <= 1e-9, expr
    assert {expr for expr, _ in differences} == set(EXPRESSIONS)
    assert steps >= (MINUTES - 1) * 60_000 // STEP_MS
    assert dropped.keys() == {"duplicate"}
    assert min(late["after_step"], late["out_of_order"], dropped["duplicate"]) > 100
    with capsys.disabled():
        sys.stdout.write(
            f"\nlate samples: {len(differences)} values of {len(EXPRESSIONS)} expressions at {steps} steps, "
            f"{late['out_of_order']} samples out of order, {late['after_step']} after a step of theirs, "
            f"{dropped['duplicate']} twice; largest relative difference {worst:.2g}\n"
        )
