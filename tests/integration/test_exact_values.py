"""The Meter's values are Prometheus' own: the same hour of samples written to both, every step compared.

Half-way the Meter is thrown away and rebuilt from the log, as after the death of a worker.
"""

import json
import math
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from time import time

import pytest

from agents.worker.recovery import rewind_to
from budgets.spec.load import load_budgets
from budgets.spec.resolve import queries_of
from streams.frame import IndicatorFrame, point_id
from streams.meter import Meter
from streams.query import Query
from streams.wire.encode import encode_write_request
from streams.wire.request import compress
from tests.integration.exact_traffic import write_hour
from tests.servers.prometheus import Prometheus

pytestmark = pytest.mark.integration

STEP_MS, DELAY_MS = 15_000, 10_000
BUDGETS = Path(__file__).resolve().parents[2] / "examples" / "budgets"
# Beside the default indicators: every function and operator of the subset on the same samples.
OTHERS = (
    *(f"{name}(http_requests_total[{window}])" for name in ("rate", "increase", "irate") for window in ("1m", "5m")),
    *(f"{name}(node_memory_MemAvailable_bytes[{window}])" for name in ("delta", "idelta") for window in ("2m", "17s")),
    *(
        f"{name}_over_time(node_memory_MemAvailable_bytes[5m])"
        for name in ("avg", "min", "max", "sum", "count", "last", "present", "stddev")
    ),
    "rate(policy_decisions_total[2m] offset 3m)",
    "up offset 1m",
    *(f"{name} by (job) (up)" for name in ("sum", "avg", "min", "max", "count")),
    "sum without (instance, route) (rate(http_request_duration_seconds_bucket[1m]))",
    "histogram_quantile(0.9, rate(http_request_duration_seconds_bucket[1m]))",
    "histogram_quantile(0.5, sum by (le, service) (increase(http_request_duration_seconds_bucket[5m])))",
    "http_requests_total / ignoring (code, status) group_left sum without (code, status) (http_requests_total)",
    "up * on (instance) group_right (job) node_memory_MemTotal_bytes",
    "cache_hits_total / on (instance) cache_misses_total",
    "cache_hits_total > on (instance) cache_misses_total",
    "cache_hits_total >= bool ignoring (job) cache_misses_total",
    "node_memory_MemAvailable_bytes > 10e9",
    "5 < bool up",
    "up and on (instance) (node_memory_MemTotal_bytes > 0)",
    "up unless on (instance) node_cpu_seconds_total",
    "up{job='node'} or up{job='auth'}",
    "-rate(cache_hits_total[5m]) % 3 ^ 2",
    "clamp_max(clamp_min(abs(-cache_hits_total), 100), 5000)",
    "scalar(sum(up)) + vector(1)",
    "sum(rate(missing_total[5m])) / sum(rate(http_requests_total[5m]))",
    "rate(cache_hits_total[5m]) / 0",
    "{__name__=~'up|cache_misses_total'}",
)


def post(url: str, data: bytes, headers: Mapping[str, str]) -> bytes:
    request = urllib.request.Request(url, data, dict(headers))
    with urllib.request.urlopen(request, timeout=30) as answer:
        return bytes(answer.read())


