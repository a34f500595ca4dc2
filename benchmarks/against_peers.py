"""Driftline beside Prometheus and VictoriaMetrics: CPU, memory, and how soon a sample is in a value.

    python -m benchmarks.against_peers [--series 100000] [--minutes 3] [--only driftline …]

The same load over HTTP for each, one after the other on this machine (`benchmarks/scrapes.py`: targets of 1,000 series
scraped every 15 s, requests of 2,000 samples), and the same expressions: the indicators of the budgets and the weights
that Driftline computes beside them. Real processes with default settings: Prometheus 3 as a receiver with recording
rules; VictoriaMetrics, single node, with vmalert (`benchmarks/peers/install.sh`); Driftline's ingest and worker with
Apache Kafka. Prometheus and VictoriaMetrics keep the samples for queries, Driftline keeps windows and judges.

CPU is counted for `--minutes` after a first minute, in which all series are new. Peak memory is the sum of each
process' own peak. Delay: from a sample's timestamp until the last indicator whose value contains it can be had: a
record on Driftline's topic, an answer to an instant query (asked four times a second) at the others. Driftline closes
a step only after `evaluation_delay`, 10 s, so that late samples are in; vmalert evaluates 30 s in the past for the same
reason; Prometheus takes what is there.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from agents.kafka.partitions import partition_of
from agents.settings import load_settings
from benchmarks.frames import Frames
from benchmarks.million import Usage, wait_ready
from benchmarks.peers.prometheus_rules import run_rules
from benchmarks.peers.victoriametrics import run_victoriametrics
from benchmarks.processes import Role, peak_bytes, run_roles
from benchmarks.rules import expressions_of, query
from benchmarks.scrapes import INTERVAL_SECONDS, Burst, Load, budgets_of, bursts_of, service_names
from tests.servers.ingest import declare
from tests.servers.kafka import run_kafka
from tests.servers.tools import MissingServerError

SHARDS = 4
NEW_SECONDS = 60.0
ASK_SECONDS = 0.25
# vmalert is half a minute behind, and VictoriaMetrics hides the latest half a minute from queries.
LAST_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Value:
    """All indicators at one step, and when the last of them could be had; Unix seconds."""

    step: float
    visible: float


@dataclass(frozen=True, slots=True)
class System:
    """What is measured. values: a list that grows while `follow` runs."""

    url: str
    pids: dict[str, int]
    follow: Callable[[], Awaitable[None]]
    values: Callable[[], Sequence[Value]]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. CPU-seconds of the first minute and of the time after it; delays in seconds."""

    name: str
    new: float
    steady: float
    cores: float
    peak_mib: float
    p50: float
    p99: float

    def __str__(self) -> str:
        return (
            f"{self.name:<32} {self.new:>9.1f} {self.steady:>9.1f} {self.cores:>7.3f} {self.peak_mib:>9.0f}"
            f" {self.p50:>7.2f} {self.p99:>7.2f}"
        )


HEAD = f"{'':<32} {'new, s':>9} {'CPU, s':>9} {'cores':>7} {'peak, MiB':>9} {'p50, s':>7} {'p99, s':>7}"


def asking(url: str, last: int) -> tuple[Callable[[], Awaitable[None]], Callable[[], Sequence[Value]]]:
    """Watch the rule that is evaluated last by asking when its value is of."""
    found: list[Value] = []

    async def follow() -> None:
        while True:
            for step in await asyncio.to_thread(query, url, f"timestamp(bench:{last})"):
                if not found or step > found[-1].step:
                    found.append(Value(step, time.time()))
            await asyncio.sleep(ASK_SECONDS)

    return follow, lambda: found


@asynccontextmanager
async def prometheus(series: int) -> AsyncIterator[System]:
    """Its receiver and its recording rules."""
    expressions = expressions_of(budgets_of(series))
    with run_rules(expressions, INTERVAL_SECONDS) as server:
        assert server.process is not None
        pids = {"prometheus": server.process.pid}
        yield System(f"{server.url}/api/v1/write", pids, *asking(server.url, len(expressions) - 1))


@asynccontextmanager
async def victoriametrics(series: int) -> AsyncIterator[System]:
    """A single node and vmalert."""
    expressions = expressions_of(budgets_of(series))
    with run_victoriametrics(expressions, INTERVAL_SECONDS) as server:
        yield System(f"{server.url}/api/v1/write", server.pids, *asking(server.url, len(expressions) - 1))


