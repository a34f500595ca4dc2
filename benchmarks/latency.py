"""How long after a step could close its alert events are on the topic: p50 and p99, on Apache Kafka.

    python -m benchmarks.latency [--seconds 120] [--services 40]

Real ingest and worker processes. Services with latency histograms and request counters are written every five seconds,
each at its own moment, as Prometheus servers would; their throughput falls below its limit and recovers every forty
seconds. A step T could close at T + evaluation_delay; an event has arrived when a subscriber holds its record.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import dataclass, field

import aiohttp
import cramjam
import numpy as np

from agents.demo.traffic import RequestService
from agents.kafka.clients import create_consumer, find_partitions
from agents.kafka.codecs import decode_alert
from agents.kafka.topics import ALERTS
from agents.settings import Settings, load_settings
from budgets.event import parse_time
from budgets.spec.load import load_budgets
from streams.wire.encode import encode_write_request
from tests.servers.ingest import declare_now, run_ingest
from tests.servers.kafka import run_kafka
from tests.servers.roles import run_role

STEP_MS = 5_000
SCRAPE_SECONDS = 5.0
PERIOD_SECONDS = 40.0
PODS = 10
WANTED_P99_SECONDS = 1.0
# Until every service has windows and the caches are warm.
WARM_UP_SECONDS = 30.0
HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
BUDGET = {
    "window": "15s",
    "for": "5s",
    "keep_firing_for": "5s",
    "throughput": {"min_rps": 600, "warning_threshold": 0.9, "critical_threshold": 0.5},
    "response_time": {"p95": {"budget_ms": 10_000}, "p99": {"budget_ms": 10_000}},
    "error_rate": {"max_percentage": 50},
}


@dataclass
class Load:
    """Everything that is sent."""

    url: str
    samples: int = 0
    refused: int = 0

    async def send(self, session: aiohttp.ClientSession, number: int, services: int) -> None:
        """One service, until cancelled."""
        service = RequestService(f"svc-{number}", pods=PODS)
        rng = np.random.default_rng(number)
        await asyncio.sleep(SCRAPE_SECONDS * number / services)
        last = time.time()
        while True:
            now = time.time()
            phase = (now + PERIOD_SECONDS * number / services) % PERIOD_SECONDS
            service.rate = 1000.0 if phase < PERIOD_SECONDS / 2 else 100.0
            readings = service.advance(np.array([now]), now - last, rng)[0].tolist()
            last = now
            at_ms = round(now * 1000)
            series = [(labels, [(at_ms, value)]) for labels, value in zip(service.series, readings, strict=True)]
            async with session.post(
                self.url, data=bytes(cramjam.snappy.compress_raw(encode_write_request(series)))
            ) as answer:
                self.refused += answer.status >= 300
            self.samples += len(series)
            await asyncio.sleep(max(0.0, SCRAPE_SECONDS - (time.time() - now)))


@dataclass
class Arrivals:
    """Delays of the alert events that have come, in seconds."""

    settings: Settings
    delays: list[float] = field(default_factory=list)

    async def follow(self) -> None:
        """Subscribe, until cancelled."""
        consumer = create_consumer(self.settings.kafka, "driftline-latency")
        await consumer.start()
        try:
            partitions = await find_partitions(consumer, self.settings.topic(ALERTS.name))
            consumer.assign(sorted(partitions))
            await consumer.seek_to_end()
            while True:
                batches = await consumer.getmany(timeout_ms=1000)
                now_ms = time.time() * 1000
                for records in batches.values():
                    for record in records:
                        could_close_ms = parse_time(decode_alert(record).at) + self.settings.evaluation_delay
                        self.delays.append((now_ms - could_close_ms) / 1000)
        finally:
            await consumer.stop()


async def _measure(settings: Settings, environ: dict[str, str], url: str, services: int, seconds: float) -> int:
    load, arrivals = Load(url), Arrivals(settings)
    async with run_role("worker", environ), aiohttp.ClientSession(headers=HEADERS) as session:
        tasks = [asyncio.create_task(load.send(session, number, services)) for number in range(services)]
        await asyncio.sleep(WARM_UP_SECONDS)
        load.samples = 0
        tasks.append(asyncio.create_task(arrivals.follow()))
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()
    return report(load, arrivals.delays, services, seconds)


def report(load: Load, delays: list[float], services: int, seconds: float) -> int:
    """Print the figures; 1 when the bar is not met."""
    assert load.refused == 0, f"{load.refused} requests were refused"
    assert len(delays) > services, "the load must cause transitions"
    p50, p99 = np.percentile(delays, [50, 99])
    print(
        f"step could close -> alert event received: p50 {p50:.3f} s, p99 {p99:.3f} s, max {max(delays):.3f} s"
        f" over {len(delays)} events ({services} services, {services * PODS * 24} series,"
        f" {load.samples / seconds:.0f} samples/s)"
    )
    met = p99 <= WANTED_P99_SECONDS
    print(f"bar: p99 <= {WANTED_P99_SECONDS:.0f} s: {'met' if met else 'NOT MET'}")
    return 0 if met else 1


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--services", type=int, default=40)
    options = parser.parse_args()
    document = json.dumps({f"svc-{number}": BUDGET for number in range(options.services)})
    budgets = load_budgets(document, "latency.json", step_ms=STEP_MS)
    with run_kafka() as cluster, tempfile.TemporaryDirectory() as directory:
        environ = {
            "DRIFTLINE_KAFKA__BOOTSTRAP": cluster.bootstrap,
            "DRIFTLINE_KAFKA__PARTITIONS": "4",
            "DRIFTLINE_STEP": f"{STEP_MS}ms",
            "DRIFTLINE_EVALUATION_DELAY": "2s",
            "DRIFTLINE_DATA_DIR": directory,
        }
        settings = load_settings(environ=environ)
        declare_now(settings.kafka, budgets)
        with run_ingest(settings.kafka) as ingest:
            return asyncio.run(_measure(settings, environ, ingest.write_url, options.services, options.seconds))


if __name__ == "__main__":
    sys.exit(main())
