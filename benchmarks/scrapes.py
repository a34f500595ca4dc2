"""The load of the large benchmarks: what a Prometheus that scrapes a cluster sends, cheap enough to leave it a core.

100 services x 10 instances x 1,000 series make a million. An instance has 600 histogram buckets (50 routes of 12), 200
request counters (50 routes, 4 codes) and 200 gauges. Instances are scraped one after the other, spread evenly over the
interval; what is scraped goes to `shards` queues by series, and each queue sends requests of 2,000 samples, as
Prometheus' remote write does. A request is made once as bytes; before it is sent its times and values are written into
them as arrays. No value is zero, so every sample takes 18 bytes.
"""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

import aiohttp
import cramjam
import numpy as np
import numpy.typing as npt

from budgets.spec.load import load_budgets
from budgets.spec.model import ServiceBudget
from streams.wire.frame import encode_sample
from streams.wire.labels import encode_labels
from streams.wire.request import join_series
from streams.wire.samples import STALE_NAN_BITS

INTERVAL_SECONDS = 15.0
STEP_MS = 15_000
PER_REQUEST = 2_000
ROUTES, POOLS = 50, 100
CODES = ("200", "404", "500", "503")
BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")
GAUGES = ("worker_queue_depth", "worker_pool_bytes")
PER_INSTANCE = ROUTES * (len(BOUNDS) + len(CODES)) + POOLS * len(GAUGES)
INSTANCES = 10
PER_SERVICE = INSTANCES * PER_INSTANCE
HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
_RETRY_SECONDS = 1.0
# The value and the time of a sample, before the end of its frame.
_VALUE, _TIME = np.arange(-15, -7), np.arange(-6, 0)
_TIME_SHIFTS = np.arange(0, 42, 7)

Floats = npt.NDArray[np.float64]


