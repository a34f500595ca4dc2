"""An hour of three services and their nodes as a Prometheus would have written it, with all that goes wrong.

Pods come and go (with stale markers or without a word), counters restart, scrapes fail, hosts have different
intervals, a metric disappears for a while, and for some minutes nothing comes at all.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from streams.wire.samples import STALE_NAN

BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")
SILENCE = (31.0, 37.5)  # minutes in which nothing is written
WITHOUT_CACHE_HITS = (12.0, 21.0)

Labels = dict[str, str]
Sample = tuple[Labels, int, float]


@dataclass(slots=True)
class Target:
    """One scraped process."""

    job: str
    instance: str
    interval_ms: int
    next_ms: int
    ends_ms: float = math.inf
    up: float = 1.0
    counters: dict[tuple[tuple[str, str], ...], float] = field(default_factory=dict)
    scraped: list[Labels] = field(default_factory=list)

    def count(self, labels: Labels, by: float) -> tuple[Labels, float]:
        key = tuple(sorted(labels.items()))
        self.counters[key] = self.counters.get(key, 0.0) + by
        return labels, self.counters[key]


def write_hour(random: Random, start_ms: int) -> Iterator[tuple[int, list[Sample]]]:
    """(log time, samples) of each record, oldest first; no sample is later than 6 s in the log."""
    targets = [_born(random, job, start_ms) for job in ("auth", "auth", "auth", "policy", "policy", "node", "node")]
    for now_ms in range(start_ms, start_ms + 3_600_000, 5000):
        minute = (now_ms - start_ms) / 60_000
        samples: list[Sample] = []
        for target in list(targets):
            while target.next_ms <= now_ms:
                if not SILENCE[0] <= minute < SILENCE[1]:
                    samples.extend(_scrape(random, target, minute))
                target.next_ms += target.interval_ms
            if target.ends_ms <= now_ms:
                targets.remove(target)
                targets.append(_born(random, target.job, now_ms))
                if random.random() < 0.7:
                    samples.extend((labels, target.next_ms - 1, STALE_NAN) for labels in target.scraped)
        if random.random() < 0.01:
            random.choice(targets).counters.clear()
        if samples:
            yield now_ms + random.randrange(1000), samples


def _born(random: Random, job: str, now_ms: int) -> Target:
    interval_ms = random.choice((5000, 15_000, 15_000, 15_000, 60_000))
    ends_ms = now_ms + random.choice((math.inf, random.randrange(240_000, 1_500_000)))
    return Target(job, f"{job}-{random.randrange(10**9)}", interval_ms, now_ms + random.randrange(interval_ms), ends_ms)


def _scrape(random: Random, target: Target, minute: float) -> Iterator[Sample]:
    time_ms = target.next_ms
    if random.random() < 0.01:
        return  # a gap: not even `up`
    fails = random.random() < 0.03
    yield {"__name__": "up", "job": target.job, "instance": target.instance}, time_ms, 0.0 if fails else 1.0
    if fails:
        yield from ((labels, time_ms, STALE_NAN) for labels in target.scraped)
        target.scraped = []
        return
    exposed = list({"auth": _auth, "policy": _policy, "node": _node}[target.job](random, target, minute))
    names = [{"job": target.job, "instance": target.instance, **labels} for labels, _ in exposed]
    yield from ((labels, time_ms, value) for labels, (_, value) in zip(names, exposed, strict=True))
    yield from ((labels, time_ms, STALE_NAN) for labels in target.scraped if labels not in names)
    target.scraped = names


def _latencies(random: Random, target: Target, service: str, mean: float) -> Iterator[tuple[Labels, float]]:
    for route in ("/login", "/refresh"):
        drawn = [random.expovariate(1 / mean) for _ in range(random.randrange(40))]
        labels = {"__name__": "http_request_duration_seconds_bucket", "service": service, "route": route}
        for bound in BOUNDS:
            yield target.count({**labels, "le": bound}, sum(value <= float(bound) for value in drawn))


def _auth(random: Random, target: Target, minute: float) -> Iterator[tuple[Labels, float]]:
    yield from _latencies(random, target, "auth-service", 0.08 + 0.1 * (minute > 40))
    # The older half of the fleet calls its label `status`.
    name = "code" if target.interval_ms != 5000 else "status"
    for code, most in (("200", 900), ("404", 9), ("500", 5), ("503", 2)):
        if code != "503" or minute > 25:
            labels = {"__name__": "http_requests_total", "service": "auth-service", name: code}
            yield target.count(labels, random.randrange(most) * 1.0)


def _policy(random: Random, target: Target, minute: float) -> Iterator[tuple[Labels, float]]:
    yield from _latencies(random, target, "policy-service", 0.02)
    decisions = {"__name__": "policy_decisions_total", "service": "policy-service", "decision": "allow"}
    yield target.count(decisions, random.random() * 5000)
    cached: tuple[str, ...] = ("cache_misses_total",)
    if not WITHOUT_CACHE_HITS[0] <= minute < WITHOUT_CACHE_HITS[1]:
        cached = ("cache_misses_total", "cache_hits_total")
    for name in cached:
        yield target.count({"__name__": name, "service": "policy-service"}, random.random() * 1000)


def _node(random: Random, target: Target, minute: float) -> Iterator[tuple[Labels, float]]:
    for cpu in "01":
        for mode, share in (("idle", 0.6), ("user", 0.3), ("system", 0.1)):
            seconds = target.interval_ms / 1000 * share * random.uniform(0.9, 1.1)
            yield target.count({"__name__": "node_cpu_seconds_total", "cpu": cpu, "mode": mode}, seconds)
    total = 16.0 * 2**30
    yield {"__name__": "node_memory_MemTotal_bytes"}, total
    yield {"__name__": "node_memory_MemAvailable_bytes"}, total * (0.7 - minute / 200) + random.gauss(0, 1e8)
