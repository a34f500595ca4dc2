"""Stories of samples as senders write them: counters that reset, gauges, histograms, gaps, stale markers, churn."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random

from streams.wire.samples import STALE_NAN

START_MS = 1_764_000_000_000
BOUNDS = ("0.1", "0.5", "1", "+Inf")


@dataclass(frozen=True, slots=True)
class Write:
    """One record of the log: (labels, time, value) of each sample in it."""

    log_time_ms: int
    samples: list[tuple[dict[str, str], int, float]] = field(default_factory=list)


@dataclass(slots=True)
class _Target:
    """One scraped process: its series live and end together."""

    labels: dict[str, str]
    interval_ms: int
    next_ms: int
    born_ms: int
    ends_ms: float
    requests: dict[str, float] = field(default_factory=lambda: {"200": 0.0, "404": 0.0, "500": 0.0})
    buckets: list[float] = field(default_factory=lambda: [0.0] * len(BOUNDS))
    gone: bool = False

    def scrape(self, random: Random) -> Iterator[tuple[dict[str, str], float]]:
        if random.random() < 0.02:
            self.requests = dict.fromkeys(self.requests, 0.0)
            self.buckets = [0.0] * len(BOUNDS)
        for code in self.requests:
            self.requests[code] += random.choice((0.0, 0.0, 1.0, 7.0, 0.25, 1e6 if random.random() < 0.01 else 2.0))
            yield {"__name__": "requests", "code": code, **self.labels}, self.requests[code]
        rise = 0.0
        for place, bound in enumerate(BOUNDS):
            rise += random.choice((0.0, 1.0, 3.0))
            self.buckets[place] += rise
            yield {"__name__": "latency_bucket", "le": bound, **self.labels}, self.buckets[place]
        odd = random.random() < 0.02
        value = random.choice((math.nan, math.inf, -math.inf, 1e150)) if odd else random.gauss(0, 100)
        yield {"__name__": "queue", **self.labels}, value
        yield {"__name__": "up", **self.labels}, 1.0


def tell(random: Random, minutes: int, targets: int) -> list[Write]:
    """Records of a log, oldest first."""
    end_ms = START_MS + minutes * 60_000
    writes = []
    living = [_born(random, number, START_MS) for number in range(targets)]
    born = targets
    for log_time_ms in range(START_MS, end_ms, 5000):
        write = Write(log_time_ms + random.randrange(2000))
        for target in living:
            while target.next_ms <= log_time_ms and not target.gone:
                write.samples.extend(_scrape(random, target))
        if random.random() < 0.02 and len(living) > 1:
            living.remove(random.choice(living))  # vanished without a word
        if random.random() < 0.03:
            born += 1
            living.append(_born(random, random.choice((born, born % targets)), log_time_ms))
        if write.samples or random.random() < 0.5:
            writes.append(write)
    return writes


def _born(random: Random, number: int, now_ms: int) -> _Target:
    labels = {"pod": f"pod-{number}", "zone": "ab"[number % 2]}
    ends_ms = now_ms + random.choice((math.inf, random.randrange(60_000, 600_000)))
    interval_ms = random.choice((1000, 5000, 15_000, 15_000, 15_000, 60_000))
    return _Target(labels, interval_ms, now_ms + random.randrange(interval_ms), now_ms, ends_ms)


def _scrape(random: Random, target: _Target) -> Iterator[tuple[dict[str, str], int, float]]:
    time_ms = target.next_ms
    target.next_ms += target.interval_ms + random.choice((0, 0, 0, random.randrange(-400, 400)))
    if random.random() < 0.03:
        target.next_ms += random.randrange(20_000, 400_000)  # a gap
    lost = random.random() < 0.03
    target.gone = time_ms > target.ends_ms
    for labels, value in target.scrape(random):
        stale = target.gone or lost
        yield labels, time_ms, STALE_NAN if stale else value
        if random.random() < 0.01:
            yield labels, time_ms - random.choice((0, 0, 1, 30_000)), value + 1  # repeated, or late
        if random.random() < 0.02:
            late_ms = random.choice((1, 400, 5000, 7000, 15_000, 29_000, 30_000, 30_001, 90_000))
            yield labels, time_ms - late_ms, random.choice((value, value / 2, STALE_NAN, 0.0))


def as_series(
    samples: list[tuple[dict[str, str], int, float]],
) -> list[tuple[Mapping[str, str], list[tuple[int, float]]]]:
    """As `encode_write_request` takes them: a frame for each sample, as Prometheus sends."""
    return [(labels, [(time_ms, value)]) for labels, time_ms, value in samples]