def write(prometheus: Prometheus, write_request: bytes) -> None:
    headers = {
        "Content-Type": "application/x-protobuf",
        "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
    post(prometheus.url + "/api/v1/write", compress(write_request), headers)


def ask(prometheus: Prometheus, kind: str, **arguments: str) -> list[dict[str, object]] | tuple[float, str]:
    form = urllib.parse.urlencode(arguments).encode()
    answer = json.loads(post(f"{prometheus.url}/api/v1/{kind}", form, {}))
    result: list[dict[str, object]] | tuple[float, str] = answer["data"]["result"]
    return result


def points_of(query_id: str, elements: object) -> dict[str, list[tuple[float, str]]]:
    """Point id -> (time, value) pairs of a vector or a matrix."""
    points: dict[str, list[tuple[float, str]]] = {}
    assert isinstance(elements, list)
    for element in elements:
        if not isinstance(element, dict):
            return {query_id: [(elements[0], elements[1])]}  # a scalar
        labels = {name: value for name, value in element["metric"].items() if name != "__name__"}
        points.setdefault(point_id(query_id, labels), []).extend(element.get("values") or [element["value"]])
    return points


def answers_of(prometheus: Prometheus, query: Query, steps: list[int]) -> dict[int, dict[str, float]]:
    """Step -> point id -> value, of `query_range` and, at some steps, of `query`."""
    start, end = str(steps[0] / 1000), str(steps[-1] / 1000)
    matrix = ask(prometheus, "query_range", query=query.expr, start=start, end=end, step=str(STEP_MS / 1000))
    answers: dict[int, dict[str, float]] = {step: {} for step in steps}
    for point, values in points_of(query.id, matrix).items():
        for seconds, value in values:
            answers[round(seconds * 1000)][point] = float(value)
    for step in Random(query.id).sample(steps, 20):
        vector = points_of(query.id, ask(prometheus, "query", query=query.expr, time=str(step / 1000)))
        at_once = {point: float(value) for point, ((_, value),) in vector.items()}
        assert at_once.keys() == answers[step].keys(), f"Prometheus differs from itself: {query.expr}"
    return answers


def compare(
    frames: dict[int, dict[str, float | None]], answers: dict[int, dict[str, float]], query: Query
) -> list[float]:
    """The relative differences of all values; absences must agree."""
    differences = []
    for step, expected in answers.items():
        found = {
            point: value
            for point, value in frames[step].items()
            if point == query.id or point.startswith(query.id + "{")
        }
        if not expected:
            assert found == {query.id: None}, f"{query.expr} at {step}: nothing expected"
            continue
        assert found.keys() == expected.keys(), f"{query.expr} at {step}"
        for point, value in expected.items():
            measured = found[point]
            if measured is None or not math.isfinite(value):
                assert measured is None, f"{query.expr} at {step}, {point}: {measured} for {value}"
                assert not math.isfinite(value), f"{query.expr} at {step}, {point}: nothing for {value}"
            else:
                scale = max(abs(value), abs(measured))
                differences.append(abs(value - measured) / scale if scale else 0.0)
    return differences


def create_meter(queries: list[Query]) -> Meter:
    meter = Meter(STEP_MS, DELAY_MS)
    meter.define("all", queries, 0)
    return meter


def rebuilt(queries: list[Query], records: list[tuple[int, bytes]], last_step_ms: int) -> Meter:
    """A Meter as a worker rebuilds it that died after this step: from the log, no further back than it has to."""
    meter = create_meter(queries)
    meter.resume_after(last_step_ms)
    begin_ms = rewind_to(last_step_ms, meter.longest_window_ms)
    for log_time_ms, write_request in records:
        if log_time_ms >= begin_ms:
            assert not meter.advance(log_time_ms), "a step comes twice"
            meter.observe("all", write_request, log_time_ms)
    return meter


def measure(queries: list[Query], records: list[tuple[int, bytes]]) -> list[IndicatorFrame]:
    """The frames of all records, of a worker that dies half-way and comes back."""
    meter = create_meter(queries)
    frames: list[IndicatorFrame] = []
    for place, (log_time_ms, write_request) in enumerate(records):
        if place == len(records) // 2:
            meter = rebuilt(queries, records[:place], frames[-1].at)
        frames += meter.advance(log_time_ms)
        meter.observe("all", write_request, log_time_ms)
    assert not meter.failures
    return frames + meter.advance(records[-1][0] + DELAY_MS)


def test_every_default_indicator_equals_prometheus_over_an_hour(
    start_prometheus: Callable[..., Prometheus], capsys: pytest.CaptureFixture[str]
) -> None:
    budgets = [
        budget
        for path in sorted(BUDGETS.glob("*.json"))
        for budget in load_budgets(path.read_text(encoding="utf-8"), path.name, step_ms=STEP_MS)
    ]
    defaults = [query for budget in budgets for query in queries_of(budget)]
    weights = [Query(f"{q.id}/weight", q.weight_expr) for q in defaults if q.weight_expr is not None]
    others = [Query(f"others/{number}", expr) for number, expr in enumerate(OTHERS)]
    assert len(defaults) >= 11

    prometheus = start_prometheus("", "--web.enable-remote-write-receiver")
    end_ms = int(time() * 1000) // STEP_MS * STEP_MS
    records = []
    for log_time_ms, samples in write_hour(Random(3), end_ms - 3_600_000):
        write_request = encode_write_request([(labels, [(time_ms, value)]) for labels, time_ms, value in samples])
        write(prometheus, write_request)
        records.append((log_time_ms, write_request))

    frames = measure([*defaults, *weights, *others], records)
    by_step = {frame.at: dict(zip(frame.points.id, frame.points.value, strict=True)) for frame in frames}
    steps = sorted(by_step)
    assert len(steps) >= 239
    worst, compared = 0.0, 0
    for query in [*defaults, *weights, *others]:
        differences = compare(by_step, answers_of(prometheus, query, steps), query)
        assert max(differences, default=0.0) <= 1e-9, query.expr
        worst, compared = max(worst, *differences, 0.0), compared + len(differences)
        if query in defaults:
            assert len(differences) > 100, f"{query.expr} had hardly any values"
    with capsys.disabled():
        sys.stdout.write(
            f"\nexact values: {compared} values of {len(defaults)} default indicators, {len(weights)} weights and "
            f"{len(others)} other expressions at {len(steps)} steps; largest relative difference {worst:.2g}\n"
        )
