"""Samples per CPU-second of the ingest process, beside Prometheus' own receiver, with the same requests.

    python -m benchmarks.ingest [--rounds 5] [--series 200000]

A real ingest process, a real Apache Kafka; every series is needed by a budget. The first round, in which all series
are new, is told apart. `mixed`: each request holds series of all services, as a Prometheus that shards by series
sends them. `one service`: each request holds series of one. `2.0`: remote write 2.0, the series of one target (12 here)
one after the other, as a scrape appends them, targets of all services mixed. `2.0, scattered`: the series of `mixed`,
nearly each with symbols of its own, which is 2.0 at its worst.
Requests of one round begin and end at other series than those of the round before, as those of Prometheus' queues do.
Both receivers take a load one right after the other. Only user and system time of the measured process count.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp
import psutil

from agents.settings import KafkaSettings
from benchmarks.peers.prometheus_receiver import run_receiver
from budgets.spec.model import IndicatorSpec, ServiceBudget
from streams.wire.frame import encode_sample
from streams.wire.labels import encode_labels, parse_labels
from streams.wire.request import compress, join_series
from tests.servers.ingest import declare_now, run_ingest
from tests.servers.kafka import run_kafka
from tests.unit.write_request_2 import HEADERS as HEADERS_2
from tests.unit.write_request_2 import compress as compress_2
from tests.unit.write_request_2 import message_of

SERVICES = 50
PER_REQUEST = 2_000
PER_TARGET = 12
CONNECTIONS = 4
INTERVAL_MS = 15_000
# How far the requests of a round are from those of the one before.
SHIFT = 700
WANTED_PER_CPU_SECOND = {"2.0": 600_000}
WANTED_TIMES_PROMETHEUS = {"mixed": 5.0, "one service": 5.0}
HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """What one round of requests cost."""

    who: str
    load: str
    samples: int
    cpu_seconds: float
    wall_seconds: float

    @property
    def per_cpu_second(self) -> float:
        """Samples per CPU-second."""
        return self.samples / self.cpu_seconds

    def __str__(self) -> str:
        return (
            f"{self.who:<12}{self.load:<28}{self.per_cpu_second / 1000:>8.0f} k samples/CPU-s"
            f"{self.cpu_seconds / self.samples * 1e6:>8.2f} us/sample"
            f"{self.samples / self.wall_seconds / 1000:>8.0f} k samples/s"
        )


def blobs_of(series: int) -> list[bytes]:
    """The label sections of histogram buckets, about as long as those of a cluster's."""
    return [
        encode_labels(
            {
                "__name__": "http_request_duration_seconds_bucket",
                "instance": f"10.1.{n // PER_TARGET % 250}.{n // 3000 % 250}:8080",
                "job": f"service-{n * SERVICES // series:02d}",
                "le": f"{(n % PER_TARGET + 1) * 0.05:.2f}",
                "method": "GET",
                "namespace": "production",
                "pod": f"service-{n * SERVICES // series:02d}-7d9f8b6c5-{n // PER_TARGET:05d}",
                "route": f"/api/v1/resource{n // PER_TARGET % 40}",
                "service": f"service-{n * SERVICES // series:02d}",
            }
        )
        for n in range(series)
    ]


def bodies_of(blobs: list[bytes], at_ms: int, rng: random.Random) -> list[bytes]:
    """One sample of each series, in compressed requests."""
    frames = [blob + encode_sample(at_ms, float(rng.randrange(1, 10_000_000))) for blob in blobs]
    return [compress(join_series(frames[start : start + PER_REQUEST])) for start in range(0, len(frames), PER_REQUEST)]


def bodies_2_of(blobs: list[bytes], at_ms: int, rng: random.Random) -> list[bytes]:
    """The same as 2.0 requests."""
    series = [(dict(parse_labels(blob)), [(at_ms, float(rng.randrange(1, 10_000_000)))]) for blob in blobs]
    parts = (series[start : start + PER_REQUEST] for start in range(0, len(series), PER_REQUEST))
    return [compress_2(message_of(part, ("Time that requests took.", "seconds"))) for part in parts]