@asynccontextmanager
async def driftline(series: int) -> AsyncIterator[System]:
    """Ingest, worker and Apache Kafka."""
    with run_kafka() as cluster, tempfile.TemporaryDirectory(prefix="driftline-peers-") as directory:
        environ = {"DRIFTLINE_KAFKA__BOOTSTRAP": cluster.bootstrap, "DRIFTLINE_DATA_DIR": directory}
        settings = load_settings(environ=environ)
        await declare(settings.kafka, budgets_of(series))
        ingest, worker = (Role(name, Path(directory), environ) for name in ("ingest", "worker"))
        with run_roles(ingest, worker):
            wait_ready(ingest, worker)
            frames = Frames(settings)
            partitions = {partition_of(service, settings.kafka.partitions) for service in service_names(series)}
            pids = {"ingest": ingest.pid, "worker": worker.pid, "kafka": cluster.nodes[0].pid}
            yield System(
                f"{ingest.url}/api/v1/write", pids, frames.follow, lambda: whole_steps(frames, len(partitions))
            )


def whole_steps(frames: Frames, partitions: int) -> list[Value]:
    """The steps of which every partition's frame has arrived, and when the last one did."""
    arrived: defaultdict[int, list[float]] = defaultdict(list)
    for arrival in frames.arrivals:
        arrived[arrival.frame.at].append(arrival.at)
    return [Value(step / 1000, max(ats)) for step, ats in sorted(arrived.items()) if len(ats) == partitions]


SYSTEMS = {"driftline": driftline, "prometheus": prometheus, "victoriametrics": victoriametrics}


def delays(bursts: Sequence[Burst], rounds: Sequence[float], values: Sequence[Value]) -> list[float] | None:
    """How long after its timestamp each scrape was in a value; None = some are not yet.

    Args:
        rounds: when the rounds began. A request leaves when it is full: nothing can be in a value before.
    """
    steps = [value.step for value in values]
    found = []
    for round_at in rounds:
        for burst in bursts:
            left = round_at + burst.due
            for at in np.unique(burst.requests[0].scraped_at).tolist():
                place = bisect_left(steps, round_at + at)
                while place < len(values) and values[place].visible < left:
                    place += 1
                if place == len(values):
                    return None
                found.append(values[place].visible - round_at - at)
    return found


async def _read(usage: Usage) -> None:
    while True:
        usage.read()
        await asyncio.sleep(1)


async def measure(name: str, bursts: Sequence[Burst], series: int, seconds: float) -> list[Row]:
    """The rows of one system."""
    async with SYSTEMS[name](series) as system:
        load, usage = Load(system.url, list(bursts)), Usage(system.pids)
        tasks = [asyncio.ensure_future(system.follow()), asyncio.create_task(_read(usage))]
        rounds = round((NEW_SECONDS + seconds) / INTERVAL_SECONDS)
        await load.run(rounds)
        full = load.first_at + NEW_SECONDS
        ended = load.first_at + rounds * INTERVAL_SECONDS
        counted = [full + n * INTERVAL_SECONDS for n in range(round(seconds / INTERVAL_SECONDS))]
        deadline = time.monotonic() + LAST_SECONDS
        while (taken := delays(bursts, counted, system.values())) is None and time.monotonic() < deadline:
            done, _ = await asyncio.wait(tasks, timeout=1, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert taken is not None, f"{name}: some samples are in no value"
        print(
            f"{name}: {load.retries} answers asked to come again; the sender was behind by {load.behind:.2f} s at most"
        )
        new, steady = usage.cores(0, full), usage.cores(full, ended)
        peaks = {process: peak_bytes(pid) for process, pid in system.pids.items()}
    print("  " + ", ".join(f"{part} {steady[part]:.3f} cores, {peaks[part] / 2**20:.0f} MiB" for part in peaks))
    p50, p99 = np.percentile(taken, [50, 99])
    groups = {f"{name}, with Kafka": [*peaks], f"{name}, without Kafka": ["ingest", "worker"]}
    groups = groups if "kafka" in peaks else {" + ".join(peaks): [*peaks]}
    return [
        Row(
            group,
            sum(new[part] for part in parts) * NEW_SECONDS,
            sum(steady[part] for part in parts) * seconds,
            sum(steady[part] for part in parts),
            sum(peaks[part] for part in parts) / 2**20,
            float(p50),
            float(p99),
        )
        for group, parts in groups.items()
    ]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--only", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--json", type=Path, help="also write the table here")
    options = parser.parse_args()
    bursts = list(bursts_of(options.series, SHARDS))
    rows: list[Row] = []
    for name in options.only:
        try:
            rows += asyncio.run(measure(name, bursts, options.series, options.minutes * 60))
        except MissingServerError as missing:
            print(f"{name}: not measured, {missing} is not installed", flush=True)
    count = len(expressions_of(budgets_of(options.series)))
    print(f"\n{options.series} series, {count} expressions, {options.minutes:g} minutes\n{HEAD}")
    for row in rows:
        print(row)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