def service_names(series: int) -> list[str]:
    """The services that so many series make."""
    return [f"service-{number:03d}" for number in range(max(1, series // PER_SERVICE))]


def budgets_of(series: int) -> list[ServiceBudget]:
    """A budget for each service: five indicators that use all of its series, windows of five minutes."""
    limits = {"warning_threshold": 0.8, "critical_threshold": 1.0}
    document: dict[str, object] = {}
    for service in service_names(series):
        scope = f'{{service="{service}"}}'
        document[service] = {
            "response_time": {"p95": {"budget_ms": 60_000, **limits}},
            "throughput": {"min_rps": 1, "warning_threshold": 0.9, "critical_threshold": 0.8},
            "error_rate": {"max_percentage": 90, **limits},
            "queue_depth": {"expr": f"max(worker_queue_depth{scope})", "unit": "jobs", "max": 1e9, **limits},
            "pool_bytes": {"expr": f"avg(worker_pool_bytes{scope})", "unit": "bytes", "max": 1e9, **limits},
        }
    return list(load_budgets(json.dumps(document), "million.json", step_ms=STEP_MS))


@dataclass(frozen=True, slots=True)
class Instance:
    """The series of one scrape target: label sections, and what each is worth over time.

    level, slope: (PER_INSTANCE,) a counter is level + slope x seconds, a gauge level + slope x sine.
    """

    blobs: list[bytes]
    level: Floats
    slope: Floats


def instance_of(service: str, number: int, rng: np.random.Generator) -> Instance:
    """One instance; buckets are cumulative from the start and stay so."""
    shared = {
        "instance": f"10.{int(service[-3:])}.{number // 250}.{number % 250}:8080",
        "job": service,
        "namespace": "production",
        "pod": f"{service}-7d9f8b6c5-{number:05d}",
        "service": service,
    }
    blobs: list[bytes] = []
    for route in range(ROUTES):
        labels = {**shared, "method": "GET", "route": f"/api/v1/resource{route}"}
        blobs += [encode_labels({**labels, "__name__": "http_requests_total", "code": code}) for code in CODES]
        blobs += [
            encode_labels({**labels, "__name__": "http_request_duration_seconds_bucket", "le": bound})
            for bound in BOUNDS
        ]
    blobs += [
        encode_labels({**shared, "__name__": name, "pool": str(pool)}) for name in GAUGES for pool in range(POOLS)
    ]
    requests = rng.uniform(0.5, 20.0, ROUTES)[:, None]
    codes = requests * np.array([0.95, 0.03, 0.015, 0.005])
    buckets = requests * np.cumsum(rng.dirichlet(np.ones(len(BOUNDS)), ROUTES), axis=1)
    counters = np.concatenate((codes, buckets), axis=1).ravel()
    levels = np.concatenate((1.0 + np.floor(counters * rng.uniform(0, 86_400)), rng.uniform(10, 1e6, 2 * POOLS)))
    slopes = np.concatenate((counters, levels[len(counters) :] * 0.2))
    return Instance(blobs, levels, slopes)


IS_COUNTER = np.arange(PER_INSTANCE) < ROUTES * (len(BOUNDS) + len(CODES))


@dataclass(slots=True)
class Request:
    """One request that is sent again and again, each time with new times and values.

    ends: (n,) where each frame ends in `content`. level, slope, is_counter: (n,), as of `Instance`.
    scraped_at: (n,) seconds after the beginning of a round.
    """

    content: npt.NDArray[np.uint8]
    ends: npt.NDArray[np.intp]
    level: Floats
    slope: Floats
    is_counter: npt.NDArray[np.bool_]
    scraped_at: Floats

    def body(self, round_at: float, first_at: float) -> bytes:
        """The compressed body of a round. Unix seconds: when this one began, and when the first did."""
        times_ms = ((round_at + self.scraped_at) * 1000).astype(np.int64)
        seconds = times_ms / 1000 - first_at
        # Counters rise unevenly, and never fall: the slope of this is always above zero.
        uneven = seconds + 20 * np.sin(seconds / 61)
        counted = np.floor(self.level + self.slope * uneven)
        return self._filled(
            times_ms, np.where(self.is_counter, counted, self.level + self.slope * np.sin(seconds / 97))
        )

    def stale_body(self, round_at: float) -> bytes:
        """The body with which a sender says that these series have ended."""
        times_ms = ((round_at + self.scraped_at) * 1000).astype(np.int64)
        return self._filled(times_ms, np.full(len(times_ms), STALE_NAN_BITS, np.uint64).view(np.float64))

    def _filled(self, times_ms: npt.NDArray[np.int64], values: Floats) -> bytes:
        self.content[self.ends[:, None] + _VALUE] = values.view(np.uint8).reshape(-1, 8)
        varints = (times_ms[:, None] >> _TIME_SHIFTS & 0x7F).astype(np.uint8)
        varints[:, :-1] |= 0x80
        self.content[self.ends[:, None] + _TIME] = varints
        return bytes(cramjam.snappy.compress_raw(self.content.data))


@dataclass(frozen=True, slots=True)
class Burst:
    """Requests that become full at the same moment, one a shard. due: seconds after the beginning of a round."""

    due: float
    requests: list[Request]


def _request_of(blobs: list[bytes], parts: list[tuple[Instance, npt.NDArray[np.intp], float]]) -> Request:
    # Any time of today's has the same length, and any value but zero.
    frames = [blob + encode_sample(1_764_000_000_000, 1.0) for blob in blobs]
    sizes = np.fromiter(map(len, frames), np.intp, len(frames))
    heads = 2 + (sizes >> 7 > 0)
    return Request(
        np.frombuffer(join_series(frames), np.uint8).copy(),
        np.cumsum(sizes + heads),
        np.concatenate([instance.level[places] for instance, places, _ in parts]),
        np.concatenate([instance.slope[places] for instance, places, _ in parts]),
        np.concatenate([IS_COUNTER[places] for _, places, _ in parts]),
        np.concatenate([np.full(len(places), at) for _, places, at in parts]),
    )


def targets_of(series: int) -> list[tuple[str, int]]:
    """Service and number of each instance, in the order of scraping."""
    targets = [(service, number) for service in service_names(series) for number in range(INSTANCES)]
    return Random(1).sample(targets[: series // PER_INSTANCE], series // PER_INSTANCE)


def burst_of(instances: Sequence[Instance], ats: Sequence[float], shards: int) -> Burst:
    """What some instances are worth together, scraped at these seconds after the beginning of a round."""
    requests = []
    for shard in range(shards):
        places = np.arange(shard, PER_INSTANCE, shards)
        blobs = [instance.blobs[place] for instance in instances for place in places]
        parts = [(instance, places, at) for instance, at in zip(instances, ats, strict=True)]
        requests.append(_request_of(blobs, parts))
    return Burst(ats[-1], requests)


def parts_of(targets: int, shards: int) -> Iterator[tuple[range, list[float]]]:
    """Which targets fill a burst together, and when each of them is scraped."""
    together = PER_REQUEST * shards // PER_INSTANCE
    for start in range(0, targets, together):
        places = range(start, min(start + together, targets))
        yield places, [INTERVAL_SECONDS * place / targets for place in places]


def bursts_of(series: int, shards: int) -> Iterator[Burst]:
    """Everything of one round, in the order in which it is sent."""
    rng = np.random.default_rng(1)
    targets = targets_of(series)
    for places, ats in parts_of(len(targets), shards):
        yield burst_of([instance_of(*targets[place], rng) for place in places], ats, shards)


@dataclass
class Load:
    """Sends rounds on schedule, each shard one request at a time; what is not taken is sent again.

    sent, acknowledged: samples. behind: the most seconds that a request left later than it should have.
    retries: answers that asked to come again. first_at: when the first round began, Unix seconds.
    """

    url: str
    bursts: list[Burst]
    first_at: float = 0.0
    sent: int = 0
    acknowledged: int = 0
    behind: float = 0.0
    retries: int = 0
    _queues: list[asyncio.Queue[tuple[float, int, bytes]]] = field(default_factory=list)

    async def run(self, rounds: int) -> None:
        """Send so many rounds; returns when everything is acknowledged."""
        shards = max(len(burst.requests) for burst in self.bursts)
        self._queues = [asyncio.Queue() for _ in range(shards)]
        self.first_at = time.time()
        async with aiohttp.ClientSession(headers=HEADERS) as session, asyncio.TaskGroup() as tasks:
            senders = [tasks.create_task(self._send_all(session, queue)) for queue in self._queues]
            for number in range(rounds):
                await self._round(self.first_at + number * INTERVAL_SECONDS)
            for queue in self._queues:
                await queue.join()
            for sender in senders:
                sender.cancel()

    async def _round(self, round_at: float) -> None:
        for burst in self.bursts:
            due = round_at + burst.due
            await asyncio.sleep(max(0.0, due - time.time()))
            for queue, request in zip(self._queues, burst.requests, strict=False):
                queue.put_nowait((due, len(request.ends), request.body(round_at, self.first_at)))
                await asyncio.sleep(0)  # the one before can leave meanwhile

    async def _send_all(self, session: aiohttp.ClientSession, queue: asyncio.Queue[tuple[float, int, bytes]]) -> None:
        while True:
            due, samples, body = await queue.get()
            self.behind = max(self.behind, time.time() - due)
            self.sent += samples
            while not await self._post(session, body):
                self.retries += 1
                await asyncio.sleep(_RETRY_SECONDS)
            self.acknowledged += samples
            queue.task_done()

    async def _post(self, session: aiohttp.ClientSession, body: bytes) -> bool:
        async with session.post(self.url, data=body) as answer:
            if answer.status >= 400 and answer.status != 503:
                raise RuntimeError(f"{answer.status}: {await answer.text()}")
            return answer.status < 300
