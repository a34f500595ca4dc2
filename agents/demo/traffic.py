"""Simulated services with the conventional metrics that the example budgets watch. Pure and seeded.

Every service is a set of series; most are counters whose increments are Poisson with a daily rhythm. Latencies
are lognormal, so that quantiles and histogram buckets follow from two parameters.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Labels = Mapping[str, str]
Floats = NDArray[np.float64]

BUCKETS_SECONDS = (
    0.005,
    0.01,
    0.02,
    0.03,
    0.04,
    0.05,
    0.075,
    0.1,
    0.125,
    0.15,
    0.175,
    0.2,
    0.25,
    0.3,
    0.4,
    0.5,
    0.75,
    1.0,
    2.5,
)
DAY_SECONDS = 86_400.0

# How much slower than usual a service is at each moment: times in seconds (n,) -> factors (n,).
Slowdown = Callable[[Floats], Floats]


def rhythm(seconds: Floats, amplitude: float) -> Floats:
    """A daily rhythm around 1.0, highest at 15:00 UTC; seconds: Unix time (n,)."""
    return 1.0 + amplitude * np.cos(2 * np.pi * (seconds / DAY_SECONDS - 15 / 24))


def _lognormal_cdf(bounds: Floats, median: Floats, sigma: float) -> Floats:
    """P(X <= bound) for each moment and bound: (n, buckets)."""
    z = (np.log(bounds)[None, :] - np.log(median)[:, None]) / (sigma * math.sqrt(2.0))
    erf = np.frompyfunc(math.erf, 1, 1)
    return np.asarray(0.5 * (1.0 + np.asarray(erf(z), dtype=np.float64)))


@dataclass(slots=True)
class Service:
    """One simulated service; `advance` gives its counters' next readings and remembers them.

    series: label sets in the order of the columns that `advance` returns.
    """

    name: str
    series: list[Labels] = field(default_factory=list)
    _totals: Floats = field(default_factory=lambda: np.zeros(0))

    def _accumulate(self, increments: Floats) -> Floats:
        if self._totals.size == 0:
            # Counters of long-running processes; also keeps every value above zero.
            self._totals = np.full(increments.shape[1], 1000.0)
        readings = self._totals + np.cumsum(increments, axis=0)
        self._totals = readings[-1].copy()
        return readings


@dataclass(slots=True)
class RequestService(Service):
    """Serves requests: a latency histogram, requests by status code, and counters of its own.

    rate: requests per second over all pods. median_seconds, sigma: of the lognormal latency.
    error_ratio: 5xx of all. extra: further counters, events per request (name -> ratio).
    """

    rate: float = 100.0
    median_seconds: float = 0.05
    sigma: float = 0.5
    error_ratio: float = 0.001
    pods: int = 2
    extra: Mapping[str, float] = field(default_factory=dict)
    slowdown: Slowdown = np.ones_like

    def __post_init__(self) -> None:
        for pod in range(self.pods):
            base = {"service": self.name, "instance": f"{self.name}-{pod}:8080", "job": self.name}
            for bound in (*(f"{b:g}" for b in BUCKETS_SECONDS), "+Inf"):
                self.series.append({"__name__": "http_request_duration_seconds_bucket", "le": bound, **base})
            self.series.append({"__name__": "http_request_duration_seconds_count", **base})
            self.series.append({"__name__": "http_request_duration_seconds_sum", **base})
            for code in ("200", "500"):
                self.series.append({"__name__": "http_requests_total", "code": code, **base})
            self.series.extend({"__name__": name, **base} for name in self.extra)

    def advance(self, seconds: Floats, interval_seconds: float, rng: np.random.Generator) -> Floats:
        """Readings at `seconds` (n,), evenly `interval_seconds` apart: (n, series)."""
        expected = self.rate / self.pods * interval_seconds * rhythm(seconds, 0.1)
        median = self.median_seconds * self.slowdown(seconds)
        bounds = np.array(BUCKETS_SECONDS)
        below = _lognormal_cdf(bounds, median, self.sigma)
        shares = np.diff(below, axis=1, prepend=0.0, append=1.0)
        columns: list[Floats] = []
        for _ in range(self.pods):
            in_bucket = rng.poisson(expected[:, None] * shares).astype(np.float64)
            buckets = np.cumsum(in_bucket, axis=1)
            requests = buckets[:, -1]
            mean = median * math.exp(self.sigma**2 / 2)
            errors = rng.binomial(requests.astype(np.int64), self.error_ratio).astype(np.float64)
            columns += [*buckets.T, requests, requests * mean, requests - errors, errors]
            columns += [
                rng.binomial(requests.astype(np.int64), ratio).astype(np.float64) for ratio in self.extra.values()
            ]
        return self._accumulate(np.stack(columns, axis=1))


@dataclass(slots=True)
class Cluster(Service):
    """A few nodes: CPU seconds by mode, memory, and whether they are up."""

    nodes: int = 3
    busy_ratio: float = 0.42
    memory_ratio: float = 0.55

    def __post_init__(self) -> None:
        for node in range(self.nodes):
            base = {"instance": f"node-{node}:9100", "job": "node"}
            self.series.append({"__name__": "node_cpu_seconds_total", "cpu": "0", "mode": "idle", **base})
            self.series.append({"__name__": "node_cpu_seconds_total", "cpu": "0", "mode": "user", **base})
            self.series.append({"__name__": "node_memory_MemAvailable_bytes", **base})
            self.series.append({"__name__": "node_memory_MemTotal_bytes", **base})
            self.series.append({"__name__": "up", **base})

    def advance(self, seconds: Floats, interval_seconds: float, rng: np.random.Generator) -> Floats:
        """Readings at `seconds` (n,), evenly `interval_seconds` apart: (n, series)."""
        count = seconds.size
        total_bytes = 64.0 * 2**30
        increments: list[Floats] = []
        for _ in range(self.nodes):
            busy = np.clip(self.busy_ratio * rhythm(seconds, 0.08) + rng.normal(0.0, 0.01, count), 0.0, 1.0)
            increments += [(1.0 - busy) * interval_seconds, busy * interval_seconds]
        counters = self._accumulate(np.stack(increments, axis=1))
        columns: list[Floats] = []
        for node in range(self.nodes):
            used = np.clip(self.memory_ratio + rng.normal(0.0, 0.004, count), 0.0, 1.0)
            columns += [counters[:, 2 * node], counters[:, 2 * node + 1], total_bytes * (1.0 - used)]
            columns += [np.full(count, total_bytes), np.ones(count)]
        return np.stack(columns, axis=1)


def create_services(slowdown: Slowdown = np.ones_like) -> list[RequestService | Cluster]:
    """The three services of the example budgets, comfortably within them.

    Args:
        slowdown: how much slower auth-service is than usual, for every moment.
    """
    return [
        RequestService(
            "auth-service",
            rate=1500.0,
            median_seconds=0.055,
            sigma=0.5,
            error_ratio=0.001,
            slowdown=slowdown,
        ),
        RequestService(
            "policy-service",
            rate=6500.0,
            median_seconds=0.012,
            sigma=0.45,
            error_ratio=0.0005,
            extra={"policy_decisions_total": 1.0, "cache_hits_total": 0.92, "cache_misses_total": 0.08},
        ),
        Cluster("infrastructure"),
    ]