async def send_all(url: str, bodies: list[bytes], headers: dict[str, str]) -> None:
    """Send every body, a few at a time; each must be taken."""
    waiting = iter(bodies)
    async with aiohttp.ClientSession(headers=headers) as session:

        async def send() -> None:
            for body in waiting:
                async with session.post(url, data=body) as answer:
                    if answer.status != 204:
                        raise RuntimeError(f"{answer.status}: {await answer.text()}")

        await asyncio.gather(*(send() for _ in range(CONNECTIONS)))


def measure(who: str, url: str, pid: int, load: str, rounds: list[list[bytes]], series: int) -> Iterator[Figure]:
    """The first round, then all others together."""
    process = psutil.Process(pid)
    for name, some in ((f"{load}, new series", rounds[:1]), (load, rounds[1:])):
        before, started = process.cpu_times(), time.perf_counter()
        for bodies in some:
            asyncio.run(send_all(url, bodies, HEADERS_2 if load.startswith("2.0") else HEADERS))
        after, ended = process.cpu_times(), time.perf_counter()
        cpu = after.user + after.system - before.user - before.system
        yield Figure(who, name, series * len(some), cpu, ended - started)


def budget_of(number: int) -> ServiceBudget:
    """A budget that needs every series of one service."""
    service = f"service-{number:02d}"
    expr = (
        f'histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{{service="{service}"}}[5m])))'
    )
    spec = IndicatorSpec(f"{service}/p95", service, "p95", "response_time", expr, "s", "above", limit=1.0)
    return ServiceBudget(service, (spec,))


def measure_all(series: int, rounds: int) -> list[Figure]:
    """Our figures and Prometheus', each on a process of its own."""
    rng = random.Random(1)
    ordered = blobs_of(series)
    mixed = rng.sample(ordered, len(ordered))
    targets = [ordered[start : start + PER_TARGET] for start in range(0, series, PER_TARGET)]
    by_target = [blob for target in rng.sample(targets, len(targets)) for blob in target]
    start_ms = int(time.time() * 1000) - (rounds + 1) * INTERVAL_MS
    loads = {
        name: [
            encode(blobs[n * SHIFT % series :] + blobs[: n * SHIFT % series], start_ms + n * INTERVAL_MS, rng)
            for n in range(rounds + 1)
        ]
        for name, blobs, encode in (
            ("mixed", mixed, bodies_of),
            ("one service", ordered, bodies_of),
            ("2.0", by_target, bodies_2_of),
            ("2.0, scattered", mixed, bodies_2_of),
        )
    }
    figures: list[Figure] = []
    with run_kafka() as cluster:
        kafka = KafkaSettings(bootstrap=cluster.bootstrap)
        declare_now(kafka, [budget_of(number) for number in range(SERVICES)])
        for name, requests in loads.items():
            with run_ingest(kafka) as ingest:
                figures += measure("driftline", ingest.write_url, ingest.pid, name, requests, series)
            with run_receiver() as (url, pid):
                figures += measure("prometheus", url, pid, name, requests, series)
    return figures


def main() -> int:
    """Measure and print; 1 when the bar is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--series", type=int, default=200_000)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    figures = measure_all(options.series, options.rounds)
    for figure in figures:
        print(figure)
    if options.json:
        options.json.write_text(json.dumps([asdict(figure) for figure in figures], indent=1), encoding="utf-8")
    rates = {(figure.who, figure.load): figure.per_cpu_second for figure in figures}
    all_met = True
    for load, wanted in WANTED_PER_CPU_SECOND.items():
        met = rates["driftline", load] >= wanted
        print(f"bar: {wanted / 1000:.0f} k samples/CPU-s, {load}: {'met' if met else 'NOT MET'}")
        all_met &= met
    for load, times in WANTED_TIMES_PROMETHEUS.items():
        ratio = rates["driftline", load] / rates["prometheus", load]
        print(
            f"bar: {times:g} times Prometheus' receiver, {load}: {ratio:.1f}, {'met' if ratio >= times else 'NOT MET'}"
        )
        all_met &= ratio >= times
    return 0 if all_met else 1


if __name__ == "__main__":
    sys.exit(main())
