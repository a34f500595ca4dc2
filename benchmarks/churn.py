"""Churn: what it costs that 10 % of the series are replaced every five minutes, and whether memory stays level.

    python -m benchmarks.churn [--series 100000] [--minutes 60] [--json FILE]

An hour of simulated time, in process, without Kafka, HTTP and Judge (`benchmarks/in_process.py`): targets of 1,000
series (`benchmarks/scrapes.py`), scraped every 15 s, windows of five minutes. As in a rollout one target after the
other goes, with stale markers, and a new one of the same service takes its place. The same hour without churn is played
beside it, each in a process of its own; they take turns, five minutes each, so that whatever else goes on in the
machine meets both.

CPU is compared after the first five minutes, in which all series are new in both. Memory is read every five minutes:
the growth of the process, what the Meters say, their series, and ingest's cache. It is *level* when the most of the
last third of the hour is at most 1.1 times the most of the middle third.
"""

import argparse
import asyncio
import gc
import json
import subprocess
import sys
from copy import copy
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil

from benchmarks.in_process import Cost, Pipeline
from benchmarks.scrapes import INTERVAL_SECONDS, Burst, budgets_of, burst_of, instance_of, parts_of, targets_of

SHARDS = 4
PARTITIONS = 4
WINDOW_SECONDS = 300
REPLACED = 0.1
START_SECONDS = 1_764_000_000.0
WANTED_CPU, WANTED_LEVEL = 1.5, 1.1


class Cluster:
    """The targets of a cluster, some of which are replaced as time goes on. bursts: what a round of them sends."""

    def __init__(self, series: int) -> None:
        self._rng = np.random.default_rng(1)
        self._targets = targets_of(series)
        self._instances = [instance_of(*target, self._rng) for target in self._targets]
        self._parts = list(parts_of(len(self._targets), SHARDS))
        self.bursts = [self._burst(part) for part in range(len(self._parts))]
        self._next = 0
        self._highest = max(number for _, number in self._targets)
        self._due = 0.0

    def replace(self, share: float) -> list[Burst]:
        """Replace a share of the targets, the ones that were there longest; what says that the old ones ended."""
        ended = []
        self._due += share * len(self._targets)
        while self._due >= 1.0:
            self._due -= 1.0
            place = self._next
            self._next = (place + 1) % len(self._targets)
            self._highest += 1
            part = next(n for n, (places, _) in enumerate(self._parts) if place in places)
            at = self._parts[part][1][place - self._parts[part][0].start]
            ended.append(burst_of([self._instances[place]], [at], SHARDS))
            self._targets[place] = (self._targets[place][0], self._highest)
            self._instances[place] = instance_of(*self._targets[place], self._rng)
            self.bursts[part] = self._burst(part)
        return ended

    def _burst(self, part: int) -> Burst:
        places, ats = self._parts[part]
        return burst_of([self._instances[place] for place in places], ats, SHARDS)


@dataclass(frozen=True, slots=True)
class Reading:
    """At the end of some minutes: CPU seconds by part since the one before, memory in bytes, numbers of series."""

    minute: float
    cost: Cost
    resident: int
    windows: int
    series: int
    known: int

    def __str__(self) -> str:
        per_sample = 1e6 / self.cost.samples
        parts = (self.cost.sorting, self.cost.observing, self.cost.stepping, self.cost.total)
        costs = " ".join(f"{part * per_sample:>8.3f}" for part in parts)
        return (
            f"{self.minute:>6.0f} {costs} {self.resident / 2**20:>9.1f} {self.windows / 2**20:>8.1f}"
            f" {self.series:>9} {self.known:>9}"
        )


HEAD = (
    f"{'minute':>6} {'sort':>8} {'observe':>8} {'steps':>8} {'total':>8} {'resident':>9} {'windows':>8}"
    f" {'series':>9} {'cached':>9}   (CPU-us a sample; MiB)"
)


