"""What the default expressions measure: counters of known rates through a Meter, the odd cases included."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from budgets.spec.load import load_budgets
from budgets.spec.resolve import queries_of
from streams.meter import Meter
from streams.wire.encode import encode_write_request

STEP_MS = 15_000
START_MS = 1_790_000_000_000 // STEP_MS * STEP_MS
STEPS = 41
# A series: its labels beyond the metric's name, and its rate a second (counters) or value (gauges).
Series = tuple[str, Mapping[str, str], float]
API = {"service": "api", "instance": "api-0"}
GAUGES = ("node_memory", "up")


def measure(service: Mapping[str, Any], series: Sequence[Series], name: str = "api") -> dict[str, tuple[Any, Any]]:
    """Value and weight of every point after ten minutes of these series."""
    (budget,) = load_budgets(json.dumps({name: service}), "b.json", step_ms=STEP_MS)
    meter = Meter(STEP_MS, 0)
    meter.define(name, queries_of(budget), 0)
    frames = []
    for step in range(STEPS):
        at_ms = START_MS + step * STEP_MS
        samples = [
            (
                {"__name__": metric, **labels},
                [(at_ms, rate if metric.startswith(GAUGES) else 1000.0 + rate * step * STEP_MS / 1000)],
            )
            for metric, labels, rate in series
        ]
        meter.observe(name, encode_write_request(samples), at_ms)
        frames += meter.advance(at_ms)
    assert meter.failures == {}
    points = frames[-1].points
    return {
        key.removeprefix(f"{name}/"): (value, weight)
        for key, value, weight in zip(points.id, points.value, points.weight, strict=True)
    }


def requests(rate: float, **labels: str) -> Series:
    return "http_requests_total", {**API, **labels}, rate


ERRORS: list[tuple[str, list[Series], float | None]] = [
    ("status in code", [requests(90, code="200"), requests(10, code="503")], 0.1),
    ("status in status", [requests(90, status="200"), requests(10, status="503")], 0.1),
    (
        "both labels on one series",
        [requests(90, code="200", status="200"), requests(10, code="500", status="500")],
        0.1,
    ),
    (
        "two conventions in one service",
        [requests(80, code="200"), requests(10, code="500"), requests(10, status="500")],
        0.2,
    ),
    ("never an error", [requests(100, code="200")], 0.0),
    ("nothing but errors", [requests(100, status="500")], 1.0),
    ("client errors do not count", [requests(50, code="200"), requests(50, code="404")], 0.0),
    ("no label says the status", [requests(100)], 0.0),
    ("no requests flow", [requests(0, code="200"), requests(0, code="500")], None),
    ("no series at all", [("http_requests_total", {"service": "other", "code": "500"}, 1.0)], None),
]


@pytest.mark.parametrize(("series", "expected"), [pytest.param(s, e, id=name) for name, s, e in ERRORS])
def test_the_error_rate_is_the_share_of_5xx(series: list[Series], expected: float | None) -> None:
    value, weight = measure({"error_rate": {"max_percentage": 1}}, series)["error_rate"]
    assert value == (None if expected is None else pytest.approx(expected, rel=1e-9))
    if expected is not None:
        assert weight == pytest.approx(300 * sum(rate for _, _, rate in series), rel=1e-6)


def test_a_grouped_error_rate_is_one_for_each_route_also_without_errors() -> None:
    series = [
        requests(90, code="200", route="/a"),
        requests(10, code="500", route="/a"),
        requests(50, code="200", route="/b"),
    ]
    points = measure({"error_rate": {"max_percentage": 1, "group_by": ["route"]}}, series)
    assert {key: value for key, (value, _) in points.items()} == {
        'error_rate{route="/a"}': pytest.approx(0.1),
        'error_rate{route="/b"}': 0.0,
    }
    assert [weight for _, weight in points.values()] == [pytest.approx(30_000), pytest.approx(15_000)]


@pytest.mark.parametrize(
    ("hits", "misses", "expected"), [(92, 8, 0.92), (92, None, 1.0), (None, 8, 0.0), (0, 0, None), (None, None, None)]
)
def test_the_cache_hit_rate_counts_a_counter_that_does_not_exist_as_0(
    hits: float | None, misses: float | None, expected: float | None
) -> None:
    rates = (("cache_hits_total", hits), ("cache_misses_total", misses))
    series = [(metric, API, float(rate)) for metric, rate in rates if rate is not None] or [("other", API, 1.0)]
    value, weight = measure({"cache_hit_rate": {"min_percentage": 80}}, series)["cache_hit_rate"]
    assert value == (None if expected is None else pytest.approx(expected, rel=1e-9))
    if expected is not None:
        assert weight == pytest.approx(300 * sum(rate for _, _, rate in series), rel=1e-6)


def test_throughput_is_requests_or_decisions_a_second_over_all_instances() -> None:
    series = [
        requests(40, code="200"),
        requests(2, code="500"),
        ("http_requests_total", {**API, "instance": "api-1", "code": "200"}, 8.0),
        ("policy_decisions_total", API, 7.0),
    ]
    assert measure({"throughput": {"min_rps": 1}}, series)["throughput"] == (pytest.approx(50), pytest.approx(15_000))
    decisions = measure({"throughput": {"min_decisions_per_sec": 1}}, series)["throughput"]
    assert decisions == (pytest.approx(7), pytest.approx(2_100))


def test_the_response_time_is_in_milliseconds_and_weighed_by_requests() -> None:
    buckets = {"0.1": 50.0, "0.2": 90.0, "0.4": 100.0, "+Inf": 100.0}
    series = [("http_request_duration_seconds_bucket", {**API, "le": le}, rate) for le, rate in buckets.items()]
    points = measure({"response_time": {"p50": {"budget_ms": 1}, "p95": {"budget_ms": 1}}}, series)
    assert points["response_time_p50"] == (pytest.approx(100.0), pytest.approx(30_000))
    assert points["response_time_p95"] == (pytest.approx(300.0), pytest.approx(30_000))


def test_the_cluster_is_measured_over_all_of_its_nodes_without_a_service_label() -> None:
    series: list[Series] = []
    for node, idle, available, is_up in (("a", 0.3, 10.0, 1.0), ("b", 0.5, 30.0, 0.0)):
        series += [
            ("node_cpu_seconds_total", {"instance": node, "cpu": "0", "mode": "idle"}, idle),
            ("node_cpu_seconds_total", {"instance": node, "cpu": "0", "mode": "user"}, 1 - idle),
            ("node_memory_MemAvailable_bytes", {"instance": node}, available),
            ("node_memory_MemTotal_bytes", {"instance": node}, 100.0),
            ("up", {"instance": node, "job": "node-exporter"}, is_up),
            ("up", {"instance": node, "job": "kubelet"}, 1.0),
        ]
    service = {
        "cluster_cpu": {"max_percentage": 80},
        "cluster_memory": {"max_percentage": 80},
        "node_availability": {"min_percentage": 99},
    }
    points = measure(service, series, "infrastructure")
    assert points["cluster_cpu"] == (pytest.approx(0.6), None)
    assert points["cluster_memory"] == (pytest.approx(0.8), None)
    assert points["node_availability"] == (0.5, None)


def test_a_service_that_is_told_by_its_job_is_measured_by_a_selector() -> None:
    series = [("http_requests_total", {"job": "api", "code": "200"}, 5.0)]
    service = {"selector": 'job="$service"', "throughput": {"min_rps": 1}}
    assert measure(service, series)["throughput"] == (pytest.approx(5), pytest.approx(1_500))
