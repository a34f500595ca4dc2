"""Indicator values of the demonstration's services, computed straight from their counters: a Meter in a few lines.

What Judge is fed with when a test is about judging, not about measuring: windows overlap, so neighbouring values
resemble each other as real ones do.
"""

from collections.abc import Iterator

import numpy as np

from agents.demo.traffic import BUCKETS_SECONDS, Cluster, Floats, RequestService
from streams.frame import IndicatorFrame, Points

START_MS = 1_790_000_010_000
Columns = dict[str, tuple[Floats, Floats | None]]


def _sums(service: RequestService | Cluster, readings: Floats, name: str, **labels: str) -> Floats:
    chosen = [
        column
        for column, series in enumerate(service.series)
        if series["__name__"] == name and all(series.get(key) == text for key, text in labels.items())
    ]
    return np.asarray(readings[:, chosen].sum(axis=1))


def _increase(totals: Floats, steps: int) -> Floats:
    return np.asarray(totals[steps:] - totals[:-steps])


def quantile(ratio: float, counts: Floats) -> Floats:
    """Prometheus' histogram_quantile of cumulative counts (n, buckets), the last bucket being +Inf; seconds."""
    bounds = np.array([0.0, *BUCKETS_SECONDS])
    rank = ratio * counts[:, -1]
    place = np.minimum((counts[:, :-1] < rank[:, None]).sum(axis=1), len(BUCKETS_SECONDS) - 1)
    rows = np.arange(counts.shape[0])
    below = np.where(place > 0, counts[rows, place - 1], 0.0)
    inside = np.maximum(counts[rows, place] - below, 1e-9)
    share = np.clip((rank - below) / inside, 0.0, 1.0)
    return np.asarray(bounds[place] + (bounds[place + 1] - bounds[place]) * share)


def _request_columns(service: RequestService, readings: Floats, steps: int, window_seconds: float) -> Columns:
    bounds = [*(f"{b:g}" for b in BUCKETS_SECONDS), "+Inf"]
    buckets = np.stack(
        [_increase(_sums(service, readings, "http_request_duration_seconds_bucket", le=le), steps) for le in bounds],
        axis=1,
    )
    requests = _increase(_sums(service, readings, "http_requests_total"), steps)
    errors = _increase(_sums(service, readings, "http_requests_total", code="500"), steps)
    columns: Columns = {
        f"response_time_p{percent}": (quantile(percent / 100, buckets) * 1000, requests) for percent in (50, 95, 99)
    }
    columns["throughput"] = (requests / window_seconds, requests)
    columns["error_rate"] = (errors / requests, requests)
    if "cache_hits_total" in service.extra:
        hits = _increase(_sums(service, readings, "cache_hits_total"), steps)
        misses = _increase(_sums(service, readings, "cache_misses_total"), steps)
        decisions = _increase(_sums(service, readings, "policy_decisions_total"), steps)
        columns["cache_hit_rate"] = (hits / (hits + misses), hits + misses)
        columns["throughput"] = (decisions / window_seconds, decisions)
    return columns


def _cluster_columns(service: Cluster, readings: Floats, steps: int, window_seconds: float) -> Columns:
    idle = _increase(_sums(service, readings, "node_cpu_seconds_total", mode="idle"), steps)
    available = _sums(service, readings, "node_memory_MemAvailable_bytes")[steps:]
    total = _sums(service, readings, "node_memory_MemTotal_bytes")[steps:]
    up = _sums(service, readings, "up")[steps:] / service.nodes
    return {
        "cluster_cpu": (1.0 - idle / window_seconds / service.nodes, None),
        "cluster_memory": (1.0 - available / total, None),
        "node_availability": (up, None),
    }


def frames_of(
    services: list[RequestService | Cluster],
    rng: np.random.Generator,
    *,
    step_ms: int,
    window_ms: int,
    duration_ms: int,
    start_ms: int = START_MS,
) -> Iterator[IndicatorFrame]:
    """Every service's frame at every step of a duration."""
    steps = window_ms // step_ms
    count = duration_ms // step_ms
    times_ms = start_ms + step_ms * np.arange(1 - steps, count + 1)
    columns: Columns = {}
    for service in services:
        readings = service.advance(times_ms / 1000.0, step_ms / 1000.0, rng)
        seconds = window_ms / 1000.0
        if isinstance(service, Cluster):
            found = _cluster_columns(service, readings, steps, seconds)
        else:
            found = _request_columns(service, readings, steps, seconds)
        columns.update({f"{service.name}/{name}": column for name, column in found.items()})
    ids = sorted(columns)
    values = np.stack([columns[key][0] for key in ids], axis=1).tolist()
    unknown = np.full(len(values), np.nan)
    events = [columns[key][1] for key in ids]
    weights = np.stack([unknown if column is None else column for column in events], axis=1).tolist()
    for at, row, weight in zip(times_ms[steps:].tolist(), values, weights, strict=True):
        known = [None if w != w else w for w in weight]  # noqa: PLR0124  NaN
        yield IndicatorFrame(at=at, step=step_ms, points=Points(id=ids, value=row, weight=known))