async def play(series: int, share: float) -> None:
    """Five minutes for each line that comes in, and a reading for each; `share` of the series are replaced in them."""
    cluster = Cluster(series)
    budgets = budgets_of(series)
    gc.collect()
    process = psutil.Process()
    before = process.memory_info().rss
    pipeline = Pipeline(budgets, PARTITIONS)
    rounds = round(WINDOW_SECONDS / INTERVAL_SECONDS)
    at = START_SECONDS
    for _ in sys.stdin:
        last = copy(pipeline.cost)
        for _ in range(rounds):
            for ended in cluster.replace(share / rounds):
                # The scrape after the last one finds it gone.
                bodies = [request.stale_body(at - INTERVAL_SECONDS + 1) for request in ended.requests]
                await pipeline.take(bodies, round(at * 1000))
            for burst in cluster.bursts:
                bodies = [request.body(at, START_SECONDS) for request in burst.requests]
                await pipeline.take(bodies, round((at + burst.due) * 1000))
            at += INTERVAL_SECONDS
        gc.collect()
        reading = Reading(
            (at - START_SECONDS) / 60,
            pipeline.cost.since(last),
            process.memory_info().rss - before,
            pipeline.byte_count,
            pipeline.series_count,
            len(pipeline.known),
        )
        print(json.dumps(asdict(reading)), flush=True)


class Part:
    """An hour in a process of its own."""

    def __init__(self, series: int, share: float) -> None:
        command = [sys.executable, "-m", "benchmarks.churn", "--series", str(series), "--part", str(share)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.readings: list[Reading] = []

    def go_on(self) -> None:
        """Five minutes more."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(file=self._process.stdin, flush=True)
        row = json.loads(self._process.stdout.readline())
        self.readings.append(Reading(**{**row, "cost": Cost(**row["cost"])}))

    def end(self) -> None:
        """Let the process end."""
        self._process.communicate()


def cpu_seconds(readings: list[Reading]) -> float:
    """After the first windows."""
    return sum(reading.cost.total for reading in readings[1:])


def is_level(name: str, values: list[int]) -> bool:
    """Print the most of the middle and the last third; whether it keeps the bar."""
    third = len(values) // 3
    middle, end = max(values[third : 2 * third]), max(values[2 * third :])
    met = end <= WANTED_LEVEL * middle
    print(
        f"{name}: most of the middle third {middle}, of the last third {end}: x {end / middle:.2f};"
        f" bar <= {WANTED_LEVEL}: {'met' if met else 'NOT MET'}"
    )
    return met


def main() -> int:
    """Measure and print; 1 when a bar is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--part", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="also write the readings here")
    options = parser.parse_args()
    if options.part is not None:
        asyncio.run(play(options.series, options.part))
        return 0
    parts = [Part(options.series, share) for share in (0.0, REPLACED)]
    print(f"{options.series} series; first without churn, then {REPLACED:.0%} replaced every five minutes\n{HEAD}")
    for _ in range(options.minutes * 60 // WINDOW_SECONDS):
        for part in parts:
            part.go_on()
            print(part.readings[-1], flush=True)
    for part in parts:
        part.end()
    still, churned = (part.readings for part in parts)
    ratio = cpu_seconds(churned) / cpu_seconds(still)
    met = ratio < WANTED_CPU
    print(
        f"CPU with churn {cpu_seconds(churned):.1f} s, without {cpu_seconds(still):.1f} s: x {ratio:.2f};"
        f" bar < {WANTED_CPU}: {'met' if met else 'NOT MET'}"
    )
    for name in ("resident", "windows", "series", "known"):
        met &= is_level(name, [getattr(reading, name) for reading in churned])
    if options.json:
        documents = {"still": still, "churned": churned}
        text = json.dumps({name: [asdict(row) for row in rows] for name, rows in documents.items()}, indent=1)
        options.json.write_text(text, encoding="utf-8")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
